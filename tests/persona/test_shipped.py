"""Every endpoint file that we ship is played from end to end."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.registry import Registry
from connector.testing.checked import check_endpoints
from connector.testing.wires import Stage

PLUGINS = Path(__file__).parents[2] / "plugins"
FILES = sorted(PLUGINS.rglob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_passes(file: Path, stage: Stage, registry: Registry) -> None:
    """Each grant of each endpoint: login, renewals, refusals, limits, fence, test request, the end."""
    for report in check_endpoints([file], registry=registry, stage=stage):
        assert [str(problem) for problem in report.problems] == []
        assert report.grants, f"nothing of {report.name} was played"
