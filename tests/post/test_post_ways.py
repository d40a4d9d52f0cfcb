"""Which way a token call takes: proxies as the environment says, loopback always direct, TLS verified."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import time
from importlib.util import find_spec
from pathlib import Path

import anyio
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from raw_server import SECRET, RawServer, reply, token_request

from connector.effects import NoReply
from connector.errors import ConnectorError
from connector.post import Poster
from connector.reply import Reply
from connector.route import proxy_for
from connector.wire import AsyncWire, Wire


def carrying_a_secret(url: str) -> Reply | NoReply:
    """The outcome of a call whose headers and body are secret."""
    return Poster().post(token_request(url, ("Authorization", "Basic " + SECRET), body=SECRET.encode()))


@pytest.mark.parametrize(
    ("environ", "url", "expected"),
    [
        ({}, "https://login.example.com/token", None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "https://login.example.com/token", "http://proxy:3128"),
        ({"https_proxy": "http://proxy:3128"}, "https://login.example.com/token", "http://proxy:3128"),
        ({"HTTPS_PROXY": "proxy:3128"}, "https://login.example.com/token", "http://proxy:3128"),
        ({"HTTP_PROXY": "http://proxy:3128"}, "https://login.example.com/token", None),
        ({"ALL_PROXY": "http://all:1"}, "https://login.example.com/token", "http://all:1"),
        ({"ALL_PROXY": "http://all:1", "HTTPS_PROXY": "http://p:2"}, "https://a.example.com/", "http://p:2"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.com"}, "https://login.example.com/", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, "https://login.example.com/", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "other.com"}, "https://a.example.com/", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1", "ALL_PROXY": "http://p:2"}, "http://127.0.0.1:8400/token", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://localhost/token", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://app.localhost/token", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://[::1]:8443/token", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://localhost.example.com/", "http://p:1"),
    ],
)
def test_proxy_rules(
    environ: dict[str, str], url: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variables count as everywhere, NO_PROXY included; what is on this machine never takes a proxy."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(httpx.URL(url)) == expected


def test_loopback_goes_past_the_proxy(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a proxy that nobody runs, a call to this machine still arrives."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert isinstance(carrying_a_secret(server.url), Reply)
    assert server.requests[0].startswith(b"POST / HTTP/1.1\r\n")


def test_others_go_through_the_proxy(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy sees where a call wants to go and nothing of it; one that refuses means not sent."""
    monkeypatch.setenv("HTTPS_PROXY", server.url)
    server.answer = reply(b"", status="403 Forbidden")
    outcome = carrying_a_secret("https://login.example.com/token")
    assert isinstance(outcome, NoReply)
    assert not outcome.sent
    [seen] = server.requests
    assert seen.startswith(b"CONNECT login.example.com:443 HTTP/1.1\r\n")
    assert SECRET.encode() not in seen
    assert f"could not be reached through the proxy {httpx.URL(server.url).netloc.decode()}" in outcome.words


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("socks5://robot:canary@proxy.example.com:1080", "proxy.example.com:1080 is a SOCKS proxy"),
        ("ftp://robot:canary@proxy.example.com:2121", "proxy.example.com:2121 is no URL of a proxy"),
        ("http://robot:canary@proxy.example.com:port", "is no URL of a proxy"),
        ("robot:canary@proxy.example.com:port", "is no URL of a proxy"),
    ],
)
def test_a_proxy_that_cannot_be_used(proxy: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Token calls and requests say so alike, without its password, and nothing was sent."""
    if find_spec("socksio") is not None:
        pytest.fail("this test is about a machine without the package socksio")
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    url = "https://login.example.com/token"
    outcome = carrying_a_secret(url)
    assert isinstance(outcome, NoReply)
    assert (outcome.sent, words in outcome.words) == (False, True), outcome.words
    with Wire() as wire, pytest.raises(ConnectorError) as caught:
        wire.handle_request(httpx.Request("GET", url))

    async def request() -> None:
        async with AsyncWire() as wire:
            await wire.handle_async_request(httpx.Request("GET", url))

    with pytest.raises(ConnectorError) as caught_too:
        anyio.run(request)
    for said in (caught.value, caught_too.value):
        assert (said.code, words in said.reason) == ("proxy_unusable", True)
        assert "canary" not in outcome.words + str(said)


def test_a_server_that_speaks_no_tls_gets_nothing(server: RawServer) -> None:
    """https to a plain server fails before anything of the call is sent."""
    server.answer = reply(b"", status="400 Bad Request")
    outcome = carrying_a_secret(server.url.replace("http:", "https:"))
    assert isinstance(outcome, NoReply)
    assert not outcome.sent
    assert SECRET.encode() not in b"".join(server.requests)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody has signed but itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        made.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    )
    return path


def test_a_certificate_is_verified(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that nobody vouches for means not sent; with its authority in SSL_CERT_FILE the call is made."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with RawServer(context) as server:
        outcome = carrying_a_secret(server.url)
        assert isinstance(outcome, NoReply)
        assert (outcome.sent, "certificate" in outcome.words.lower()) == (False, True)
        assert "SSL_CERT_FILE" in outcome.words, "and what to do about it"
        assert server.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert isinstance(carrying_a_secret(server.url), Reply)
        assert SECRET.encode() in server.requests[0]


def test_a_slow_drip_over_tls_is_bounded_too(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket is shut down under the TLS reader as well."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with RawServer(context) as server:

        def drip(connection: socket.socket) -> None:
            for _ in range(200):
                connection.sendall(b"H")
                time.sleep(0.02)

        server.answer = drip
        poster = Poster(timeout_s=5, total_s=0.3)
        outcome = poster.post(token_request(server.url))
        assert outcome == NoReply(sent=True, words="the answer took longer than 0.3 s")
