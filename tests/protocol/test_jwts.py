"""JWTs that we sign: verified here with the public key, as a server would."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from protocol_room import CANARY, NOW, part

from connector.errors import ConnectorError, NotAuthorizedError
from connector.jwts import new_dpop_key, proof, sign, sign_with_secret, thumbprint
from connector.secret import Secret

RSA = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
P256 = ec.generate_private_key(ec.SECP256R1())
KEYS: dict[str, Any] = {
    "RS256": RSA,
    "ES256": P256,
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
CLAIMS = {"iss": "me", "sub": "me", "aud": "x", "exp": int(NOW) + 10**9}


def pem(key: Any, encryption: Any = None) -> Secret:
    """A private key as PEM."""
    encoded = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    return Secret(encoded.decode())


def public(key: Any) -> Secret:
    """The public half as PEM."""
    return Secret(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


@pytest.mark.parametrize("alg", KEYS)
def test_each_kind_of_key_signs(alg: str) -> None:
    """Without a word from the account the algorithm fits the key (RFC 7518 section 3.1, RFC 8037)."""
    token = sign(CLAIMS, pem(KEYS[alg]), headers={"kid": "k1"})
    assert part(token, 0) == {"alg": alg, "kid": "k1", "typ": "JWT"}
    verified = jwt.decode(token, KEYS[alg].public_key(), algorithms=[alg], audience="x")
    assert verified == CLAIMS


def test_ed448_signs_too() -> None:
    """The other curve of RFC 8037."""
    key = ed448.Ed448PrivateKey.generate()
    assert jwt.decode(sign(CLAIMS, pem(key)), key.public_key(), algorithms=["EdDSA"], audience="x") == CLAIMS


def test_an_algorithm_may_be_chosen() -> None:
    """RSA keys sign by PSS where the account says so."""
    token = sign(CLAIMS, pem(RSA), alg="PS256")
    assert jwt.decode(token, RSA.public_key(), algorithms=["PS256"], audience="x") == CLAIMS


def test_a_jwk_brings_its_name() -> None:
    """A private key as JWK (RFC 7517) may name itself; the account's own word counts more."""
    for key, algorithm in ((RSA, RSAAlgorithm), (P256, ECAlgorithm)):
        text = Secret(json.dumps({**json.loads(algorithm.to_jwk(key)), "kid": "mine"}))  # type: ignore[attr-defined]
        assert part(sign(CLAIMS, text), 0)["kid"] == "mine"
        assert part(sign(CLAIMS, text, headers={"kid": "other"}), 0)["kid"] == "other"


@pytest.mark.parametrize(
    ("key", "alg", "reason"),
    [
        (pem(RSA, BestAvailableEncryption(b"pass")), "", "encrypted"),
        (public(RSA), "", "neither PEM nor a JWK"),
        (Secret(ECAlgorithm.to_jwk(P256.public_key())), "", "no private key"),
        (Secret(CANARY), "", "neither PEM nor a JWK"),
        (Secret(""), "", "neither PEM nor a JWK"),
        (Secret('{"kty":"EC","d":"' + CANARY + '"}'), "", "neither PEM nor a JWK"),
        (Secret('{"kty":"oct","k":"Y2FuYXJ5LTNmOWE1MWM3N2U"}'), "", "no private key"),
        (Secret("[" * 5000), "", "neither PEM nor a JWK"),
        (Secret("{" * 5000), "", "neither PEM nor a JWK"),
        (Secret("\ud800"), "", "neither PEM nor a JWK"),
        (pem(P256), "RS256", "RS256 signs with"),
        (pem(RSA), "ES256", "ES256 signs with"),
        (pem(ec.generate_private_key(ec.SECP224R1())), "", "any known algorithm"),
        (pem(RSA), "none", "none signs with"),
    ],
    ids=range(14),
)
def test_bad_keys(key: Secret, alg: str, reason: str) -> None:
    """What is wrong with a key is said in words of ours, never with any of it."""
    with pytest.raises(NotAuthorizedError, match=reason) as caught:
        sign(CLAIMS, key, alg=alg)
    assert caught.value.code == "bad_private_key"
    assert CANARY not in str(caught.value) + repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda b: f"-----BEGIN PRIVATE KEY-----\n{base64.b64encode(b).decode()}\n-----END PRIVATE KEY-----")
       | st.dictionaries(st.sampled_from(["kty", "crv", "d", "x", "y", "n", "e", "k", "kid"]),
                         st.sampled_from(["EC", "RSA", "OKP", "oct", "P-256", "AQAB", CANARY, 5, None, [], {}])).map(json.dumps))  # fmt: skip
