"""One stage and one registry for all plays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connector.registry import Registry, collect
from connector.testing.wires import Stage


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    with Stage() as made:
        yield made


@pytest.fixture(scope="session")
def registry() -> Registry:
    return collect()
