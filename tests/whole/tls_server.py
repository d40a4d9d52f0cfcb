"""Certificates, and a server that opens to those who show one of them (RFC 8705)."""

from __future__ import annotations

import contextlib
import datetime
import json
import ssl
import threading
from dataclasses import dataclass
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

PASSWORD = b"correct horse"


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def key_pem(self, password: bytes = b"") -> bytes:
        how = BestAvailableEncryption(password) if password else NoEncryption()
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)


_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def issue(name: str, by: Pair | None = None) -> Pair:
    """A certificate for 127.0.0.1, signed by another; without one it is an authority of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if by is None:
        # Python 3.13 and later ask it of an authority (ssl.VERIFY_X509_STRICT).
        builder = builder.add_extension(_SIGNS, critical=True)
    signer = by.key if by else key
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = builder.add_extension(issuer, critical=False)
    return Pair(builder.sign(signer, SHA256()), key)


class Certificates:
    """Files in a folder: an authority, a client, a stranger's client, and what goes wrong with such files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority, other = issue("authority"), issue("other authority")
        self.server = issue("server", self.authority)
        client, stranger = issue("client", self.authority), issue("stranger", other)
        for name, content in {
            "ca.pem": self.authority.certificate_pem,
            "other-ca.pem": other.certificate_pem,
            "client.pem": client.certificate_pem,
            "client.key": client.key_pem(),
            "both.pem": client.certificate_pem + client.key_pem(),
            "locked.key": client.key_pem(PASSWORD),
            "stranger.pem": stranger.certificate_pem,
            "stranger.key": stranger.key_pem(),
            "garbage.pem": b"this is no certificate\n",
            "empty.pem": b"",
            "server.pem": self.server.certificate_pem + self.server.key_pem(),
        }.items():
            (folder / name).write_bytes(content)


class TlsServer:
    """A token endpoint and an API, both behind a client certificate; a token is bound to its own.

    Attributes:
        forms: what came to the token endpoint, in order.
        handshakes: refused ones.
    """

    def __init__(self, certificates: Certificates, *, lifetime_s: int = 300) -> None:
        self.forms: list[dict[str, str]] = []
        self.lifetime_s = lifetime_s
        self._bound: dict[str, bytes] = {}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.folder / "server.pem")
        context.load_verify_locations(certificates.folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        self._server = _Server(("127.0.0.1", 0), self._handler(), context)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> TlsServer:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def token(self, form: dict[str, str], certificate: bytes) -> dict[str, Any]:
        self.forms.append(form)
        number = len(self.forms)
        self._bound[f"token-{number}"] = sha256(certificate).digest()
        reply = {"access_token": f"token-{number}", "expires_in": self.lifetime_s, "token_type": "Bearer"}
        return (
            reply if form["grant_type"] == "client_credentials" else {**reply, "refresh_token": f"r{number}"}
        )

    def good(self, header: str, certificate: bytes) -> bool:
        return self._bound.get(header.removeprefix("Bearer ")) == sha256(certificate).digest()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                """Say nothing."""

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                self.answer(200, server.token(form, self.shown))

            def do_GET(self) -> None:
                good = server.good(self.headers.get("authorization", ""), self.shown)
                self.answer(200 if good else 401, {"ok": good})

            @property
            def shown(self) -> bytes:
                assert isinstance(self.connection, ssl.SSLSocket)
                return self.connection.getpeercert(binary_form=True) or b""

            def answer(self, status: int, data: dict[str, Any]) -> None:
                body = json.dumps(data).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext
    ) -> None:
        super().__init__(address, handler)
        self._context = context

    def finish_request(self, request: Any, client_address: Any) -> None:
        # Here, in the thread of the connection, so that a slow handshake holds up nobody else.
        with contextlib.suppress(OSError), self._context.wrap_socket(request, server_side=True) as wrapped:
            super().finish_request(wrapped, client_address)
