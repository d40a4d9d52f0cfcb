"""Reading what anyone may send: no text makes the reader do anything but refuse."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sandbox_room import Key, b64

from connector.sandbox.jwts import BadJwt, take_apart, thumbprint, verify

KEY = Key()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
WORDS = st.sampled_from(["alg", "kid", "typ", "jwk", "iat", "exp", "aud", "iss", "ES256", "RS256", "none"])
OBJECTS = st.dictionaries(WORDS, WORDS | VALUES, max_size=5)


@given(st.text(max_size=60) | st.tuples(*[st.text("ab-_.=", max_size=8)] * 3).map(".".join))
def test_any_text(text):
    """It is taken apart or refused."""
    try:
        message = take_apart(text)
    except BadJwt:
        return
    with pytest.raises(BadJwt):
        verify(message, [KEY.public])


@given(header=OBJECTS, claims=OBJECTS, key=OBJECTS.map(lambda extra: {**KEY.public, **extra}))
def test_any_json(header, claims, key):
    """Whatever header, claims and key hold: nothing unsigned is verified, and no claim is what it is not."""
    parts = [json.dumps(part).encode() for part in (header, claims)]
    message = take_apart(".".join([b64(parts[0]), b64(parts[1]), b64(b"x" * 64)]))
    with pytest.raises(BadJwt):
        verify(message, [key, {}, KEY.public])
    for name in ("iat", "aud"):
        for read, kinds in ((message.text, str), (message.moment, float)):
            with contextlib.suppress(BadJwt):
                assert isinstance(read(name), kinds)


@given(OBJECTS | st.fixed_dictionaries({"kty": st.sampled_from(["EC", "OKP", "RSA", "oct"]), "x": VALUES}))
def test_any_key(key):
    """A thumbprint is made of a public key, or there is none."""
    with pytest.raises(BadJwt):
        thumbprint(key)


def test_the_rfcs_thumbprint():
    """The example of RFC 8037, appendix A.3; further members change nothing (RFC 7638 section 3)."""
    key = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert thumbprint(key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert thumbprint({**key, "kid": "x", "use": "sig"}) == thumbprint(key)
    with pytest.raises(BadJwt):
        thumbprint({**key, "d": "secret"})
