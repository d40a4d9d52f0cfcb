"""Where a person consents: the authorization page, pushed requests, and codes for another device."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.responses import JSONResponse, RedirectResponse

from connector.sandbox.persona.checking import Call, Checking
from connector.sandbox.persona.provider import Outcome, Persona
from connector.sandbox.persona.seen import Seen
from connector.sandbox.persona.standing import call_of
from connector.sandbox.persona.texts import fill_url
from connector.sandbox.persona.tokens import Asked

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _redirect(persona: Persona, text: str) -> str:
    declared = fill_url(persona.spec.get("authorize", {}).get("redirect_uri"), persona.values("login"))
    if declared:
        return "" if text == declared else "it is not the declared one"
    return "" if urlsplit(text).hostname in _LOOPBACK else "it is no loopback address"


def _standard(persona: Persona) -> dict[str, Any]:
    declared = persona.spec.get("authorize", {})
    found: dict[str, Any] = {
        "response_type": "code",
        "client_id": persona.subject.client_id.replace("{", "{{").replace("}", "}}"),
        "redirect_uri": lambda text: _redirect(persona, text),
        "scope": persona.scope_text(refreshable=True),
        "state": lambda text: "" if len(text) >= 8 else "it can be guessed",
    }
    method = declared.get("pkce", "S256")
    if method != "none":
        found["code_challenge"] = lambda text: (
            "" if 43 <= len(text) <= 128 else "it is no challenge (RFC 7636)"
        )
        found["code_challenge_method"] = method
    return found


def _page(persona: Persona) -> Call:
    own = persona.spec.get("authorize", {})
    spec = {"method": "GET", "body": "query", "x-plain": True}
    spec |= {key: own[key] for key in ("url", "params", "rename") if key in own}
    # OpenID Connect Core section 11 has clients add it.
    return Call(steps=("authorize",), spec=spec, own=spec, optional=frozenset({"prompt"}))


def authorize(persona: Persona, seen: Seen) -> Outcome:
    """The authorization endpoint (RFC 6749 section 3.1); everybody consents at once."""
    declared = persona.spec.get("authorize", {})
    call, values = _page(persona), persona.values("login", {"scope": persona.scope_text(refreshable=True)})
    raw = seen.raw_query
    checking = Checking(call, seen, values, persona.subject, now=persona.clock())
    if "fragment" in declared:
        raw, seen = _behind(checking, seen, declared["fragment"])
    pushed = "par" in persona.spec
    if pushed:
        given = dict(seen.query)
        if given.get("request_uri", "") not in persona.ledger.codes:
            checking.complain(("par",), "the request was not pushed before")
        elif given.get("client_id") != persona.subject.client_id:
            checking.complain(("par",), "client_id did not come along")
    else:
        checking.seen = seen
        checking.check(_standard(persona))
        _encoding(persona, checking, raw)
        scope = call.spec.get("rename", {}).get("scope", "scope")
        empty = declared.get("drop_empty", True) is False and not persona.scope_text(refreshable=True)
        if empty and f"{scope}=" not in raw.split("&"):
            checking.complain(("authorize", "drop_empty"), f"{scope}= was left out")
        elif empty:
            checking.complaints = [
                c for c in checking.complaints if not c.words.startswith(f"{scope} was sent")
            ]

    def answer() -> RedirectResponse:
        if pushed:
            asked, state = persona.ledger.codes.pop(dict(seen.query)["request_uri"]), persona.pushed_state
        else:
            asked, state = _asked(persona, call, dict(seen.query))
        return _back(persona, asked, state)

    return Outcome("authorize", answer, checking.complaints)


def _behind(checking: Checking, seen: Seen, declared: str) -> tuple[str, Seen]:
    """Return the parameters that a page's script found behind the ``#``."""
    text = seen.fragment
    if text is None or not text.startswith(declared):
        checking.complain(("authorize", "fragment"), f"nothing came behind #{declared}")
        text = declared
    raw = text.removeprefix(declared).lstrip("?&")
    more = "&".join(part for part in (seen.raw_query, raw) if part)
    return raw, replace(seen, raw_query=more)


