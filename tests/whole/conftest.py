"""Real sockets on loopback, a folder of its own, and no keyring of the person who runs the tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from whole_world import Gate, World

from connector.sandbox import Records, Sandbox


@pytest.fixture(autouse=True)
def _own_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CONNECTOR_KEY", raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    # A key file beside the store, whatever keyring there is.
    monkeypatch.setattr("keyring.get_keyring", _no_keyring)


def _no_keyring() -> object:
    import keyring.backends.null

    return keyring.backends.null.Keyring()


@pytest.fixture(scope="session")
def records() -> Records:
    return Records(seed=7)


@pytest.fixture
def world(tmp_path: Path, records: Records) -> Iterator[World]:
    """A sandbox with a gate, and hosts beside it."""
    sandbox = Sandbox(records=records)
    gate = Gate(sandbox.app)
    sandbox.app = gate  # type: ignore[assignment]  # any ASGI application will do
    with sandbox:
        world = World(folder=tmp_path, sandbox=sandbox, gate=gate)
        yield world
        world.close()
