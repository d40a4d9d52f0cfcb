"""Proof Key for Code Exchange (RFC 7636), and the state of an authorization request."""

from __future__ import annotations

import base64
import hashlib
import secrets

from connector.secret import Secret


def new_verifier() -> Secret:
    """A code verifier of 256 random bits, 43 characters (RFC 7636 section 4.1)."""
    return Secret(secrets.token_urlsafe(32))


def challenge(verifier: Secret, method: str) -> str:
    """The code challenge of a verifier (RFC 7636 section 4.2).

    Args:
        method: ``S256``, ``plain``, or ``S256-hex`` for servers that want the digest in hex.
    """
    if method == "plain":
        return verifier.reveal()
    digest = hashlib.sha256(verifier.reveal().encode("ascii")).digest()
    if method == "S256-hex":
        return digest.hex()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def new_state() -> str:
    """A state that nobody guesses (RFC 6749 section 10.12)."""
    return secrets.token_urlsafe(24)
