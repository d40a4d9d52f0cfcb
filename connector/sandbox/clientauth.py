"""Who is calling: clients prove themselves by secret (RFC 6749 section 2.3) or assertion (RFC 7523)."""

from __future__ import annotations

import base64
import binascii
import hmac
from urllib.parse import unquote_plus

from starlette.requests import Request

from connector.sandbox.addresses import here, issuer, site
from connector.sandbox.assertions import check_assertion
from connector.sandbox.habits import ASSERTION_GRANT, CLIENTS, Client, Habits, Refusal
from connector.sandbox.jwts import BadJwt, take_apart
from connector.sandbox.state import State

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def is_known(state: State, client_id: str) -> bool:
    """Whether a client is registered, with a secret, with keys or with neither."""
    return client_id in CLIENTS or client_id in state.client_keys


def is_public(state: State, client_id: str) -> bool:
    """Whether a client has nothing to prove itself with; raises KeyError for one that is not registered."""
    return client_id not in state.client_keys and CLIENTS[client_id] is None


def audiences(request: Request, habits: Habits) -> frozenset[str]:
    """Return what an assertion may call this server (RFC 7523 section 3, RFC 9126 section 2)."""
    return frozenset({issuer(request, habits), site(request) + habits.token_path, here(request)})


def read_client(state: State, habits: Habits, request: Request, form: dict[str, str]) -> Client:
    """Return the client that authenticated itself; raises Refusal."""
    basic = _read_basic(request.headers.get("authorization", ""))
    posted = form.get("client_secret")
    asserted = form.get("client_assertion")
    if basic is not None and not habits.basic:
        raise Refusal("invalid_client", "client id and secret belong in the body")
    if habits.one_method and [basic, posted, asserted].count(None) < 2:
        raise Refusal("invalid_request", "the client authenticated in two ways at once")
    if asserted is not None and habits.assertions:
        return _by_assertion(state, habits, request, form)
    client_id, secret = basic or (form.get("client_id", ""), posted)
    if habits.one_method and form.get("client_id", client_id) != client_id:
        raise Refusal("invalid_request", "client_id is not the client that authenticated itself")
    if not secret and habits.assertions and form.get("grant_type") == ASSERTION_GRANT:
        # Authenticating is optional there (RFC 7521 section 4.1): whoever signed the grant is the client, and
        # whether anyone did is seen when it is used.
        return Client(client_id=client_id or _issuer(form.get("assertion", "")), public=False)
    if not secret and is_known(state, client_id) and is_public(state, client_id):
        return Client(client_id=client_id, public=True)
    expected = CLIENTS.get(client_id)
    if not expected or secret is None or not hmac.compare_digest(secret.encode(), expected.encode()):
        raise Refusal("invalid_client", "the client is unknown or its secret is wrong")
    return Client(client_id=client_id, public=False)


def _by_assertion(state: State, habits: Habits, request: Request, form: dict[str, str]) -> Client:
    if form.get("client_assertion_type") != _ASSERTION_TYPE:
        raise Refusal("invalid_client", f"client_assertion_type must be {_ASSERTION_TYPE}")
    try:
        assertion = take_apart(form["client_assertion"])
        if assertion.text("sub") != assertion.text("iss"):
            raise BadJwt("iss and sub must both be the client")
        if form.get("client_id", assertion.text("sub")) != assertion.text("sub"):
            raise BadJwt("client_id is another client")
        client_id = check_assertion(state, habits, assertion, audiences(request, habits), of_client=True)
    except BadJwt as bad:
        raise Refusal("invalid_client", f"the client assertion is refused: {bad}") from None
    return Client(client_id=client_id, public=False)


def _issuer(text: str) -> str:
    """Return who says to have written an assertion, empty when nobody does."""
    try:
        return take_apart(text).text("iss")
    except BadJwt:
        return ""


def _read_basic(header: str) -> tuple[str, str] | None:
    """Return id and secret of a Basic header, each form-decoded (RFC 6749 section 2.3.1)."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as broken:
        raise Refusal("invalid_client", "the Basic credentials cannot be read") from broken
    return unquote_plus(client_id), unquote_plus(secret)
