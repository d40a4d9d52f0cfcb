"""Proofs at work: servers that others wrote, processes that are killed. The short form; `make soak` runs the long."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# The servers, the people who sign in to them, and the servers of stores.
sys.path[:0] = [str(HERE.parent / "servers"), str(HERE.parent / "store")]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    # Set by a place; taken back with everything else.
    for name in (
        "CONNECTOR_KEY",
        *(f"PROOF_SECRET_{client}" for client in ("BASIC", "DEVICE", "CONFIDENTIAL")),
    ):
        monkeypatch.setenv(name, "")
