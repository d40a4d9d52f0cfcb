"""Clients that sign: authentication by JWT (RFC 7523), JWT bearer grants, and tokens for tokens (RFC 8693)."""

from __future__ import annotations

import jwt
import pytest
from sandbox_room import AUTHORIZE, BACK, TOKEN, VERIFIER, Key, answer, assertion, log_in, question

from connector.sandbox import CLIENT_ID, LONG_CLIENT_ID, LONG_CLIENT_SECRET, PUBLIC_CLIENT_ID, Sandbox

PATH = TOKEN["strict"]
BY_JWT = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS = "urn:ietf:params:oauth:token-type:access_token"
ROBOT = "robot"
KEYS = {algorithm: Key(algorithm, kid=algorithm) for algorithm in ("ES256", "EdDSA", "RS256", "PS256")}
KEY = KEYS["ES256"]
JWKS = {"keys": [key.public for key in KEYS.values()]}


@pytest.fixture
def sandbox(clock):
    """One that knows a robot by its keys, and keys of the two demo clients."""
    keys = {ROBOT: JWKS, CLIENT_ID: KEY.jwks, PUBLIC_CLIENT_ID: KEY.jwks}
    return Sandbox(clock=clock, client_keys=keys)


def signed_in(wire, text, path=PATH, **fields):
    """Call with a client assertion, as whoever wrote it."""
    form = {"grant_type": "client_credentials", "client_assertion_type": BY_JWT, "client_assertion": text}
    return wire("POST", path, data={**form, **fields})


@pytest.mark.parametrize("algorithm", list(KEYS))
def test_private_key_jwt(wire, clock, algorithm):
    """Each kind of key proves its client (section 2.2)."""
    reply = signed_in(wire, KEYS[algorithm].sign(assertion(clock, ROBOT)))
    token = reply.json()["access_token"]
    assert signed_in(wire, KEY.sign(assertion(clock, ROBOT)), client_id=ROBOT).is_success
    assert wire.token("/strict/introspect", token=token).json()["client_id"] == ROBOT


def test_a_key_without_a_name(wire_to, clock):
    """Neither side needs a kid: the key that fits is found."""
    key, other = Key("EdDSA"), Key("EdDSA")
    wire = wire_to(Sandbox(clock=clock, client_keys={ROBOT: {"keys": [other.public, key.public]}}))
    assert signed_in(wire, key.sign(assertion(clock, ROBOT))).is_success


def test_client_secret_jwt(wire, clock):
    """A secret may sign instead of being sent (OpenID Connect Core section 9)."""
    claims = assertion(clock, LONG_CLIENT_ID)
    assert signed_in(wire, jwt.encode(claims, LONG_CLIENT_SECRET, "HS256")).is_success
    claims = assertion(clock, LONG_CLIENT_ID)
    wrong = jwt.encode(claims, LONG_CLIENT_SECRET + "x", "HS256")
    assert signed_in(wire, wrong).json()["error"] == "invalid_client"
    nobody = jwt.encode(assertion(clock, ROBOT), LONG_CLIENT_SECRET, "HS256")
    assert signed_in(wire, nobody).json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    ("aud", "good"),
    [
        ("http://sandbox.test/strict", True),
        ("http://sandbox.test/strict/token", True),
        (["https://other.example", "http://sandbox.test/strict"], True),
        ("http://sandbox.test/strict/", False),
        ("http://sandbox.test/coupa/oauth2/token", False),
        ("https://other.example", False),
        ([], False),
        ({"a": 1}, False),
        ([["http://sandbox.test/strict"]], False),
        (None, False),
    ],
)
def test_audience(wire, clock, aud, good):
    """The issuer or the token endpoint (section 3, item 3)."""
    assert signed_in(wire, KEY.sign(assertion(clock, ROBOT, aud=aud))).is_success is good


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": CLIENT_ID},
        {"sub": CLIENT_ID},
        {"iss": None},
        {"sub": None},
        {"exp": None},
        {"exp": 1_800_000_000},
        {"exp": 1_800_003_601},
        {"exp": "soon"},
        {"nbf": 1_800_000_061},
        {"iat": 1_800_000_061},
        {"jti": None},
        {"jti": 7},
        {"iss": "nobody", "sub": "nobody"},
    ],
)
def test_wrong_assertions(wire, clock, wrong):
    """Each claim of section 3 is looked at: 401 invalid_client."""
    reply = signed_in(wire, KEY.sign(assertion(clock, ROBOT, **wrong)))
    assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client")


