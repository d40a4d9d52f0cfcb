"""The rooms of a persona: whose address a request has, and what each makes of it."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from connector.sandbox.persona.apiroom import api_outcomes, step_url
from connector.sandbox.persona.checking import Checking, same_address
from connector.sandbox.persona.login import authorize, device, push
from connector.sandbox.persona.provider import STATIC, Outcome, Persona
from connector.sandbox.persona.seen import Seen
from connector.sandbox.persona.standing import call_of
from connector.sandbox.persona.tokenroom import exchange_step, obtain, renew


def outcomes(persona: Persona, seen: Seen) -> list[Outcome]:
    """Return what each room whose address this is makes of a request; none: it is a stranger's."""
    found = [*_metadata(persona, seen), *_login(persona, seen)]
    if persona.grant not in STATIC:
        found += _tokens(persona, seen)
    found += _places(persona, seen)
    return found or api_outcomes(persona, seen)


def _metadata(persona: Persona, seen: Seen) -> list[Outcome]:
    if any(same_address(seen, url) for url in persona.metadata_urls):
        return [Outcome("metadata", lambda: JSONResponse(persona.metadata))]
    return []


def _login(persona: Persona, seen: Seen) -> list[Outcome]:
    rooms = {
        "authorization_code": (("authorize", authorize), ("par", push)),
        "device_code": (("device", device),),
    }
    values = persona.values("login")
    return [
        room(persona, seen)
        for name, room in rooms.get(persona.grant, ())
        if name in persona.spec and call_of(persona.spec, name).is_at(seen, values)
    ]


def _tokens(persona: Persona, seen: Seen) -> list[Outcome]:
    found = []
    if (
        call_of(persona.spec, "token").is_at(seen, persona.values("token"))
        and persona.grant != "refresh_token"
    ):
        found.append(obtain(persona, seen))
    refresh = call_of(persona.spec, "refresh")
    if refresh.is_at(seen, persona.values("all", {"access_token": str, "refresh_token": str})):
        found += renew(persona, seen)
    for index, call in enumerate(persona.exchange):
        more: dict[str, Any] = {"access_token": lambda text: "", "refresh_token": lambda text: ""}
        if call.is_at(seen, persona.values("all", more), step_url(persona, call)):
            found.append(exchange_step(persona, seen, index))
    return found


def _places(persona: Persona, seen: Seen) -> list[Outcome]:
    values = persona.values("all")
    return [
        _token_place(persona, seen, name)
        for name in ("revoke", "introspect")
        if name in persona.spec and call_of(persona.spec, name).is_at(seen, values)
    ]


def _token_place(persona: Persona, seen: Seen, name: str) -> Outcome:
    """Revocation (RFC 7009) and introspection (RFC 7662): a token is shown to the server that issued it."""
    ledger, call = persona.ledger, call_of(persona.spec, name)
    call.optional = frozenset({"token_type_hint"})

    def known(text: str) -> str:
        return "" if text in ledger.issued else "no token that was issued"

    more: dict[str, Any] = {"access_token": known, "refresh_token": known}
    checking = Checking(
        call, seen, persona.values("all", more), persona.subject, now=persona.clock(), issuer=persona.issuer
    )
    checking.check({"token": known, "token_type_hint": lambda text: ""})

    def answer() -> JSONResponse:
        if name == "revoke":
            ledger.end()
            return JSONResponse({})
        return JSONResponse({"active": not ledger.dead, "username": persona.subject.person})

    return Outcome(name, answer, checking.complaints)
