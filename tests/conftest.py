"""The order of the tests: the files that take long first, so that processes that share the files end together."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.hookimpl(trylast=True)  # the folders' own conftest.py say what is slow
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    slow: set[Path] = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