def test_wrong_signatures(wire, clock):
    """Another key, another name for a key, no signature, a public key taken for a secret, nonsense."""
    claims = assertion(clock, ROBOT)
    texts = [
        Key().sign(claims),
        KEY.sign(claims, kid="RS256"),
        jwt.encode(claims, None, "none"),
        jwt.encode(claims, str(KEY.public) * 2, "HS256"),
        KEY.sign(claims)[:-4] + "AAAA",
        "x",
        "",
    ]
    for text in texts:
        assert signed_in(wire, text).json()["error"] == "invalid_client", text
    assert signed_in(wire, KEY.sign(claims)).is_success


def test_an_assertion_is_good_once(wire, clock):
    """Its jti is used up (section 3, item 7), whatever became of the call."""
    text = KEY.sign(assertion(clock, ROBOT))
    assert signed_in(wire, text, grant_type="refresh_token").json()["error"] == "invalid_request"
    assert signed_in(wire, text).json()["error"] == "invalid_client"


def test_one_way_at_a_time(wire, clock):
    """Two ways of authentication, a wrong type or another client's id are refused (RFC 6749 section 2.3)."""

    def text(client_id=CLIENT_ID):
        return KEY.sign(assertion(clock, client_id))

    assert signed_in(wire, text(), client_secret="sandbox-secret").json()["error"] == "invalid_request"
    assert signed_in(wire, text(), client_assertion_type="x").json()["error"] == "invalid_client"
    assert signed_in(wire, text(), client_id=ROBOT).json()["error"] == "invalid_client"
    basic = wire(
        "POST",
        PATH,
        data={"grant_type": "client_credentials", "client_id": ROBOT},
        auth=("sandbox", "sandbox-secret"),
    )
    assert basic.json()["error"] == "invalid_request"


def test_who_has_keys_must_use_them(wire, clock):
    """A client with keys is not public any more, and a robot has no secret; a demo client keeps its own."""
    for client_id in (ROBOT, PUBLIC_CLIENT_ID):
        form = {"client_id": client_id, "client_secret": "", "grant_type": "client_credentials"}
        assert wire.token(PATH, **form).json()["error"] == "invalid_client"
    assert wire.token(PATH, grant_type="client_credentials").is_success
    assert signed_in(wire, KEY.sign(assertion(clock, PUBLIC_CLIENT_ID))).is_success


def test_a_login_of_a_client_with_keys(wire, clock):
    """Code and refresh, as any other client; also pushed, introspected and revoked by assertion."""
    code = answer(wire("GET", AUTHORIZE["strict"], params=question(ROBOT)))["code"]
    grant = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
    }
    reply = signed_in(wire, KEY.sign(assertion(clock, ROBOT)), **grant).json()
    grant = {"grant_type": "refresh_token", "refresh_token": reply["refresh_token"]}
    renewed = signed_in(wire, KEY.sign(assertion(clock, ROBOT)), **grant).json()
    own = assertion(clock, ROBOT, aud="http://sandbox.test/strict/par")
    assert signed_in(wire, KEY.sign(own), "/strict/par", **question(ROBOT)).status_code == 201
    token = {"token": renewed["access_token"]}
    seen = signed_in(wire, KEY.sign(assertion(clock, ROBOT)), "/strict/introspect", **token)
    assert seen.json()["active"] is True
    assert signed_in(wire, KEY.sign(assertion(clock, ROBOT)), "/strict/revoke", **token).is_success
    assert wire.token("/strict/introspect", **token).json() == {"active": False}


