"""The token endpoint of a persona, renewals and exchanges: tokens in the shape that the file declares."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from connector.sandbox.persona.answers import refusal, token_reply
from connector.sandbox.persona.apiroom import check_step, step_answer
from connector.sandbox.persona.bound import prove
from connector.sandbox.persona.checking import Checking, same
from connector.sandbox.persona.login import fits
from connector.sandbox.persona.places import Answer
from connector.sandbox.persona.provider import Outcome, Persona
from connector.sandbox.persona.seen import Seen
from connector.sandbox.persona.signed import check_assertion
from connector.sandbox.persona.standing import call_of
from connector.sandbox.persona.texts import Look, many, status_of
from connector.sandbox.persona.tokens import Asked

_URN = "urn:ietf:params:oauth:"


def obtain(persona: Persona, seen: Seen) -> Outcome:
    """The call of the account's own grant."""
    call, ledger = call_of(persona.spec, "token"), persona.ledger
    refreshable = persona.grant in ("authorization_code", "device_code", "password")
    scope = persona.scope_text(refreshable=refreshable)
    values = persona.values("token", {"scope": scope})
    if persona.grant == "two_step":
        call.spec = {**call.spec, "x-plain": True}
    checking = Checking(call, seen, values, persona.subject, now=persona.clock(), issuer=persona.issuer)
    checking.check(_standard(persona, scope))
    key = _key(persona, checking)
    rename = call.spec.get("rename", {})
    code = str(checking.params.get(rename.get("code", "code") or "", ""))
    code = code or str(checking.params.get(rename.get("device_code", "device_code") or "", ""))
    asked = ledger.codes.get(code)
    if asked is not None and asked.redirect_uri:
        _same_request(persona, checking, asked, rename)

    def answer() -> Response:
        # A consent that names something else than a code (a tenant, say) is no part of the call.
        coded = call.spec.get("params", {}).get("code", "") is not None
        if persona.grant in ("authorization_code", "device_code") and coded:
            if asked is None or asked.used:
                return _refused(persona, "invalid_grant", "the code is not known, or was used")
            if persona.grant == "device_code" and persona.pending:
                persona.pending -= 1
                return refusal({**persona.spec, "errors": {}}, "authorization_pending", "").response()
            asked.used = True
        scopes = asked.scopes if asked else tuple(persona.scopes(refreshable=refreshable))
        ledger.dead, persona.bound_to = False, key
        return _reply(persona, scopes, refresh=persona.yields_refresh(scopes), rotated=True)

    return Outcome("token", answer, checking.complaints)


def _key(persona: Persona, checking: Checking) -> str:
    """The key that a token call proves to have, where tokens are bound to one."""
    if not persona.spec.get("dpop"):
        return ""
    key, said = prove(checking.seen, persona.clock())
    if said:
        checking.complain(("dpop",), said)
    return key


def _same_request(persona: Persona, checking: Checking, asked: Asked, rename: dict[str, Any]) -> None:
    if asked.method != "none":
        name = rename.get("code_verifier", "code_verifier")
        if name and name in checking.params and not fits(asked, str(checking.params[name])):
            checking.complain(("authorize", "pkce"), f"{name} does not fit the challenge")
    name = rename.get("redirect_uri", "redirect_uri")
    if name and name in checking.expected and checking.params.get(name) != asked.redirect_uri:
        checking.complain(("authorize", "redirect_uri"), f"{name} is not that of the authorization request")


def _standard(persona: Persona, scope: str) -> dict[str, Any]:
    """Return the parameters that the grant's RFC has."""
    secrets = persona.subject.secrets
    asked = scope.replace("{", "{{").replace("}", "}}")
    match persona.grant:
        case "authorization_code":
            pkce = persona.spec.get("authorize", {}).get("pkce", "S256") != "none"
            return {
                "grant_type": "authorization_code",
                "code": _any,
                "redirect_uri": _any,
                "code_verifier": _any if pkce else "",
                "scope": asked if persona.spec.get("scopes", {}).get("on_token_request") else "",
            }
        case "device_code":
            return {"grant_type": f"{_URN}grant-type:device_code", "device_code": _any}
        case "client_credentials":
            return {"grant_type": "client_credentials", "scope": asked}
        case "password":
            pair = {name: same(secrets[name]) for name in ("username", "password")}
            return {"grant_type": "password", **pair, "scope": asked}
        case "jwt_bearer":
            return {
                "grant_type": f"{_URN}grant-type:jwt-bearer",
                "assertion": _assertion(persona, scope),
                "scope": asked,
            }
        case "token_exchange":
            return {
                "grant_type": f"{_URN}grant-type:token-exchange",
                "subject_token": same(secrets["subject_token"]),
                "subject_token_type": f"{_URN}token-type:access_token",
                "scope": asked,
            }
    return {"grant_type": persona.grant} if persona.grant != "two_step" and ":" in persona.grant else {}


def _any(text: str) -> str:
    return "" if text else "it is empty"


def _assertion(persona: Persona, scope: str) -> Look:
    if "jwt" in persona.spec:
        look = persona.values("token", {"scope": scope})["jwt"]
        assert callable(look)
        return look
    url = call_of(persona.spec, "token")
    audiences = frozenset(
        {persona.issuer, Checking(url, _NOBODY, persona.values("token"), persona.subject, now=0.0).url()}
    )
    return lambda text: check_assertion(text, persona.subject, audiences, persona.clock())


