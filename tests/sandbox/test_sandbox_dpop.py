"""DPoP at the strict server (RFC 9449): tokens that are worth nothing without their key."""

from __future__ import annotations

import hashlib
import secrets

import pytest
from sandbox_room import AUTHORIZE, TOKEN, Key, answer, b64, log_in, question, redeem

from connector.sandbox import PUBLIC_CLIENT_ID

PATH = TOKEN["strict"]
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
SITE = "http://sandbox.test"
API = "/strict/api/items?limit=1"
ALGORITHMS = ["ES256", "EdDSA", "RS256"]


@pytest.fixture
def key():
    """A key of the kind that most clients use."""
    return Key()


def proof(wire, clock, key, method="POST", path=PATH, token="", header=None, sign=None, **more):
    """Return a proof (section 4.2); None in `more` leaves a claim out."""
    claims = {
        "htm": method,
        "htu": SITE + path.partition("?")[0],
        "iat": clock.now,
        "jti": secrets.token_hex(8),
        "nonce": nonce(wire, clock),
        "ath": b64(hashlib.sha256(token.encode()).digest()) if token else None,
        **more,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    return (sign or key).sign(claims, **{"typ": "dpop+jwt", "jwk": key.public, **(header or {})})


def nonce(wire, clock):
    """Return the nonce of the moment, as any refused call tells it."""
    return wire("POST", PATH, headers={"DPoP": "x"}).headers["dpop-nonce"]


def own_token(wire, clock, key, **more):
    """Ask for a token of the client's own, with a proof."""
    headers = {"DPoP": proof(wire, clock, key, **more)}
    return wire("POST", PATH, data={"grant_type": "client_credentials"}, headers=headers, auth=SECRET)


SECRET = ("sandbox", "sandbox-secret")


def call(wire, token, text="", scheme="DPoP", path=API):
    """Call the API with a token and a proof."""
    headers = {"Authorization": f"{scheme} {token}"} | ({"DPoP": text} if text else {})
    return wire("GET", path, headers=headers)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_bound_token(wire, clock, algorithm):
    """The reply says DPoP (section 5), the API wants the key (section 7), introspection shows it (section 6.2)."""
    key = Key(algorithm)
    reply = own_token(wire, clock, key)
    assert (reply.status_code, reply.json()["token_type"]) == (200, "DPoP")
    assert reply.headers["dpop-nonce"]
    token = reply.json()["access_token"]
    answered = call(wire, token, proof(wire, clock, key, "GET", API, token))
    assert (answered.status_code, bool(answered.headers["dpop-nonce"])) == (200, True)
    told = wire.token("/strict/introspect", token=token).json()
    members = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
    parts = (f'"{name}":"{key.public[name]}"' for name in members[key.public["kty"]])
    thumbprint = b64(hashlib.sha256(("{" + ",".join(parts) + "}").encode()).digest())
    assert (told["token_type"], told["cnf"]) == ("DPoP", {"jkt": thumbprint})


def test_without_a_proof_it_is_bearer(wire):
    """DPoP is the client's choice; a bearer token stays one, and is refused as DPoP."""
    reply = wire.token(PATH, grant_type="client_credentials")
    assert reply.json()["token_type"] == "Bearer"
    assert "dpop-nonce" not in reply.headers
    refused = call(wire, reply.json()["access_token"])
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
    assert refused.headers["www-authenticate"].startswith("DPoP error=")


def test_a_bound_token_is_no_bearer_token(wire, clock, key):
    """Section 7.2: or a thief would simply call it one."""
    token = own_token(wire, clock, key).json()["access_token"]
    for text in ("", proof(wire, clock, key, "GET", API, token)):
        refused = call(wire, token, text, scheme="Bearer")
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
        challenge = refused.headers["www-authenticate"]
        assert challenge.startswith("DPoP")
        assert 'algs="ES256 EdDSA RS256"' in challenge
    assert wire.sandbox.counts["strict"].unauthorized == 2


def test_a_nonce_is_asked_for_at_the_token_endpoint(wire, clock, key):
    """Section 8: 400 use_dpop_nonce with the nonce to use, and nothing is spent by it."""
    code = answer(wire("GET", AUTHORIZE["strict"], params=question()))["code"]
    for wrong in (None, "made-up", 7):
        headers = {"DPoP": proof(wire, clock, key, nonce=wrong)}
        refused = redeem(wire, "strict", code, headers)
        assert (refused.status_code, refused.json()["error"]) == (400, "use_dpop_nonce")
    headers = {"DPoP": proof(wire, clock, key, nonce=refused.headers["dpop-nonce"])}
    assert redeem(wire, "strict", code, headers).json()["token_type"] == "DPoP"


def test_a_nonce_is_asked_for_at_the_api(wire, clock, key):
    """Section 9: 401 with the same word in the challenge."""
    token = own_token(wire, clock, key).json()["access_token"]
    refused = call(wire, token, proof(wire, clock, key, "GET", API, token, nonce=None))
    assert refused.status_code == 401
    assert 'DPoP error="use_dpop_nonce"' in refused.headers["www-authenticate"]
    text = proof(wire, clock, key, "GET", API, token, nonce=refused.headers["dpop-nonce"])
    assert call(wire, token, text).status_code == 200


def test_nonces_change(wire, clock, key):
    """Every five minutes, the last one staying good as long again; or at once, and then the old ones are dead."""
    first = nonce(wire, clock)
    clock.now += 300
    second = nonce(wire, clock)
    assert second != first
    assert own_token(wire, clock, key, nonce=first).headers["dpop-nonce"] == second
    clock.now += 300
    assert own_token(wire, clock, key, nonce=first).json()["error"] == "use_dpop_nonce"
    assert own_token(wire, clock, key, nonce=second).is_success
    third = nonce(wire, clock)
    wire.sandbox.rotate_nonce()
    assert own_token(wire, clock, key, nonce=third).json()["error"] == "use_dpop_nonce"
    assert own_token(wire, clock, key).is_success


@pytest.mark.parametrize(
    "wrong",
    [
        {"htm": "GET"},
        {"htm": None},
        {"htu": SITE + "/strict/par"},
        {"htu": "https://sandbox.test" + PATH},
        {"htu": SITE + ":81" + PATH},
        {"htu": "http://[" + PATH},
        {"htu": None},
        {"iat": 1_800_000_061.0},
        {"iat": 1_799_999_939.0},
        {"iat": "now"},
        {"iat": True},
        {"iat": None},
        {"jti": None},
        {"jti": ""},
        {"jti": 5},
        {"header": {"typ": "JWT"}},
        {"header": {"jwk": None}},
        {"header": {"jwk": "x"}},
        {"header": {"jwk": {"kty": "EC"}}},
        {"header": {"crit": ["exp"], "exp": 1}},
    ],
)
def test_wrong_proofs(wire, clock, key, wrong):
    """Each of the checks of section 4.3 is made: invalid_dpop_proof."""
    reply = own_token(wire, clock, key, **wrong)
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_dpop_proof")


@pytest.mark.parametrize(
    "ok", [{"htu": SITE + ":80" + PATH}, {"htu": "HTTP://Sandbox.test" + PATH + "?x=1#y"}]
)
def test_addresses_are_compared_as_addresses(wire, clock, key, ok):
    """A default port, capitals, a query: the same address (section 4.3, step 9)."""
    assert own_token(wire, clock, key, **ok).is_success


@pytest.mark.parametrize("moved_s", [-60, 60])
def test_a_minute_is_close_enough(wire, clock, key, moved_s):
    """Clocks differ: one minute either way is taken."""
    assert own_token(wire, clock, key, iat=clock.now + moved_s).is_success


def test_keys_that_do_not_fit(wire, clock, key):
    """Another key's signature, a private key shown, an algorithm that is not offered, several proofs, nonsense."""
    wrong = [
        proof(wire, clock, key, sign=Key()),
        proof(wire, clock, key, header={"jwk": key.secret}),
        proof(wire, clock, Key("ES384")),
        proof(wire, clock, Key("PS256")),
        proof(wire, clock, key, sign=Key("EdDSA")),
        "",
        "a.b.c",
        "x" * 20_000,
        key.sign({})[:-3],
    ]
    for text in wrong:
        reply = wire(
            "POST", PATH, data={"grant_type": "client_credentials"}, headers={"DPoP": text}, auth=SECRET
        )
        assert (reply.status_code, reply.json()["error"]) == (400, "invalid_dpop_proof"), text
    headers = [("DPoP", proof(wire, clock, key)), ("DPoP", proof(wire, clock, key))]
    form = {"grant_type": "client_credentials"}
    assert wire("POST", PATH, data=form, headers=headers, auth=SECRET).json()["error"] == "invalid_dpop_proof"


def test_a_proof_is_good_once(wire, clock, key):
    """A proof that was seen before is refused (section 11.1); the same jti of another key is another one."""
    text = proof(wire, clock, key, jti="one")
    form = {"grant_type": "client_credentials"}

    def send(text):
        return wire("POST", PATH, data=form, headers={"DPoP": text}, auth=SECRET)

    assert send(text).is_success
    clock.now += 59
    assert send(text).json()["error"] == "invalid_dpop_proof"
    assert send(proof(wire, clock, Key(), jti="one")).is_success


@pytest.mark.parametrize("wrong", ["ath", "key", "none", "htu", "method"])
def test_wrong_proofs_at_the_api(wire, clock, key, wrong):
    """The proof is of this token, this key, this address (section 7.1)."""
    token = own_token(wire, clock, key).json()["access_token"]
    text = {
        "ath": lambda: proof(wire, clock, key, "GET", API, "another"),
        "key": lambda: proof(wire, clock, Key(), "GET", API, token),
        "none": lambda: "",
        "htu": lambda: proof(wire, clock, key, "GET", "/strict/api/pages", token),
        "method": lambda: proof(wire, clock, key, "POST", API, token),
    }[wrong]()
    refused = call(wire, token, text)
    assert refused.status_code == 401
    expected = "invalid_token" if wrong == "key" else "invalid_dpop_proof"
    assert refused.json()["error"] == expected
    assert f'DPoP error="{expected}"' in refused.headers["www-authenticate"]


def test_refresh_tokens_of_public_clients_are_bound(wire, clock, key):
    """Section 5: only with the same key; a wrong one does not use the refresh token up."""
    public = {"client_id": PUBLIC_CLIENT_ID, "client_secret": ""}
    code = answer(wire("GET", AUTHORIZE["strict"], params=question(PUBLIC_CLIENT_ID)))["code"]
    first = redeem(wire, "strict", code, {"DPoP": proof(wire, clock, key)}, **public).json()
    form = {
        "grant_type": "refresh_token",
        "refresh_token": first["refresh_token"],
        "client_id": PUBLIC_CLIENT_ID,
    }
    assert wire("POST", PATH, data=form).json()["error"] == "invalid_grant"
    stolen = {"DPoP": proof(wire, clock, Key())}
    assert wire("POST", PATH, data=form, headers=stolen).json()["error"] == "invalid_grant"
    renewed = wire("POST", PATH, data=form, headers={"DPoP": proof(wire, clock, key)}).json()
    assert renewed["token_type"] == "DPoP"
    form["refresh_token"] = renewed["refresh_token"]
    assert wire("POST", PATH, data=form, headers={"DPoP": proof(wire, clock, key)}).is_success


def test_refresh_tokens_of_clients_with_a_secret_are_not(wire, clock, key):
    """They are bound to the client already (section 5): it may take a new key, or none."""
    code = answer(wire("GET", AUTHORIZE["strict"], params=question()))["code"]
    reply = redeem(wire, "strict", code, {"DPoP": proof(wire, clock, key)}).json()
    form = {"grant_type": "refresh_token", "refresh_token": reply["refresh_token"]}
    other = wire("POST", PATH, data=form, headers={"DPoP": proof(wire, clock, Key())}, auth=SECRET).json()
    assert other["token_type"] == "DPoP"
    assert wire.refresh(PATH, other["refresh_token"]).json()["token_type"] == "Bearer"


def test_a_code_may_be_bound(wire, clock, key):
    """The field dpop_jkt of an authorization request names the key that alone may redeem it (section 10)."""
    parts = ",".join(f'"{name}":"{key.public[name]}"' for name in ("crv", "kty", "x", "y"))
    asked = question(dpop_jkt=b64(hashlib.sha256(("{" + parts + "}").encode()).digest()))
    code = answer(wire("GET", AUTHORIZE["strict"], params=asked))["code"]
    assert redeem(wire, "strict", code).json()["error"] == "invalid_grant"
    wrong = {"DPoP": proof(wire, clock, Key())}
    assert redeem(wire, "strict", code, wrong).json()["error"] == "invalid_grant"
    assert redeem(wire, "strict", code, {"DPoP": proof(wire, clock, key)}).is_success


def test_a_bound_token_is_exchanged_by_its_holder_only(wire, clock, key):
    """Or token exchange (RFC 8693) would make a bearer token of a stolen one."""
    token = own_token(wire, clock, key).json()["access_token"]
    kind = "urn:ietf:params:oauth:token-type:access_token"
    form = {"subject_token": token, "subject_token_type": kind, "grant_type": EXCHANGE}
    for headers in ({}, {"DPoP": proof(wire, clock, Key())}):
        refused = wire("POST", PATH, data=form, headers=headers, auth=SECRET)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    headers = {"DPoP": proof(wire, clock, key)}
    assert wire("POST", PATH, data=form, headers=headers, auth=SECRET).json()["token_type"] == "DPoP"


def test_every_challenge_names_the_scheme(wire, clock, key):
    """Too small a scope and too weak a login are told in the words of DPoP as well (section 7.1)."""
    form = {"grant_type": "client_credentials", "scope": "items.read"}
    headers = {"DPoP": proof(wire, clock, key)}
    token = wire("POST", PATH, data=form, headers=headers, auth=SECRET).json()["access_token"]
    upload, secure = "/strict/api/upload", "/strict/api/secure"
    headers = {"Authorization": f"DPoP {token}", "DPoP": proof(wire, clock, key, "POST", upload, token)}
    refused = wire("POST", upload, headers=headers, content=b"x")
    assert (refused.status_code, refused.headers["www-authenticate"][:5]) == (403, "DPoP ")
    refused = call(wire, token, proof(wire, clock, key, "GET", secure, token), path=secure)
    assert (refused.status_code, refused.headers["www-authenticate"][:5]) == (401, "DPoP ")


def test_others_do_not_know_it(wire):
    """Where DPoP is unknown, its header is one more header, and its scheme no scheme."""
    reply = wire(
        "POST", TOKEN["flaky"], data={"grant_type": "client_credentials"}, headers={"DPoP": "x"}, auth=SECRET
    )
    assert reply.json()["token_type"] == "bearer"
    token = log_in(wire, "flaky")["access_token"]
    assert call(wire, token, path="/flaky/api/items?fault=none").status_code == 401