def test_sandbox_authorize_knows_them(sandbox):
    """The shortcut for tests takes clients with keys too."""
    assert "refresh_token" in sandbox.authorize("strict", client_id=ROBOT)
    with pytest.raises(KeyError):
        sandbox.authorize("strict", client_id="nobody")


@pytest.mark.parametrize("path", [TOKEN["coupa"], TOKEN["servicenow"], TOKEN["flaky"]])
def test_others_do_not_take_assertions(wire, clock, path):
    """Elsewhere a client that only signs has not authenticated itself."""
    assert signed_in(wire, KEY.sign(assertion(clock, ROBOT)), path, scope="a").status_code == 401


# JWT bearer grants ------------------------------------------------------------------------------


def test_jwt_bearer_at_strict(wire, clock):
    """Whoever signed is the client (RFC 7521 section 4.1); the token speaks for sub; no refresh token."""
    text = KEY.sign(assertion(clock, ROBOT, sub="grace"))
    reply = wire("POST", PATH, data={"grant_type": BEARER, "assertion": text, "scope": "items.read"})
    assert (reply.status_code, reply.json()["scope"]) == (200, "items.read")
    assert "refresh_token" not in reply.json()
    token = reply.json()["access_token"]
    told = wire.token("/strict/introspect", token=token).json()
    assert (told["client_id"], told["sub"], told["username"]) == (ROBOT, "grace", "grace")
    assert wire.get("/strict/userinfo", token).json()["sub"] == "grace"
    again = wire("POST", PATH, data={"grant_type": BEARER, "assertion": text})
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("who", [{}, {"client_id": ROBOT}, {"client_assertion_type": BY_JWT}])
def test_jwt_bearer_and_client_authentication(wire, clock, who):
    """The client may name itself or authenticate itself too; it must be the one that signed."""
    if "client_assertion_type" in who:
        who = {**who, "client_assertion": KEY.sign(assertion(clock, ROBOT))}
    form = {"grant_type": BEARER, "assertion": KEY.sign(assertion(clock, ROBOT)), **who}
    assert wire("POST", PATH, data=form).is_success
    form["assertion"] = KEY.sign(assertion(clock, ROBOT))
    other = wire("POST", PATH, data={**form, "client_id": CLIENT_ID, "client_secret": "sandbox-secret"})
    assert not other.is_success


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "x"},
        {"exp": 1},
        {"sub": None},
        {"iss": "nobody"},
        {"iss": None},
        {"iss": CLIENT_ID, "sub": ""},
    ],
)
def test_wrong_grants(wire, clock, wrong):
    """What is wrong with an assertion is invalid_grant (RFC 7523 section 3.1)."""
    form = {"grant_type": BEARER, "assertion": KEY.sign(assertion(clock, ROBOT, **wrong))}
    reply = wire("POST", PATH, data=form)
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("text", ["", "x", "a.b.c"])
def test_grants_that_are_no_jwt(wire, text):
    """Nonsense is invalid_grant too, and a secret may not sign a grant."""
    assert (
        wire("POST", PATH, data={"grant_type": BEARER, "assertion": text}).json()["error"] == "invalid_grant"
    )


def test_a_secret_signs_no_grant(wire, clock):
    """Only registered keys do."""
    text = jwt.encode(assertion(clock, LONG_CLIENT_ID), LONG_CLIENT_SECRET, "HS256")
    assert (
        wire("POST", PATH, data={"grant_type": BEARER, "assertion": text}).json()["error"] == "invalid_grant"
    )


