"""A call to the authorization server: built from an endpoint's habits, an account and a grant's parameters.

The other half is `connector.reply`: this file builds what is sent, that one reads what comes back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from connector.account import Account, TlsFiles
from connector.assertions import assertion
from connector.clientauth import CLIENT_AUTHENTICATION, Proving
from connector.credentials import Credentials
from connector.endpointparts import NOTHING, RequestSpec
from connector.errors import NotAuthorizedError
from connector.filling import basic_pair, filled, filled_values, mentioned, text_of
from connector.jwts import proof
from connector.secret import Secret
from connector.template import TemplateError, fill, fill_first, fill_url, names


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A call to the token endpoint, ready to be sent. Prints without its headers and body.

    Attributes:
        presents: fingerprint of the refresh token it shows; empty when it shows none.
        secrets: everything in it that must not appear in a message.
        dpop_key: what the token it asks for will be bound to; None: nothing.
        tls: files of the account's own TLS; None: the system's.
        proxy: URL of the account's own proxy, or ``direct``; None: as the environment says.
        patience_s: how long to wait for the answer, for servers that hold it back; None: as usual.
    """

    method: str
    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    presents: str = ""
    secrets: tuple[Secret, ...] = ()
    dpop_key: Secret | None = None
    tls: TlsFiles | None = None
    proxy: Secret | None = None
    patience_s: float | None = None


def build(
    account: Account,
    spec: RequestSpec,
    params: Mapping[str, str],
    credentials: Credentials,
    *,
    shown: Secret | None = None,
    captured: Mapping[str, str] = NOTHING,
    dpop_key: Secret | None = None,
    config: bool = True,
    more: Sequence[tuple[str, str]] | None = None,
    hidden: tuple[Secret, ...] = (),
    patience_s: float | None = None,
    proves: bool = True,
    known: Mapping[str, str] = NOTHING,
) -> TokenRequest:
    """Build a call to the authorization server from an endpoint's habits and the grant's parameters.

    Args:
        shown: the single-use secret among `params`, for the journal.
        captured: what the endpoint took from an earlier token reply, for its templates.
        dpop_key: what the call proves to have (RFC 9449 section 5); None: it proves nothing.
        more: parameters that may be given several times; None: the account's ``resource``.
        hidden: further secrets among `params`.
        patience_s: how long to wait for the answer; None: as usual.
        config: whether the account's ``token_endpoint_config`` goes along.
        known: further values for templates.
        proves: whether the client proves itself, in the way the endpoint says.

    Raises NotAuthorizedError when the account lacks a setting the URL needs.
    """
    scope = params.get("scope", "")
    values = call_values(account, credentials, spec, captured=captured, scope=scope, known=known)
    try:
        url = fill_first(spec.url, values, fill_url)
    except TemplateError as error:
        raise NotAuthorizedError(
            f"the token URL of account {account.name!r} cannot be filled in",
            account=account.name,
            code="incomplete_account",
            reason=str(error),
            resolution="give the missing setting under `settings:` of the account",
        ) from None
    pairs = _parameters(spec, params)
    headers = _Headers({"Accept": "application/json"})
    headers.update(filled(spec.headers, values))
    if spec.pair is None and proves:
        who = Proving(account=account, credentials=credentials, url=url, basic=account.basic or spec.basic)
        CLIENT_AUTHENTICATION[account.auth_at(spec)](who, pairs, headers)
    elif spec.pair is not None:
        headers["Authorization"] = basic_pair(*(_or_empty(part, values) for part in spec.pair))
    pairs = _said(spec, pairs, values)
    renamed = ((spec.rename.get(name, name), value) for name, value in pairs.items())
    form: list[tuple[str, Any]] = [(name, value) for name, value in renamed if name is not None]
    form += [("resource", resource) for resource in account.resources] if more is None else more
    if config:
        form += [(name, plain(value)) for name, value in account.token_params]
    if dpop_key:
        headers["DPoP"] = proof(
            dpop_key,
            method=spec.method,
            url=url,
            now=credentials.now,
            unique=credentials.unique,
            nonce=credentials.dpop_nonce,
        )
    query = list(filled(spec.query, values).items())
    body = b""
    if spec.body == "json":
        body = json.dumps(_object(form)).encode()
        headers.setdefault("Content-Type", "application/json")
    elif spec.body == "query" or spec.method == "GET":
        query += [(name, text_of(value)) for name, value in form]
    elif form:
        body = urlencode([(name, text_of(value)) for name, value in form]).encode()
        # Without a charset: strict servers refuse the header that has one.
        headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    if query:
        url += ("&" if "?" in url else "?") + urlencode(query)
    return TokenRequest(
        method=spec.method,
        url=url,
        headers=tuple(headers.items()),
        body=body,
        presents=shown.fingerprint if shown else "",
        secrets=(*hidden, *_secrets(account, credentials, shown, headers.get("Authorization"), values)),
        dpop_key=dpop_key,
        tls=account.tls,
        proxy=account.proxy,
        patience_s=patience_s,
    )


