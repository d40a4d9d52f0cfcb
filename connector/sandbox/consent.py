"""The authorization page: a person who says yes at once, no, or who is asked; back to loopback only.

``?sandbox_person=allow|deny|ask`` decides who sits there. Without it everyone allows, but for somebody in a
browser where the sandbox asks (`State.ask`).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from connector.sandbox import forms, pages
from connector.sandbox.addresses import issuer
from connector.sandbox.asking import check_return, draft_code
from connector.sandbox.habits import Habits, Refusal
from connector.sandbox.state import State
from connector.sandbox.token_endpoint import Handler
from connector.sandbox.tokens import Claims

_DECISIONS = ("allow", "deny")


def authorization_page(state: State, habits: Habits) -> Handler:
    """Return the handler of a persona's authorization endpoint (RFC 6749 section 3.1)."""

    async def authorize(request: Request) -> Response:
        try:
            asked = _asked(state, habits, request)
            check_return(state, asked)
        except Refusal as refusal:
            return PlainTextResponse(f"{refusal.description}\n", status_code=400)
        try:
            code = draft_code(state, habits, asked)
            person = await _person(state, request)
            if person == "ask":
                return _consent_page(habits, code)
            if not _use_up(state, habits, request):
                return PlainTextResponse("This request was used before.\n", status_code=400)
            if person == "deny":
                raise Refusal("access_denied", "the person said no")
            answer = {"code": state.signer.sign(code)}
        except Refusal as refusal:
            answer = {"error": refusal.error, "error_description": refusal.description}
        return _back(request, habits, asked, answer)

    return authorize


def _asked(state: State, habits: Habits, request: Request) -> Mapping[str, str]:
    """Return the request itself, or what its client pushed (RFC 9126 section 4); raises Refusal."""
    given = forms.query(request)
    if not habits.pushed or "request_uri" not in given:
        return given
    pushed = state.pushed.get(given["request_uri"])
    if pushed is None or pushed.persona != habits.name or pushed.expires_at <= state.clock():
        raise Refusal("invalid_request_uri", "This request is not known, or no longer.")
    if given.get("client_id") != pushed.fields["client_id"]:
        raise Refusal("invalid_request", "This request was pushed by another client.")
    return pushed.fields


def _use_up(state: State, habits: Habits, request: Request) -> bool:
    """Forget a pushed request now that it is answered; False when another answer was quicker."""
    name = request.query_params.get("request_uri")
    with state.lock:
        return name is None or not habits.pushed or state.pushed.pop(name, None) is not None


async def _person(state: State, request: Request) -> str:
    """Return ``allow``, ``deny`` or ``ask``; raises Refusal."""
    if request.method == "POST":
        decision = (await forms.read_page_form(request)).get("decision", "")
        return decision if decision in _DECISIONS else "ask"
    chosen = request.query_params.get("sandbox_person", "")
    if chosen not in ("", "ask", *_DECISIONS):
        raise Refusal("invalid_request", "sandbox_person is allow, deny or ask")
    in_browser = "text/html" in request.headers.get("accept", "")
    return chosen or ("ask" if state.ask and in_browser else "allow")


def _consent_page(habits: Habits, code: Claims) -> Response:
    told = pages.facts(
        {
            "Client": code.client_id,
            "It wants to": code.scopes,
            "It will use this at": code.terms.resources,
            "Then you go back to": code.redirect_uri,
        }
    )
    title = f"{habits.name.title()}: sign {code.client_id} in?"
    return pages.page(title, told + pages.decision_form(), leads_to=code.redirect_uri)


def _back(request: Request, habits: Habits, asked: Mapping[str, str], answer: dict[str, str]) -> Response:
    if "state" in asked:
        answer["state"] = asked["state"]
    if habits.one_method:  # RFC 9207 section 2
        answer["iss"] = issuer(request, habits)
    redirect_uri = asked["redirect_uri"]
    joiner = "&" if "?" in redirect_uri else "?"
    # After a form it must be 303, or the form would be sent on (RFC 9700 section 4.12).
    status = 303 if request.method == "POST" else 302
    return RedirectResponse(f"{redirect_uri}{joiner}{urlencode(answer)}", status_code=status)
