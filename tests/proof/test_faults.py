"""All accidents in all ways, on servers that others wrote."""

from __future__ import annotations

from pathlib import Path

from figures import PAGE, told
from proof_faults import WAYS, faults
from proof_proxy import FAULTS


def test_accidents_between_client_and_server(tmp_path: Path) -> None:
    """One call for one wish, a state that tells what happened, a login lost only where nobody can help it: as
    docs/renewal.md says.
    """
    cases = faults(tmp_path)
    assert len(cases) == len(FAULTS) * len(WAYS)
    for case in cases:
        case.check()
    assert told(cases) in PAGE.read_text("utf-8"), "run `make figures`: the page tells of another run"
