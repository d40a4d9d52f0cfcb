"""The calls around a token: those of ``exchange`` and ``discover``, built and read. No network here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode, urlsplit

from connector.account import Account
from connector.credentials import Credentials
from connector.dress import api_values, dress
from connector.endpointparts import StepSpec
from connector.errors import NotAuthorizedError
from connector.filling import text_of
from connector.reading import cleaned, parse, pointed
from connector.reply import Refusal, Reply, captured_of, exchanged, read_refusal, says_error
from connector.template import TemplateError, check_url, fill, fill_first, fill_path, fill_url, names
from connector.token import Token
from connector.tokenrequest import TokenRequest, build

_OF_HEADERS = ("header:", "cookie:")


def left(account: Account, token: Token) -> tuple[StepSpec, ...]:
    """The calls that a token still needs before it can be used, in order."""
    exchange = account.endpoint.exchange
    # A file that was changed since may have fewer.
    due = exchange[max(0, len(exchange) - token.exchanges_left) :] if token.exchanges_left else ()
    return (*due, *account.lacking(token.captured))


def step_url(account: Account, step: StepSpec, values: Mapping[str, str]) -> str:
    """Where a step's call goes. Raises TemplateError."""
    if step.request.url:
        return fill_first(step.request.url, values, fill_url)
    path = fill_first(step.path or ("",), values, fill_path)
    if "://" in path:
        return check_url(path)
    base = fill_first(account.endpoint.api.base_url, values, fill_url)
    return base.rstrip("/") + "/" + path.lstrip("/") if path else base


def step_request(account: Account, step: StepSpec, token: Token, credentials: Credentials) -> TokenRequest:
    """The call of one step. Raises NotAuthorizedError ``incomplete_account`` or ``unsendable``."""
    values = dict(api_values(account, token))
    if token.refresh_token:
        values.setdefault("refresh_token", token.refresh_token.reveal())
    url = _filled_url(account, step, values)
    request = build(
        account,
        replace(step.request, url=(url,)),
        {},
        credentials,
        captured=token.captured,
        known=values,
        more=(),
        config=False,
        proves=step.request.auth != "none",
        hidden=tuple(secret for secret in (token.access_token, token.refresh_token) if secret),
    )
    return _dressed(account, step, token, request) if step.authenticated else request


def _filled_url(account: Account, step: StepSpec, values: Mapping[str, str]) -> str:
    """Where a step's call goes, as a template that is filled already: its braces are doubled."""
    try:
        return step_url(account, step, values).replace("{", "{{").replace("}", "}}")
    except TemplateError as error:
        # It may repeat what a server said.
        reason = cleaned(str(error))
    raise NotAuthorizedError(
        f"where account {account.name!r} makes the call for {words(step)} cannot be told",
        account=account.name,
        code="incomplete_account",
        reason=reason,
        resolution="give it under `settings:` of the account, or see what its server answers",
    )


def _dressed(account: Account, step: StepSpec, token: Token, request: TokenRequest) -> TokenRequest:
    worn = dress(account, token)
    headers = {name.lower(): (name, value) for name, value in worn.headers.items()}
    own = {name.lower() for name in step.request.headers}
    # What every call asks for by itself is nobody's wish.
    asked = {name.lower(): (name, value) for name, value in request.headers}
    headers |= {name: pair for name, pair in asked.items() if name in own or name not in headers}
    headers |= {name.lower(): (name, value) for name, value in worn.proof.items()}
    if worn.cookie:
        headers["cookie"] = ("Cookie", "=".join(worn.cookie))
    url = request.url
    if worn.segment:  # what this step finds out may be what the base URL lacks
        url = with_segment(url, account.base_url(token.captured), worn.segment)
    if worn.query:
        url += ("&" if urlsplit(url).query else "?") + urlencode(worn.query)
    return replace(request, url=url, headers=tuple(headers.values()))


