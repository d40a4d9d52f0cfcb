"""Proofs of possession (RFC 9449), where the file says that tokens are bound to a key."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import urlsplit

from connector.sandbox.jwts import BadJwt, take_apart, thumbprint, verify
from connector.sandbox.persona.seen import Seen

_LEEWAY_S = 60.0


def prove(seen: Seen, now: float, token: str = "") -> tuple[str, str]:
    """Return the thumbprint of the key that a request proves to have, and what is wrong with its proof.

    `token`: the access token that comes along at an API.
    """
    text = seen.headers.get("dpop")
    if text is None:
        return "", "no DPoP proof came"
    try:
        proof = take_apart(text)
        key = proof.header.get("jwk")
        if proof.header.get("typ") != "dpop+jwt" or not isinstance(key, dict):
            raise BadJwt("its header is not that of a proof")
        name = thumbprint(key)
        verify(proof, [key])
        if proof.text("htm") != seen.method:
            raise BadJwt("htm is another method")
        url = urlsplit(proof.text("htu"))
        if (url.scheme, url.netloc.lower(), url.path or "/") != (seen.scheme, seen.host, seen.raw_path):
            raise BadJwt("htu is another address")
        if abs(proof.moment("iat") - now) > _LEEWAY_S or not proof.text("jti"):
            raise BadJwt("iat is not now")
        digest = hashlib.sha256(token.encode()).digest()
        if token and proof.text("ath") != base64.urlsafe_b64encode(digest).rstrip(b"=").decode():
            raise BadJwt("ath belongs to another token")
    except BadJwt as bad:
        return "", f"the DPoP proof is refused: {bad}"
    return name, ""
