"""The persona ``/flaky``: the strict one without rotation, on a bad day.

One API request in five goes wrong, by a plan made from the seed; ``?fault=`` forces one (``none``: no fault).
"""

from __future__ import annotations

import itertools
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connector.sandbox import faults, strict
from connector.sandbox.guard import Guard, challenge
from connector.sandbox.state import State
from connector.sandbox.token_endpoint import Handler

HABITS = replace(
    strict.HABITS,
    name="flaky",
    token_path="/flaky/token",
    token_type="bearer",
    grants=frozenset({"authorization_code", "refresh_token", "client_credentials"}),
    rotates=False,
    one_method=False,
    assertions=False,
    nonce_s=0,
    steps_up=False,
    pushed=False,
)


def routes(state: State) -> list[Route]:
    """Return the routes of this persona."""
    guard = Guard(state=state, persona="flaky", unauthorized=_unauthorized, forbidden=_forbidden)
    plan = itertools.cycle(faults.schedule(state.random("flaky")))

    def door(handler: Handler, *, scope: str = "") -> Handler:
        async def unreliable(request: Request) -> Response:
            # A forced fault does not move the plan on, so that a test can mix both.
            fault = request.query_params.get("fault") or next(plan)
            return await faults.spoil(state, "flaky", fault, request, await handler(request))

        return guard(unreliable, scope=scope)

    return strict.bench_routes(state, HABITS, door)


def _unauthorized(request: Request, why: str) -> Response:
    return challenge("flaky", why)


def _forbidden(request: Request, scope: str) -> Response:
    return challenge("flaky", "scope", scope)
