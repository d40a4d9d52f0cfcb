"""Where a device asks to be signed in, and where a person types its code (RFC 8628 sections 3.1 to 3.3).

Form fields of the device's request, beside those of the RFC: ``sandbox_person`` (``allow`` or ``deny``:
decided at once), ``sandbox_expires`` and ``sandbox_interval`` (seconds).
"""

from __future__ import annotations

from html import escape
from typing import cast
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connector.sandbox import forms, pages
from connector.sandbox.clientauth import read_client
from connector.sandbox.devices import Decision, Device
from connector.sandbox.habits import Client, Habits, Refusal
from connector.sandbox.issuing import chosen_lifetime, seconds, wanted_resources, wanted_scopes
from connector.sandbox.state import State
from connector.sandbox.token_endpoint import Handler
from connector.sandbox.tokens import Agreement, Terms

_EXPIRES_S = 900.0
_INTERVAL_S = 5.0


def device_routes(
    state: State, habits: Habits, *, path: str, page_path: str, says_interval: bool
) -> list[Route]:
    """Return the endpoint at `path` and the person's page at `page_path`.

    `says_interval` False: the answer leaves ``interval`` out, and who polls must know that it is 5 s then.
    """
    endpoint = _device_endpoint(state, habits, page_path, says_interval)
    return [
        Route(path, endpoint, methods=["POST"]),
        Route(page_path, _verification_page(state, habits), methods=["GET", "POST"]),
    ]


def _device_endpoint(state: State, habits: Habits, page_path: str, says_interval: bool) -> Handler:
    async def device(request: Request) -> Response:
        try:
            form = await forms.read_form(request, habits)
            waiting = _device(state, habits, read_client(state, habits, request, form), form)
        except Refusal as refusal:
            return habits.refuse(refusal)
        with state.lock:
            state.devices.add(waiting, state.clock())
        page = f"{request.url.scheme}://{request.url.netloc}{page_path}"
        reply: dict[str, str | float] = {
            "device_code": waiting.device_code,
            "user_code": waiting.user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?{urlencode({'user_code': waiting.user_code})}",
            "expires_in": int(waiting.expires_at - state.clock()),
        }
        if says_interval:
            whole = waiting.interval_s.is_integer()
            reply["interval"] = int(waiting.interval_s) if whole else waiting.interval_s
        return JSONResponse(reply, headers={"Cache-Control": "no-store"})

    return device


def _device(state: State, habits: Habits, client: Client, form: dict[str, str]) -> Device:
    decision = form.get("sandbox_person", "")
    if decision not in ("", "allow", "deny"):
        raise Refusal("invalid_request", "sandbox_person is allow or deny")
    expires_s, interval_s = seconds(form, "sandbox_expires"), seconds(form, "sandbox_interval")
    now = state.clock()
    return Device(
        persona=habits.name,
        client_id=client.client_id,
        agreement=Agreement(
            scopes=wanted_scopes(habits, form.get("scope", "")),
            terms=Terms(resources=wanted_resources(form)),
            lifetime_s=chosen_lifetime(form),
        ),
        expires_at=now + (_EXPIRES_S if expires_s is None else expires_s),
        interval_s=_INTERVAL_S if interval_s is None else interval_s,
        decision=cast(Decision, decision),
    )


def _verification_page(state: State, habits: Habits) -> Handler:
    title = f"{habits.name.title()}: sign a device in"

    async def verify(request: Request) -> Response:
        try:
            typed = await forms.read_page_form(request) if request.method == "POST" else {}
        except Refusal:
            typed = {}
        code = typed.get("user_code") or request.query_params.get("user_code", "")
        decision = typed.get("decision", "")
        with state.lock:
            device = state.devices.of_person(code, habits.name, state.clock())
            if device is not None and decision in ("allow", "deny"):
                device.decision = cast(Decision, decision)
                return pages.page(title, f"<p>{_DONE[decision]}</p>")
        return pages.page(title, _form(code, device), status=404 if code and device is None else 200)

    return verify


_DONE = {
    "allow": "Signed in. You can close this page and go back to your device.",
    "deny": "Not signed in. You can close this page.",
}


def _form(code: str, device: Device | None) -> str:
    told = ""
    if device is not None:
        # The person must see that it is their own device's code (RFC 8628 section 3.3.1).
        told = "<p>Allow this only if your device shows this very code.</p>" + pages.facts(
            {"Client": device.client_id, "It wants to": device.agreement.scopes}
        )
    elif code:
        told = "<p>No device is waiting with this code. It may have expired: ask for a new one.</p>"
    typed = (
        f'<p><label>Code <input name="user_code" value="{escape(code)}" autocomplete="off" required '
        'autofocus placeholder="BCDF-GHJK"></label></p>'
    )
    return told + pages.decision_form(typed)