_NOBODY: Any = None


def renew(persona: Persona, seen: Seen) -> list[Outcome]:
    """Renewal, by what the file says is shown."""
    declared, ledger = persona.spec.get("refresh", {}), persona.ledger
    shows = declared.get("with", "refresh_token")
    if shows == "refresh_token" and not ledger.shown:
        return []
    scope = persona.scope_text(refreshable=True)
    call = call_of(persona.spec, "refresh")
    shown: list[str] = []

    def known(text: str) -> str:
        shown.append(text)
        table: Any = ledger.shown if shows == "refresh_token" else ledger.access
        return "" if text in table else "no token that was issued"

    more: dict[str, Any] = {
        "scope": scope,
        "access_token": lambda t: _known(t, ledger.access),
        "refresh_token": known,
    }
    if persona.grant == "two_step":
        if not declared.keys() - {"rotates", "grace", "before"}:
            return []
        call.spec = {**call.spec, "x-plain": True}
    checking = Checking(
        call, seen, persona.values("all", more), persona.subject, now=persona.clock(), issuer=persona.issuer
    )
    standard: dict[str, Any] = {}
    if persona.grant != "two_step":
        standard["grant_type"] = "client_credentials" if shows == "client" else "refresh_token"
        standard |= {} if shows == "client" else {shows: known}
    if persona.spec.get("scopes", {}).get("on_token_request"):
        standard["scope"] = scope.replace("{", "{{").replace("}", "}}")
    checking.check(standard)
    if _key(persona, checking) != persona.bound_to and not checking.complaints:
        checking.complain(("dpop",), "another key was proven than that of the login")

    def answer() -> Response:
        scopes = tuple(persona.scopes(refreshable=True))
        if shows != "refresh_token":
            if ledger.dead:
                return _refused(persona, "invalid_grant", "the login has ended")
            return _reply(
                persona,
                scopes,
                refresh=False,
                rotated=False,
                level=len(persona.exchange) if shows == "access_token" else 0,
            )
        text = shown[-1] if shown else ledger.good  # of a call that shows none
        ledger.shown[text] = ledger.shown.get(text, 0) + 1
        if text != ledger.good:
            ledger.end()
            return _refused(persona, "invalid_grant", "the refresh token is not good")
        return _reply(persona, scopes, refresh=True, rotated=persona.rotates())

    return [Outcome("refresh", answer, checking.complaints)]


def _known(text: str, table: Any) -> str:
    return "" if text in table else "no token that was issued"


def _reply(
    persona: Persona, scopes: tuple[str, ...], *, refresh: bool, rotated: bool, level: int = 0
) -> Response:
    """Issue tokens, and tell them as the file declares."""
    response = persona.spec.get("response", {})
    last = level == len(persona.exchange)
    lifetime_s = persona.lifetime_s if last else min(persona.lifetime_s, 600.0)
    kind = "DPoP" if persona.spec.get("dpop") else "Bearer"
    fields = {"access_token": persona.ledger.new_access(lifetime_s, level, scopes), "token_type": kind}
    if refresh and rotated:
        fields["refresh_token"] = persona.ledger.new_refresh()
    elif refresh and persona.turn % 4 == 1:
        fields["refresh_token"] = persona.ledger.good  # some say the old one once more
    if scopes:
        fields["scope"] = persona.spec.get("scopes", {}).get("separator", " ").join(scopes)
    return _told(persona, response, fields, lifetime_s).response(response.get("format", "json"))


def _told(persona: Persona, response: dict[str, Any], fields: dict[str, str], lifetime_s: float) -> Answer:
    made = token_reply(
        response, fields, persona.captures, now=persona.clock(), lifetime_s=lifetime_s, turn=persona.turn
    )
    persona.turn += 1
    return made


def exchange_step(persona: Persona, seen: Seen, index: int) -> Outcome:
    """A step of ``exchange``: a token of the step before goes in, one of the next comes out."""
    call = persona.exchange[index]
    checked = check_step(persona, seen, call, level=index)

    def answer() -> Response:
        declared = call.spec.get("response", {})
        if "response" not in call.spec and "set" in call.spec:
            persona.ledger.access[persona.ledger.current].level = index + 1
            return step_answer(persona, [call]).response()
        last = index + 1 == len(persona.exchange)
        lifetime_s = float(declared.get("lifetime") or (persona.lifetime_s if last else 600.0))
        scopes = persona.ledger.access[persona.ledger.current].scopes
        fields = {"access_token": persona.ledger.new_access(lifetime_s, index + 1, scopes)}
        if "refresh_token" in declared:
            fields["refresh_token"] = persona.ledger.new_refresh()
        made = _told(persona, declared, fields, lifetime_s)
        for name, place in call.spec.get("set", {}).items():
            if made.get(many(place)[0]) is None:
                made.put(many(place)[0], persona.captures[name])
        made.status = status_of(call.spec.get("expect"), 200)
        return made.response(declared.get("format", "json"))

    return Outcome("exchange", answer, checked.complaints)


def _refused(persona: Persona, error: str, words: str) -> Response:
    response = persona.spec.get("response", {})
    made = refusal(persona.spec, error, words)
    return made.response("form" if response.get("format") == "form" else "json")