def test_any_key(text: str) -> None:
    """Whatever a key's file holds: signed, or a typed error without it."""
    try:
        sign(CLAIMS, Secret(text))
    except ConnectorError as error:
        assert CANARY not in str(error) + repr(error)
    else:
        raise AssertionError("nobody guesses a private key")


@pytest.mark.parametrize(("alg", "used"), [("", "HS256"), ("HS384", "HS384"), ("HS512", "HS512")])
@pytest.mark.parametrize("secret", ["é1", "ssh-rsa AAAA", public(RSA).reveal()], ids=["short", "ssh", "pem"])
def test_a_secret_signs(secret: str, alg: str, used: str) -> None:
    """`client_secret_jwt`: HMAC with the secret's own bytes, however short or odd the server made it, unwarned."""
    token = sign_with_secret(CLAIMS, Secret(secret), alg=alg)
    assert part(token, 0) == {"alg": used, "typ": "JWT"}
    assert part(token, 1) == CLAIMS
    signed, _, signature = token.rpartition(".")
    expected = hmac.digest(secret.encode(), signed.encode(), used.replace("HS", "sha"))
    assert signature == base64.urlsafe_b64encode(expected).decode().rstrip("=")


@pytest.mark.parametrize("alg", ["RS256", "none"])
def test_a_secret_cannot_sign_everything(alg: str) -> None:
    """An algorithm that wants a key pair, or none at all: a typed error without the secret."""
    with pytest.raises(NotAuthorizedError, match=alg) as caught:
        sign_with_secret(CLAIMS, Secret(CANARY), alg=alg)
    assert caught.value.code == "bad_private_key"
    assert CANARY not in str(caught.value) + repr(caught.value)


def test_the_thumbprint_of_the_rfcs_key() -> None:
    """The key of RFC 9449 section 4.1 has the thumbprint that section 6.1 shows; private parts do not count."""
    key = {
        "kty": "EC",
        "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
        "crv": "P-256",
    }
    assert thumbprint(Secret(json.dumps(key))) == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
    assert thumbprint(Secret(json.dumps({**key, "d": "AA", "kid": "k"}))) == thumbprint(
        Secret(json.dumps(key))
    )


def test_a_proof_in_full() -> None:
    """RFC 9449 section 4.2: its header names type, algorithm and the public key alone; its claims the request."""
    key = new_dpop_key()
    made = proof(key, method="POST", url="https://as.example.com/token?a=b#c", now=NOW + 0.9, unique="u1")
    shown = part(made, 0)
    assert (shown["typ"], shown["alg"], set(shown)) == ("dpop+jwt", "ES256", {"typ", "alg", "jwk"})
    assert shown["jwk"].keys() == {"kty", "crv", "x", "y"}
    assert part(made, 1) == {
        "jti": "u1",
        "htm": "POST",
        "htu": "https://as.example.com/token",
        "iat": int(NOW),
    }
    verified = jwt.decode(
        made, jwt.PyJWK(shown["jwk"]).key, algorithms=["ES256"], options={"verify_iat": False}
    )
    assert verified == part(made, 1)


def test_a_proof_for_an_api() -> None:
    """RFC 9449 sections 7 and 9: the hash of the token it goes with, and the nonce that the server gave."""
    token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
    claims = part(proof(new_dpop_key(), method="GET", url="https://r.example.com/p", now=NOW, unique="u",
                        nonce="n", access_token=token), 1)  # fmt: skip
    # The example of section 7.1.
    assert claims["ath"] == "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"
    assert claims["ath"] == base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).decode().rstrip(
        "="
    )
    assert claims["nonce"] == "n"


def test_dpop_keys_are_new() -> None:
    """Each login has a key of its own, which prints as nothing."""
    keys = [new_dpop_key() for _ in range(20)]
    assert len({thumbprint(key) for key in keys}) == 20
    assert all(json.loads(key.reveal())["d"] not in repr(key) for key in keys)