@pytest.mark.parametrize(
    "aud", ["http://sandbox.test/servicenow", "http://sandbox.test/servicenow/oauth_token.do"]
)
def test_jwt_bearer_at_servicenow(wire, clock, aud):
    """With the client's secret beside it, no refresh token, and a jti that may be left out."""
    text = KEY.sign(assertion(clock, CLIENT_ID, sub="abel", aud=aud, jti=None))
    reply = wire.token(TOKEN["servicenow"], grant_type=BEARER, assertion=text)
    assert (reply.status_code, "refresh_token" in reply.json()) == (200, False)
    token = reply.json()["access_token"]
    assert wire.get("/servicenow/api/now/table/sys_user?sysparm_limit=1", token).is_success
    for wrong in (
        {"client_secret": "wrong"},
        {"client_secret": ""},
        {"assertion": Key().sign({"iss": CLIENT_ID})},
    ):
        refused = wire.token(TOKEN["servicenow"], **{"grant_type": BEARER, "assertion": text, **wrong})
        assert (refused.status_code, refused.json()["error"]) == (401, "server_error")


# Token exchange ---------------------------------------------------------------------------------


def swap(wire, token, **fields):
    """Exchange a token as the demo client."""
    form = {"subject_token": token, "subject_token_type": ACCESS, **fields}
    return wire.token(PATH, grant_type=EXCHANGE, **form)


def test_token_exchange(wire, clock):
    """A narrower token for the same person (section 2.2.1): typed, without refresh token, no longer than the first."""
    reply = log_in(wire, "strict", scope="items.read items.write", resource=["https://a.example/", "urn:b"])
    clock.now += 200
    given = swap(wire, reply["access_token"], scope="items.read", resource="urn:b")
    assert given.headers["cache-control"] == "no-store"
    given = given.json()
    assert (given["issued_token_type"], given["token_type"], given["scope"]) == (
        ACCESS,
        "Bearer",
        "items.read",
    )
    assert ("refresh_token" in given, given["expires_in"]) == (False, 100)
    told = wire.token("/strict/introspect", token=given["access_token"]).json()
    assert (told["username"], told["scope"], told["aud"]) == ("ada", "items.read", ["urn:b"])
    assert swap(wire, reply["access_token"]).json()["scope"] == "items.read items.write"
    assert swap(wire, reply["access_token"], sandbox_lifetime="5").json()["expires_in"] == 5


def test_what_is_exchanged_dies_with_the_login(wire):
    """Revoking the login's refresh token takes every token along."""
    reply = log_in(wire, "strict")
    given = swap(wire, reply["access_token"]).json()["access_token"]
    wire.token("/strict/revoke", token=reply["refresh_token"])
    assert wire.get("/strict/api/items", given).status_code == 401


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"subject_token": "x"}, "invalid_request"),
        ({"subject_token": ""}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:jwt"}, "invalid_request"),
        ({"subject_token_type": ""}, "invalid_request"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
        ({"actor_token": "x"}, "invalid_request"),
        ({"audience": "x"}, "invalid_target"),
        ({"resource": "urn:c"}, "invalid_target"),
        ({"scope": "items.read items.write"}, "invalid_scope"),
        ({"client_secret": "wrong"}, "invalid_client"),
    ],
)
def test_wrong_exchanges(wire, fields, error):
    """Section 2.2.2: a token that is no good is invalid_request; more than it allows is refused."""
    token = log_in(wire, "strict", resource="urn:b")["access_token"]
    form = {"subject_token": token, "subject_token_type": ACCESS, **fields}
    assert wire.token(PATH, grant_type=EXCHANGE, **form).json()["error"] == error


def test_dead_and_foreign_tokens_are_not_exchanged(wire, clock):
    """It must be a living access token of this server."""
    for token in (log_in(wire, "strict")["refresh_token"], wire.sandbox.authorize("flaky")["access_token"]):
        assert swap(wire, token).json()["error"] == "invalid_request"
    token = log_in(wire, "strict")["access_token"]
    clock.now += 300
    assert swap(wire, token).json()["error"] == "invalid_request"


def test_public_clients_exchange_nothing(wire_to):
    """A client that proves nothing may not."""
    wire = wire_to(Sandbox())
    token = log_in(wire, "strict")["access_token"]
    refused = swap(wire, token, client_id=PUBLIC_CLIENT_ID, client_secret="")
    assert refused.json()["error"] == "unauthorized_client"
