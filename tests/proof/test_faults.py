"""All accidents in all ways, on servers that others wrote."""

from __future__ import annotations

from pathlib import Path

from proof_faults import WAYS, faults
from proof_proxy import FAULTS


def test_accidents_between_client_and_server(tmp_path: Path) -> None:
    """One call for one wish, a state that tells what happened, and a login lost only where nobody can help it."""
    cases = faults(tmp_path)
    assert len(cases) == len(FAULTS) * len(WAYS)
    for case in cases:
        print(case.way, case.row())
    for case in cases:
        case.check()
