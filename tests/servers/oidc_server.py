"""oidc-provider, a certified authorization server of the npm registry, under Node and as it was published."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from ports import port_ahead
from rig_process import RigProcess

FOLDER = Path(__file__).parent / "oidc"
ODD_SECRET = "a:b+c%d/e=f&g h?i"


def secret_of(client_id: str) -> str:
    """The secret of a client that has one (oidc/clients.mjs)."""
    return ODD_SECRET if client_id == "odd:client" else f"secret-of-{client_id}-long-enough-for-hmac-sha256"


class OidcServer(RigProcess):
    """Settings are those of oidc/settings.mjs, in snake_case."""

    def __init__(self, *, log: Path, **settings: Any) -> None:
        node = _node()
        install()
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.exact_redirect = settings.setdefault(
            "exactRedirect", f"http://127.0.0.1:{port_ahead()}/callback"
        )
        settings.setdefault("jwks", {"keys": [public_jwk(self.key)]})
        named = {_camel(name): value for name, value in settings.items()}
        super().__init__([node, str(FOLDER / "server.mjs"), json.dumps(named)], log=log)

    @property
    def discovery(self) -> str:
        return f"{self.url}/.well-known/openid-configuration"

    @property
    def key_pem(self) -> bytes:
        """The private key of the client ``pkjwt`` (ES256; its ``kid`` is ``pkjwt``)."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def install() -> None:
    """Its packages, as the lock says, once and again whenever the lock changes."""
    installed = FOLDER / "node_modules" / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= (FOLDER / "package-lock.json").stat().st_mtime:
        return
    npm = _program("npm")
    done = subprocess.run(
        [npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=FOLDER, capture_output=True, text=True
    )
    if done.returncode:
        raise AssertionError(f"npm ci failed in {FOLDER}:\n{done.stdout}{done.stderr}")


def public_jwk(key: ec.EllipticCurvePrivateKey, kid: str = "pkjwt") -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    x, y = (_base64url(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid, "x": x, "y": y}


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _node() -> str:
    node = _program("node")
    # What oidc-provider calls and older ones lack; it asks for 22 and works on a late 20.
    able = "process.exit(URL.parse && require('node:crypto').hash ? 0 : 1)"
    if subprocess.run([node, "-e", able]).returncode:
        raise AssertionError("The Node here is too old for these tests: install 22 or later (20.20 will do).")
    return node


def _program(name: str) -> str:
    # Beside this Python, where `make test` puts it, before any other.
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        raise AssertionError(f"These tests need {name}, and there is none: pip install -e '.[dev,servers]'")
    return found


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
