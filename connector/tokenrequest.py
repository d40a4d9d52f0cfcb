"""A call to the authorization server: built from an endpoint's habits, an account and a grant's parameters.

The other half is `connector.reply`: this file builds what is sent, that one reads what comes back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from connector.account import Account, TlsFiles, filled
from connector.clientauth import CLIENT_AUTHENTICATION, Proving
from connector.credentials import Credentials
from connector.endpointparts import NOTHING, RequestSpec
from connector.errors import NotAuthorizedError
from connector.jwts import proof
from connector.secret import Secret
from connector.template import TemplateError, fill_first, fill_url


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A call to the token endpoint, ready to be sent. Prints without its headers and body.

    Attributes:
        presents: fingerprint of the refresh token it shows; empty when it shows none.
        secrets: everything in it that must not appear in a message.
        dpop_key: what the token it asks for will be bound to; None: nothing.
        tls: files of the account's own TLS; None: the system's.
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

    Raises NotAuthorizedError when the account lacks a setting the URL needs.
    """
    values = account.names(captured)
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
    pairs = _parameters(account, spec, params, values)
    headers = _Headers({"Accept": "application/json"})
    headers.update(filled(spec.headers, values))
    authenticate = CLIENT_AUTHENTICATION[account.auth_at(spec)]
    who = Proving(account=account, credentials=credentials, url=url, basic=account.basic or spec.basic)
    authenticate(who, pairs, headers)
    renamed = ((spec.rename.get(name, name), value) for name, value in pairs.items())
    form = [(name, value) for name, value in renamed if name is not None]
    form += [("resource", resource) for resource in account.resources] if more is None else more
    if config:
        form += [(name, text_of(value)) for name, value in account.token_params]
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
        query += form
    else:
        body = urlencode(form).encode()
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
        secrets=(*hidden, *_secrets(account, credentials, shown, headers.get("Authorization"))),
        dpop_key=dpop_key,
        tls=account.tls,
        patience_s=patience_s,
    )


def text_of(value: str | Secret) -> str:
    """The text of a parameter's value."""
    return value.reveal() if isinstance(value, Secret) else value


def _object(form: list[tuple[str, str]]) -> dict[str, Any]:
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
    account: Account, credentials: Credentials, shown: Secret | None, authorization: str | None
) -> tuple[Secret, ...]:
    """Everything a server might repeat, the encoded pair of Basic authentication included."""
    encoded = Secret(authorization.partition(" ")[2]) if authorization else None
    found = (*credentials.all(), shown, encoded, *(value for _, value in account.token_params))
    return tuple(s for s in found if isinstance(s, Secret) and s)


def _parameters(
    account: Account, spec: RequestSpec, params: Mapping[str, str], values: Mapping[str, str]
) -> dict[str, str]:
    pairs = {name: value for name, value in params.items() if value}
    if spec.grant_type:
        pairs["grant_type"] = spec.grant_type
    pairs.update(filled(spec.params, values))
    for name, templates in spec.params.items():
        if templates is None:
            pairs.pop(name, None)
    return pairs
