"""TLS with both sides authenticated (RFC 8705), over real sockets: token calls and API requests alike."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from connector.account import TlsFiles
from connector.effects import NoReply
from connector.errors import ConnectorError
from connector.post import Poster
from connector.reply import Reply
from connector.route import tls_context
from connector.tokenrequest import TokenRequest
from connector.wire import OWN, Wire

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


def certified(folder: Path, name: str, password: bytes | None = None) -> tuple[str, str]:
    """A certificate that vouches for itself, and its key: two files."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
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
    files = folder / f"{name}.pem", folder / f"{name}.key"
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    files[0].write_bytes(made.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    return str(files[0]), str(files[1])


class Server:
    """Wants a certificate of whoever calls, and remembers whose it was."""

    def __init__(self, folder: Path) -> None:
        self.ca, key = certified(folder, "server")
        self.client = certified(folder, "client")
        self.callers: list[str] = []
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.client[0])
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._context.load_cert_chain(self.ca, key)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._socket.getsockname()[1]}/"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._socket.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(plain, server_side=True) as caller:
                    caller.settimeout(5)
                    data = b""
                    while not data.endswith(b"\r\n\r\n") and (more := caller.recv(65_536)):
                        data += more
                    found: Any = caller.getpeercert()
                    self.callers.append(found["subject"][0][0][1])
                    caller.sendall(ANSWER)
            except OSError:
                plain.close()

    def close(self) -> None:
        """End it."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that knows one client."""
    running = Server(tmp_path)
    yield running
    running.close()


def call(server: Server, tls: TlsFiles | None) -> Reply | NoReply:
    """One token call."""
    return Poster(timeout_s=5).post(
        TokenRequest(method="POST", url=server.url, headers=(), body=b"", tls=tls)
    )


def test_a_token_call_shows_the_certificate(server: Server) -> None:
    """RFC 8705 section 2: mutual TLS at the token endpoint, the server checked against the account's own CA."""
    found = call(server, TlsFiles(certificate=server.client[0], private_key=server.client[1], ca=server.ca))
    assert isinstance(found, Reply)
    assert server.callers == ["client"]


def test_an_api_request_shows_it_too(server: Server) -> None:
    """RFC 8705 section 3: a token that is bound to a certificate is good with that certificate only."""
    tls = TlsFiles(certificate=server.client[0], private_key=server.client[1], ca=server.ca)
    wire = Wire(tls=tls)
    try:
        own = httpx.Request("GET", server.url, extensions={OWN: True})
        assert wire.handle_request(own).status_code == 200
        with pytest.raises(
            httpx.ConnectError
        ):  # another host sees no certificate, and its CA counts for nothing
            wire.handle_request(httpx.Request("GET", server.url))
    finally:
        wire.close()
    assert server.callers == ["client"]


@pytest.mark.parametrize("own", [True, False], ids=["not vouched for", "no certificate"])
def test_without_it_nothing_is_sent(server: Server, own: bool) -> None:
    """A server that nobody vouches for sees nothing; one that wants a certificate and gets none answers nothing."""
    tls = (
        TlsFiles(certificate=server.client[0], private_key=server.client[1])
        if own
        else TlsFiles(ca=server.ca)
    )
    assert isinstance(call(server, tls), NoReply)
    assert server.callers == []


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    """A key with a password, one of another certificate, no file, no PEM: a typed error, and no prompt."""
    client, other = certified(tmp_path, "client"), certified(tmp_path, "other")
    locked = certified(tmp_path, "locked", b"password")
    (tmp_path / "text").write_text("no PEM")
    for tls in (
        TlsFiles(certificate=client[0], private_key=other[1]),
        TlsFiles(certificate=locked[0], private_key=locked[1]),
        TlsFiles(certificate=str(tmp_path / "missing")),
        TlsFiles(ca=str(tmp_path / "text")),
        TlsFiles(certificate=str(tmp_path / "text")),
    ):
        with pytest.raises(ConnectorError) as caught:
            tls_context(tls)
        assert caught.value.code == "tls_unusable"
