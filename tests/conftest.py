"""All tests: in which order, and how patient Hypothesis is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# A machine that does much else may take any time for an example, and that is no finding.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")


# Where tests have processes, sockets and files, and take a hundred times as long as where they have none.
_LIVELY = ("whole", "doors", "store", "sandbox", "house")


@pytest.hookimpl(trylast=True)  # the folders' own conftest.py say what is slow
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long first, so that processes that share the files end together."""
    slow: set[Path] = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in slow, item.path.parent.name not in _LIVELY))
