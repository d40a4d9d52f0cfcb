"""Pushed authorization requests (RFC 9126): sent by the client itself; a browser carries their name only."""

from __future__ import annotations

import secrets

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from connector.sandbox.asking import check_return, draft_code
from connector.sandbox.clientauth import read_client
from connector.sandbox.forms import read_form
from connector.sandbox.habits import Habits, Refusal
from connector.sandbox.state import Pushed, State
from connector.sandbox.token_endpoint import Handler

_LASTING_S = 60
_NOT_PART_OF_IT = ("client_secret", "client_assertion", "client_assertion_type")


def pushed_endpoint(state: State, habits: Habits) -> Handler:
    """Return the handler that keeps a checked request for a minute and answers its name."""

    async def push(request: Request) -> Response:
        try:
            form = await read_form(request, habits)
            client = read_client(state, habits, request, form)
            if "request_uri" in form:
                raise Refusal("invalid_request", "a pushed request cannot refer to another one")
            asked = {name: text for name, text in form.items() if name not in _NOT_PART_OF_IT}
            asked["client_id"] = client.client_id
            # Wrong requests are found here, not in the browser (RFC 9126 section 2.1).
            check_return(state, asked)
            draft_code(state, habits, asked)
        except Refusal as refusal:
            return habits.refuse(refusal)
        name = f"urn:ietf:params:oauth:request_uri:{secrets.token_urlsafe(18)}"
        until = state.clock() + _LASTING_S
        with state.lock:
            for old in [old for old, kept in state.pushed.items() if kept.expires_at <= state.clock()]:
                del state.pushed[old]
            state.pushed[name] = Pushed(persona=habits.name, fields=asked, expires_at=until)
        body = {"request_uri": name, "expires_in": _LASTING_S}
        return JSONResponse(body, 201, headers={"Cache-Control": "no-store"})

    return push
