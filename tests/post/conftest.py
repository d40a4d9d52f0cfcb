"""A raw server, and no proxy of whoever runs the tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from raw_server import RawServer

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, *(name.lower() for name in PROXIES), "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[RawServer]:
    """A server that answers `{}` until it is told otherwise."""
    with RawServer() as running:
        yield running
