"""TLS with both sides authenticated (RFC 8705): one certificate opens token endpoint and API alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import yaml
from tls_server import PASSWORD, Certificates, TlsServer

import connector
from connector import ConnectorError, RenewalError
from connector.host import Host

FILES = {"certificate": "client.pem", "private_key": "client.key", "ca": "ca.pem"}
WAYS = ["sync", "asyncio", "trio"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def server(certificates: Certificates) -> Iterator[TlsServer]:
    with TlsServer(certificates) as server:
        yield server


@pytest.fixture
def host(request: pytest.FixtureRequest, certificates: Certificates, server: TlsServer) -> Iterator[Host]:
    """A host with an account `main` whose `tls` is the parameter of the test, or else right."""
    with opened(certificates.folder, server.url, getattr(request, "param", FILES)) as host:
        yield host


def opened(folder: Path, url: str, tls: dict[str, str] | None, **more: Any) -> Host:
    account = {
        "oauth2_token": f"{url}/token",
        "client_id": "mtls-client",
        "client_auth": "tls_client_auth",
        "grant": "client_credentials",
        "api": {"base_url": f"{url}/api"},
        **({"tls": tls} if tls else {}),
        **more,
    }
    data = {"version": 1, "store": "memory:", "accounts": {"main": account}}
    (folder / "manifest.yaml").write_text(yaml.safe_dump(data), "utf-8")
    return connector.open(folder / "manifest.yaml")


def get(host: Host, way: str) -> httpx.Response:
    if way == "sync":
        with host.client("main") as http:
            return http.get("/things")

    async def ask() -> httpx.Response:
        async with host.async_client("main") as http:
            return await http.get("/things")

    return anyio.run(ask, backend=way)


@pytest.mark.parametrize(
    "host", [FILES, {"certificate": "both.pem", "ca": "ca.pem"}], indirect=True, ids=["two files", "one"]
)
@pytest.mark.parametrize("way", WAYS)
def test_it_opens(host: Host, server: TlsServer, way: str) -> None:
    """The certificate is shown for a token and with each request, and nothing else proves the client."""
    assert get(host, way).status_code == 200
    host.renew("main")
    assert get(host, way).status_code == 200
    assert server.forms == [{"grant_type": "client_credentials", "client_id": "mtls-client"}] * 2
    counts = host.counts("main")
    assert (counts.renewals, counts.failed_requests, counts.rejections) == (1, 0, 0)


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ({"ca": "ca.pem", "certificate": "stranger.pem", "private_key": "stranger.key"}, "no whole answer"),
        (
            {"ca": "other-ca.pem", **{k: FILES[k] for k in ("certificate", "private_key")}},
            "CERTIFICATE_VERIFY",
        ),
    ],
    indirect=["host"],
    ids=["a certificate of a stranger", "a server of a stranger"],
)
def test_it_stays_shut(host: Host, server: TlsServer, words: str) -> None:
    """Whoever shows the wrong certificate gets no token, and a server with the wrong one gets no request."""
    with pytest.raises(RenewalError) as caught:
        host.token("main")
    assert words in str(caught.value)
    assert server.forms == []


@pytest.mark.parametrize(
    "host",
    [
        {**FILES, "private_key": "locked.key"},
        {**FILES, "private_key": "stranger.key"},
        {**FILES, "private_key": "garbage.pem"},
        {**FILES, "certificate": "garbage.pem"},
        {**FILES, "certificate": "empty.pem"},
        {**FILES, "ca": "garbage.pem"},
        {"certificate": "client.pem", "ca": "ca.pem"},
    ],
    indirect=True,
    ids=[
        "an encrypted key",
        "the key of another",
        "a key that is none",
        "a certificate that is none",
        "an empty one",
        "an authority that is none",
        "no key at all",
    ],
)
@pytest.mark.parametrize("way", WAYS)
def test_files_that_cannot_be_used(host: Host, server: TlsServer, way: str) -> None:
    """A clear error that names the field, no question for a password, and nothing of the files in it."""
    with pytest.raises(ConnectorError) as caught:
        get(host, way)
    assert caught.value.code == "tls_unusable"
    assert not isinstance(caught.value, RenewalError), "trying later does not help"
    assert "`tls:` of the account" in caught.value.resolution
    assert PASSWORD.decode() not in str(caught.value)
    assert host.status("main").failures == 0
    assert server.forms == []


def test_a_file_that_comes_back(certificates: Certificates, server: TlsServer) -> None:
    """A renewal that fails of a file alone leaves no doubt: the refresh token is shown once it is back."""
    passing = certificates.folder / "passing.key"
    passing.write_bytes((certificates.folder / "client.key").read_bytes())
    person = {"grant": "authorization_code", "oauth2_endpoint": f"{server.url}/authorize"}
    with opened(certificates.folder, server.url, {**FILES, "private_key": passing.name}, **person) as host:
        host.adopt("main", {"refresh_token": "r0"})
        assert get(host, "sync").status_code == 200
        passing.rename(certificates.folder / "away.key")
        with pytest.raises(ConnectorError, match="own TLS cannot be used"):
            host.renew("main")
        # What is open stays open, and the token at hand goes on.
        assert get(host, "sync").status_code == 200
        status = host.status("main")
        assert (status.state, status.failures, status.last_refusal) == ("ready", 0, "")
        (certificates.folder / "away.key").rename(passing)
        host.renew("main")
        assert get(host, "sync").status_code == 200
    assert [form["refresh_token"] for form in server.forms] == ["r0", "r1"]


def test_without_one(certificates: Certificates, server: TlsServer) -> None:
    """tls_client_auth without a certificate, or with a file that is not there, is told before any call."""
    for tls, words in (
        ({"ca": "ca.pem"}, "has no certificate"),
        ({**FILES, "ca": "gone.pem"}, "no such file"),
    ):
        with pytest.raises(connector.ManifestError, match=words):
            opened(certificates.folder, server.url, tls)
    assert server.forms == []


def test_a_certificate_that_is_rotated_on_disk(certificates: Certificates, server: TlsServer) -> None:
    """Token calls and API requests of a running host show the new one at once, and together."""
    folder = certificates.folder
    for name in ("certificate", "private_key"):
        (folder / f"current.{name}").write_bytes((folder / FILES[name]).read_bytes())
    tls = {**FILES, "certificate": "current.certificate", "private_key": "current.private_key"}
    with opened(folder, server.url, tls) as host:
        assert get(host, "sync").status_code == 200
        made = host._wires["main"]._ways  # type: ignore[attr-defined]  # how many certificates were in use
        assert len(made) == 1
        for name in ("certificate", "private_key"):
            (folder / f"fresh.{name}").write_bytes((folder / FILES[name]).read_bytes())
            (folder / f"fresh.{name}").rename(folder / f"current.{name}")
        assert get(host, "sync").status_code == 200
        assert len(made) == 2
