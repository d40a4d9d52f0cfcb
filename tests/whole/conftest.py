"""Real sockets on loopback, a folder of its own, and no keyring of the person who runs the tests."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from canary import Canaries, Ear
from canary_rig import CLIENT_ID, Rig
from plain_server import PlainServer
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


@pytest.fixture(params=[12, 64], ids=["short", "long"])
def rig(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """All loggers at DEBUG; client secrets and tokens of 12 and of 64 characters."""
    canaries, ear = Canaries(CLIENT_ID), Ear()
    monkeypatch.setenv("CANARY", canaries.new("client secret", length=request.param, odd=True))
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    root = logging.getLogger()
    loggers = [
        root,
        *(logging.getLogger(name) for name in ("connector", "httpx", "httpcore", "asyncio", "trio")),
    ]
    loggers += [one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    levels = [(one, one.level) for one in loggers]
    for one in loggers:
        one.setLevel(logging.DEBUG)
    root.addHandler(ear)
    with PlainServer() as server:
        made = Rig(folder=tmp_path, server=server, canaries=canaries, ear=ear, size=request.param)
        made.account = {
            "oauth2_endpoint": server.url + "/authorize",
            "oauth2_token": server.url + "/token",
            "client_id": CLIENT_ID,
            "client_secret": "${env:CANARY}",
            "grant": "authorization_code",
            "api": {"base_url": server.url + "/api"},
        }
        try:
            yield made
        finally:
            for host in made.hosts:
                host.close()
    root.removeHandler(ear)
    for one, level in reversed(levels):
        one.setLevel(level)