def call_values(
    account: Account,
    credentials: Credentials,
    spec: RequestSpec,
    *,
    captured: Mapping[str, str] = NOTHING,
    scope: str = "",
    known: Mapping[str, str] = NOTHING,
) -> Mapping[str, str]:
    """Everything the templates of a call to the authorization server may name; settings come first."""
    secrets = {name: secret.reveal() for name, secret in credentials.secrets.items()}
    if credentials.client_secret:
        secrets["client_secret"] = credentials.client_secret.reveal()
    moment = {"now": str(int(credentials.now)), "now_ms": str(int(credentials.now * 1000))}
    values: dict[str, str] = {**secrets, **moment, "unique": credentials.unique, "scope": scope, **known}
    values = {**account.names(captured, also={**values, "redirect_uri": account.redirect_uri or ""})}
    if "jwt" not in values and "jwt" in mentioned([spec.params, spec.query, spec.headers, spec.pair]):
        values["jwt"] = assertion(account, credentials, values)
    return values


def _or_empty(template: str, values: Mapping[str, str]) -> str:
    return fill(template, {name: values.get(name, "") for name in names(template)})


def plain(value: str | Secret) -> str:
    """The text of a parameter's value."""
    return value.reveal() if isinstance(value, Secret) else value


def _object(form: list[tuple[str, Any]]) -> dict[str, Any]:
    """Parameters as one JSON object; what is given several times becomes a list."""
    found: dict[str, Any] = {}
    for name, value in form:
        known = found.get(name)
        found[name] = (
            value if known is None else [*known, value] if isinstance(known, list) else [known, value]
        )
    return found


class _Headers(dict[str, str]):
    """Header names compare without case: an endpoint's ``content-type`` must replace ours, not join it."""

    def __setitem__(self, name: str, value: str) -> None:
        super().__setitem__("-".join(part.capitalize() for part in name.split("-")), value)

    def update(self, others: Mapping[str, str]) -> None:  # type: ignore[override]
        """Set each."""
        for name, value in others.items():
            self[name] = value


def _secrets(
    account: Account,
    credentials: Credentials,
    shown: Secret | None,
    authorization: str | None,
    values: Mapping[str, str],
) -> tuple[Secret, ...]:
    """Everything a server might repeat, the encoded pair of Basic authentication included."""
    encoded = Secret(authorization.partition(" ")[2]) if authorization else None
    signed = Secret(values["jwt"]) if "jwt" in values else None
    found = (
        *credentials.all(),
        shown,
        encoded,
        signed,
        *account.hidden,
        *(v for _, v in account.token_params),
    )
    return tuple(s for s in found if isinstance(s, Secret) and s)


def _parameters(spec: RequestSpec, params: Mapping[str, str]) -> dict[str, str]:
    pairs = {name: value for name, value in params.items() if value}
    if spec.grant_type is not None and "grant_type" in pairs:
        pairs["grant_type"] = spec.grant_type
    return {name: value for name, value in pairs.items() if value}


def _said(spec: RequestSpec, pairs: Mapping[str, str], values: Mapping[str, str]) -> dict[str, Any]:
    """With what the endpoint says of parameters: it has the last word, also about those of the client."""
    found = {**pairs, **filled_values(spec.params, values)}
    return {name: value for name, value in found.items() if spec.params.get(name, "") is not None}