def with_segment(url: str, base: str, segment: str) -> str:
    """A URL with a segment put in below the API's base URL; one that is not below it stays."""
    base = base.rstrip("/")
    if not segment or not (url == base or url.startswith((base + "/", base + "?"))):
        return url
    return f"{base}/{segment}{url[len(base) :]}"


def read_step(
    account: Account, step: StepSpec, token: Token, reply: Reply, request: TokenRequest
) -> Token | Refusal:
    """The token with what a step's answer adds to it."""
    good = reply.status in step.expect if step.expect else 200 <= reply.status < 300
    data = parse(reply.body, reply.headers.get("content-type", ""), step.response.format)
    if not good or says_error(data, step.response):
        return read_refusal(account, reply, request.secrets)
    if data is None and any(
        not place.startswith(_OF_HEADERS) for several in step.set.values() for place in several
    ):
        # A proxy's page, or one that broke off: what it does not hold is not known to be nothing.
        words = "the answer is neither JSON nor a form"
        return Refusal(kind="protocol", status=reply.status, description=words)
    found: dict[str, str] = {}
    if step.set:
        element = data if not step.picks else _picked(account, step, token, data)
        if isinstance(element, Refusal):
            return replace(element, status=reply.status)
        # What is not there is known to be nothing: it is not looked up again and again.
        found = {**dict.fromkeys(step.set, ""), **captured_of(element, step.set, reply.headers)}
    captured = MappingProxyType({**token.captured, **found})
    return replace(token, captured=captured)


def read_exchange(
    account: Account, step: StepSpec, token: Token, reply: Reply, request: TokenRequest
) -> Token | Refusal:
    """The token that an exchange's answer makes of the one that was exchanged."""
    outcome = read_step(account, step, token, reply, request)
    if isinstance(outcome, Refusal):
        return outcome
    new = exchanged(account, step.response, outcome, reply)
    if new.access_token is token.access_token and not (step.set or step.response.capture):
        return Refusal(kind="protocol", status=reply.status, description="the answer has no access_token")
    return replace(new, exchanges_left=max(0, token.exchanges_left - 1))


def _picked(account: Account, step: StepSpec, token: Token, data: Any) -> Any:
    several = pointed(data, step.pick_from)
    if not isinstance(several, list):
        return Refusal(kind="protocol", status=0, description=f"there is no list at {step.pick_from or '/'}")
    values = account.names(token.captured)
    fitting = [element for element in several if _fits(element, step.pick_where or {}, values)]
    if len(fitting) == 1 or (fitting and step.pick_first):
        return fitting[0]
    settings = _choosing(step)
    shown = [captured_of(element, step.set) for element in (fitting or several)[:5]]
    listed = "; ".join(", ".join(f"{name} {cleaned(value)}" for name, value in one.items()) for one in shown)
    what = "several fit" if fitting else ("none fits" if several else "there is none")
    hint = f"; say `settings: {{{settings[0]}: ...}}`" if settings and several else ""
    return Refusal(kind="protocol", status=0, description=f"{what}{': ' + listed if listed else ''}{hint}")


def _choosing(step: StepSpec) -> list[str]:
    """Settings by which a person chooses among several: those that conditions name, else what is set."""
    conditions = (step.pick_where or {}).values()
    return sorted({name for value in conditions if isinstance(value, str) for name in names(value)}) or list(
        step.set
    )


def _fits(element: Any, where: Mapping[str, Any], values: Mapping[str, str]) -> bool:
    for pointer, wanted in where.items():
        if isinstance(wanted, str):
            if any(not values.get(name) for name in names(wanted)):
                continue
            wanted = fill(wanted, values)
        found = pointed(element, pointer)
        if found != wanted and text_of(found) != text_of(wanted):
            return False
    return True


def words(step: StepSpec) -> str:
    """What a step is for, in a message."""
    return f"finding out {' and '.join(step.set)}" if step.set else "exchanging the token"
