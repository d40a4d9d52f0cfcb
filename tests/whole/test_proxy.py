"""A proxy of the account's own: token calls and requests alike go through it, sync and async."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from connect_proxy import ConnectProxy
from test_mtls import FILES, WAYS, get, opened
from tls_server import Certificates, TlsServer

from connector import ManifestError, RenewalError
from connector.route import proxy_for
from connector.secret import Secret

PASSWORD = "canary"


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
def server(certificates: Certificates) -> Iterator[TlsServer]:
    with TlsServer(certificates) as server:
        yield server


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with ConnectProxy("robot", PASSWORD) as proxy:
        yield proxy


@pytest.mark.parametrize("way", WAYS)
def test_everything_goes_through_it(
    certificates: Certificates,
    server: TlsServer,
    proxy: ConnectProxy,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With its password from a reference, and the account's own certificate shown at the other end."""
    monkeypatch.setenv("EGRESS", f"http://robot:{PASSWORD}@{proxy.place}")
    with opened(certificates.folder, server.url, FILES, proxy="${env:EGRESS}") as host:
        assert get(host, way).status_code == 200
        there = httpx.URL(server.url).netloc.decode()
        assert proxy.asked == [there, there], "a token call, and a request"
        assert PASSWORD not in repr(host.accounts["main"]) + str(host.explain("main"))


def test_one_that_says_no(
    certificates: Certificates, server: TlsServer, proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy is named, its password is not; nothing reaches the server."""
    monkeypatch.setenv("EGRESS", f"http://robot:{PASSWORD}-no@{proxy.place}")
    with (
        opened(certificates.folder, server.url, FILES, proxy="${env:EGRESS}") as host,
        pytest.raises(RenewalError) as caught,
    ):
        host.token("main")
    assert f"through the proxy {proxy.place} (ProxyError: 407" in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert (server.forms, proxy.asked) == ([], [])


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("http://robot:canary@proxy.example.com:1/x", "not host and port alone"),
        ("ftp://robot:canary@proxy.example.com:1", "does not begin with http://"),
        ("robot:canary@proxy.example.com:1", "does not begin with http://"),
        ("http://robot:canary@proxy.example.com:port", "no URL"),
        ("http://", "not host and port alone"),
        ("", "leads to an empty text"),
    ],
)
def test_a_reference_that_leads_to_none(
    certificates: Certificates, server: TlsServer, said: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is told with file and line, and not repeated."""
    monkeypatch.setenv("EGRESS", said)
    with (
        opened(certificates.folder, server.url, FILES, proxy="${env:EGRESS}") as host,
        pytest.raises(ManifestError) as caught,
    ):
        host.token("main")
    assert words in str(caught.value)
    assert "manifest.yaml:" in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_whose_word_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account's before the environment's, `direct` included; NO_PROXY is the environment's."""
    far = httpx.URL("https://api.example.com/")
    monkeypatch.setenv("HTTPS_PROXY", "http://everyone:1")
    assert proxy_for(far) == "http://everyone:1"
    assert proxy_for(far, Secret("direct")) is None
    assert proxy_for(far, Secret("http://own:2")) == "http://own:2"
    monkeypatch.setenv("NO_PROXY", "example.com")
    assert (proxy_for(far), proxy_for(far, Secret("http://own:2"))) == (None, "http://own:2")
