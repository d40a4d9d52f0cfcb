"""The token and revocation endpoints: HTTP around `exchange`, with each server's strictness and faults."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable
from urllib.parse import unquote_plus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from connector.sandbox import faults
from connector.sandbox.exchange import Call, exchange
from connector.sandbox.forms import read_form
from connector.sandbox.habits import CLIENTS, Client, Habits, Refusal
from connector.sandbox.state import State
from connector.sandbox.tokens import Claims

Handler = Callable[[Request], Awaitable[Response]]
_SESSION_S = 28_800.0


def token_endpoint(state: State, habits: Habits) -> Handler:
    """Return the handler of a persona's token endpoint (RFC 6749 section 3.2)."""

    async def token(request: Request) -> Response:
        state.counts.add(habits.name, "token_calls")
        try:
            form = await read_form(request, habits)
            fault = form.get("sandbox_fault", "")
            if (early := await faults.before_processing(state, habits.name, fault, request)) is not None:
                return early
            client = read_client(request, form, habits)
            with state.lock:
                reply = exchange(state, habits, Call(client=client, form=form))
        except Refusal as refusal:
            state.counts.add(habits.name, "refused")
            return habits.refuse(refusal)
        state.counts.add(habits.name, "issued")
        response: Response = JSONResponse(reply, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})
        if habits.session_cookie:
            _set_session(state, habits, client, response)
        return faults.after_processing(state, habits.name, fault, response)

    return token


def revocation_endpoint(state: State, habits: Habits, *, authenticated: bool) -> Handler:
    """Return the handler of a revocation endpoint (RFC 7009): 200 for any token, known or not."""

    async def revoke(request: Request) -> Response:
        state.counts.add(habits.name, "revocations")
        try:
            form = await read_form(request, habits)
            if authenticated:
                read_client(request, form, habits)
        except Refusal as refusal:
            return habits.refuse(refusal)
        state.revoke(form.get("token", ""))
        return Response(status_code=200)

    return revoke


def read_client(request: Request, form: dict[str, str], habits: Habits) -> Client:
    """Return the client that authenticated itself (RFC 6749 section 2.3); raises Refusal."""
    basic = _read_basic(request.headers.get("authorization", ""))
    posted = form.get("client_secret")
    if basic is not None and not habits.basic:
        raise Refusal("invalid_client", "client id and secret belong in the body")
    if basic is not None and posted is not None and habits.one_method:
        raise Refusal("invalid_request", "the client authenticated in two ways at once")
    client_id, secret = basic or (form.get("client_id", ""), posted)
    expected = CLIENTS.get(client_id, "")
    if expected is None and not secret:
        return Client(client_id=client_id, public=True)
    if not expected or secret is None or not hmac.compare_digest(secret.encode(), expected.encode()):
        raise Refusal("invalid_client", "the client is unknown or its secret is wrong")
    return Client(client_id=client_id, public=False)


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


def _set_session(state: State, habits: Habits, client: Client, response: Response) -> None:
    now = state.clock()
    claims = Claims(
        persona=habits.name,
        kind="session",
        client_id=client.client_id,
        issued_at=now,
        expires_at=now + _SESSION_S,
    )
    response.set_cookie(habits.session_cookie, state.signer.sign(claims), path="/", httponly=True)
    response.set_cookie("glide_user_route", f"glide.{claims.serial}", path="/", httponly=True)