def _encoding(persona: Persona, checking: Checking, raw: str) -> None:
    """Look at scopes as they are written, where the file says that they are not encoded."""
    if persona.spec.get("scopes", {}).get("encode", True):
        return
    wanted = persona.scope_text(refreshable=True).replace(" ", "%20")
    if wanted and not any(part.partition("=")[2].replace("+", "%20") == wanted for part in raw.split("&")):
        checking.complain(("scopes", "encode"), "the scopes were percent-encoded")


def _asked(persona: Persona, call: Call, given: dict[str, Any]) -> tuple[Asked, str]:
    rename = call.spec.get("rename", {})

    def value(name: str) -> str:
        return str(given.get(rename.get(name, name) or "", ""))

    separator = persona.spec.get("scopes", {}).get("separator", " ")
    asked = Asked(
        redirect_uri=value("redirect_uri"),
        scopes=tuple(part for part in value("scope").split(separator) if part),
        challenge=value("code_challenge"),
        method=persona.spec.get("authorize", {}).get("pkce", "S256"),
    )
    return asked, value("state")


def _back(persona: Persona, asked: Asked, state: str) -> RedirectResponse:
    declared = persona.spec.get("authorize", {})
    callback = declared.get("callback", {})
    code = persona.ledger.new_text("code")
    persona.ledger.codes[code] = asked
    pairs = {callback.get("code", "code"): code, callback.get("state", "state"): state}
    if persona.issuer and (declared.get("iss") or persona.metadata):
        pairs["iss"] = persona.issuer
    for name, parameter in callback.get("capture", {}).items():
        pairs[parameter] = persona.captures[name]
    return RedirectResponse(f"{asked.redirect_uri}?{urlencode(pairs)}", 302)


def push(persona: Persona, seen: Seen) -> Outcome:
    """Pushed authorization requests (RFC 9126)."""
    call, page = call_of(persona.spec, "par"), _page(persona)
    values = persona.values("login", {"scope": persona.scope_text(refreshable=True)})
    asked = Checking(page, seen, values, persona.subject, now=persona.clock())
    asked.expect(_standard(persona))
    checking = Checking(call, seen, values, persona.subject, now=persona.clock(), issuer=persona.issuer)
    call.optional = page.optional
    checking.check({name: value for name, (value, _) in asked.expected.items()})

    def answer() -> JSONResponse:
        name = f"urn:ietf:params:oauth:request_uri:{persona.ledger.new_text('pushed')}"
        persona.ledger.codes[name], persona.pushed_state = _asked(persona, page, checking.params)
        return JSONResponse({"request_uri": name, "expires_in": 60}, 201)

    return Outcome("par", answer, checking.complaints)


def device(persona: Persona, seen: Seen) -> Outcome:
    """Codes for another device (RFC 8628)."""
    call = call_of(persona.spec, "device")
    scope = persona.scope_text(refreshable=True)
    values = persona.values("login", {"scope": scope})
    checking = Checking(call, seen, values, persona.subject, now=persona.clock(), issuer=persona.issuer)
    checking.check({"scope": scope.replace("{", "{{").replace("}", "}}")})

    def answer() -> JSONResponse:
        code = persona.ledger.new_text("device")
        persona.ledger.codes[code] = Asked(redirect_uri="", scopes=tuple(persona.scopes(refreshable=True)))
        return JSONResponse(
            {
                "device_code": code,
                "user_code": "WDJB-MJHT",
                "verification_uri": "https://device.example.com/activate",
                "expires_in": 600,
                "interval": 5,
            }
        )

    return Outcome("device", answer, checking.complaints)


def fits(asked: Asked, verifier: str) -> bool:
    """Whether a verifier belongs to an authorization's challenge (RFC 7636 section 4.6)."""
    made = verifier
    if asked.method == "S256":
        digest = hashlib.sha256(verifier.encode()).digest()
        made = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return bool(verifier) and hmac.compare_digest(made.encode(), asked.challenge.encode())


def pairs_of(text: str) -> dict[str, str]:
    """Return the pairs of a query."""
    return dict(parse_qsl(text, keep_blank_values=True))
