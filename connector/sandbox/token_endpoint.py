"""The token and revocation endpoints: HTTP around `exchange`, with each server's strictness and faults."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from connector.sandbox import dpop, faults
from connector.sandbox.clientauth import audiences, read_client
from connector.sandbox.exchange import exchange
from connector.sandbox.forms import read_form
from connector.sandbox.habits import Client, Habits, Refusal
from connector.sandbox.issuing import Call
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
            call = _call(state, habits, request, form)
            with state.lock:
                reply = exchange(state, habits, call)
        except Refusal as refusal:
            state.counts.add(habits.name, "refused")
            return _with_nonce(state, habits, request, habits.refuse(refusal))
        state.counts.add(habits.name, "issued")
        response: Response = JSONResponse(reply, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})
        if habits.session_cookie:
            _set_session(state, habits, call.client, response)
        response = _with_nonce(state, habits, request, response)
        return faults.after_processing(state, habits.name, fault, response)

    return token


def revocation_endpoint(state: State, habits: Habits, *, authenticated: bool) -> Handler:
    """Return the handler of a revocation endpoint (RFC 7009): 200 for any token, known or not."""

    async def revoke(request: Request) -> Response:
        state.counts.add(habits.name, "revocations")
        try:
            form = await read_form(request, habits)
            if authenticated:
                read_client(state, habits, request, form)
        except Refusal as refusal:
            return habits.refuse(refusal)
        state.revoke(form.get("token", ""))
        return Response(status_code=200)

    return revoke


def _call(state: State, habits: Habits, request: Request, form: dict[str, str]) -> Call:
    """Return who calls, and with which key if any; raises Refusal."""
    # The client first: an assertion is used up even if the nonce is old, so the next try needs another one.
    client = read_client(state, habits, request, form)
    key = dpop.prove(state, habits, request) if habits.nonce_s and "dpop" in request.headers else ""
    return Call(client=client, form=form, key=key, audiences=audiences(request, habits))


def _with_nonce(state: State, habits: Habits, request: Request, response: Response) -> Response:
    if habits.nonce_s and "dpop" in request.headers:
        response.headers.update(dpop.nonce(state, habits))
    return response


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
