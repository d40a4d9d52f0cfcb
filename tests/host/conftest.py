"""Hosts with all that is around them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from host_room import MANIFEST, Open, Outside

from connector.host import Host
from connector.opening import open_manifest
from connector.post import Poster
from connector.vault import open_vault


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Outside:
    monkeypatch.setenv("HOST_TEST_SECRET", "very-secret")
    return Outside()


@pytest.fixture
def opened(tmp_path: Path, outside: Outside) -> Iterator[Open]:
    """Open a host on a manifest with these parts; all of them share what is outside."""
    hosts: list[Host] = []

    def make(plugins: tuple[object, ...] = (), **parts: Any) -> Host:
        path = tmp_path / "manifest.yaml"
        path.write_text(yaml.safe_dump({**MANIFEST, **parts}))
        opening = open_manifest(path, plugins)
        vault = open_vault(outside.store, opening.registry.stores, tmp_path)
        poster = Poster(lambda url: httpx.MockTransport(outside.token_endpoint), clock=lambda: outside.now)
        hosts.append(
            Host(
                opening,
                vault,
                poster=poster,
                wire=outside.wire,
                async_wire=outside.wire,
                clock=lambda: outside.now,
            )
        )
        return hosts[-1]

    yield make
    outside.gate.set()
    for host in hosts:
        host.close()


@pytest.fixture
def host(opened: Open) -> Host:
    return opened()
