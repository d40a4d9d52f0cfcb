"""Grants: turn an account into the request value of a token call, never touching the network.

A grant is a pure pair with `connector.reply`: this file builds what is sent, that one reads what comes back.
Client authentication is a function value, one per method (RFC 6749 section 2.3.1).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote_plus, urlencode

from connector.account import Account, filled
from connector.endpoint import NOTHING, RequestSpec
from connector.errors import NotAuthorizedError
from connector.secret import Secret
from connector.template import TemplateError, fill_first, fill_url
from connector.token import Token


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A call to the token endpoint, ready to be sent. Prints without its headers and body.

    Attributes:
        presents: fingerprint of the refresh token it shows; empty when it shows none.
        secrets: everything in it that must not appear in a message.
    """

    method: str
    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    presents: str = ""
    secrets: tuple[Secret, ...] = ()


class Grant(Protocol):
    """A way to obtain a token.

    Attributes:
        name: what ``grant:`` says in a manifest.
        interactive: whether a person must take part in the beginning.
    """

    @property
    def name(self) -> str: ...

    @property
    def interactive(self) -> bool: ...

    def obtain(self, account: Account, secret: Secret | None) -> TokenRequest | None:
        """The call that obtains a first token; None: it cannot begin without a person."""

    def renew(self, account: Account, token: Token, secret: Secret | None) -> TokenRequest | None:
        """The call that renews `token`; None: nothing in it can be renewed."""


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """RFC 6749 section 4.4: the client asks for itself; a new token is simply asked for again."""

    name: str = "client_credentials"
    interactive: bool = False

    def obtain(self, account: Account, secret: Secret | None) -> TokenRequest | None:
        """See `Grant.obtain`."""
        params = {"grant_type": "client_credentials", "scope": account.scope_text(refreshable=False)}
        return build(account, account.endpoint.token, params, secret)

    def renew(self, account: Account, token: Token, secret: Secret | None) -> TokenRequest | None:
        """Ask again: this grant has no refresh token (RFC 6749 section 4.4.3)."""
        return self.obtain(account, secret)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """RFC 6749 section 6, for the grants that begin with a person and live on a refresh token after that."""

    name: str = "refresh_token"
    interactive: bool = True

    def obtain(self, account: Account, secret: Secret | None) -> TokenRequest | None:
        """Nothing to begin from: a token must be adopted first."""
        return None

    def renew(self, account: Account, token: Token, secret: Secret | None) -> TokenRequest | None:
        """Show the refresh token, or what the endpoint says is shown instead of it."""
        spec = account.endpoint.refresh
        if spec.with_ == "client":
            params = {"grant_type": "client_credentials"}
            return build(account, spec.request, params, secret, captured=token.captured)
        if spec.with_ == "access_token":
            shown: Secret | None = token.access_token
            params = {"grant_type": "refresh_token", "access_token": token.access_token.reveal()}
        else:
            shown = token.refresh_token
            # No scope parameter: what was granted stays granted (RFC 6749 section 6), and some servers
            # refuse a refresh that names offline_access.
            params = {"grant_type": "refresh_token", "refresh_token": shown.reveal() if shown else ""}
        if not shown:
            return None
        return build(account, spec.request, params, secret, shown=shown, captured=token.captured)


def build(
    account: Account,
    spec: RequestSpec,
    params: Mapping[str, str],
    secret: Secret | None,
    *,
    shown: Secret | None = None,
    captured: Mapping[str, str] = NOTHING,
) -> TokenRequest:
    """Build a call to the authorization server from an endpoint's habits and the grant's parameters.

    Args:
        shown: the single-use secret among `params`, for the journal.
        captured: what the endpoint took from an earlier token reply, for its templates.

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
    authenticate = CLIENT_AUTHENTICATION[account.client_auth or spec.auth]
    authenticate(account, account.basic or spec.basic, secret, pairs, headers)
    renamed = [(spec.rename.get(name, name), value) for name, value in pairs.items()]
    form = [(name, value) for name, value in renamed if name is not None] + [
        (name, value.reveal() if isinstance(value, Secret) else value) for name, value in account.token_params
    ]
    query = list(filled(spec.query, values).items())
    body = b""
    if spec.body == "json":
        body = json.dumps(dict(form)).encode()
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
        secrets=_secrets(account, secret, shown, headers.get("Authorization")),
    )


class _Headers(dict[str, str]):
    """Header names compare without case: an endpoint's ``content-type`` must replace ours, not join it."""

    def __setitem__(self, name: str, value: str) -> None:
        super().__setitem__("-".join(part.capitalize() for part in name.split("-")), value)

    def update(self, others: Mapping[str, str]) -> None:  # type: ignore[override]
        """Set each."""
        for name, value in others.items():
            self[name] = value


def _secrets(
    account: Account, secret: Secret | None, shown: Secret | None, authorization: str | None
) -> tuple[Secret, ...]:
    """Everything a server might repeat, the encoded pair of Basic authentication included."""
    encoded = Secret(authorization.partition(" ")[2]) if authorization else None
    found = (secret, shown, encoded, *(value for _, value in account.token_params))
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


ClientAuthentication = Callable[[Account, str, "Secret | None", dict[str, str], dict[str, str]], None]


def _basic(
    account: Account, basic: str, secret: Secret | None, pairs: dict[str, str], headers: dict[str, str]
) -> None:
    user, password = account.client_id, secret.reveal() if secret else ""
    if basic == "rfc6749":
        user, password = quote_plus(user), quote_plus(password)
    headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _post(
    account: Account, basic: str, secret: Secret | None, pairs: dict[str, str], headers: dict[str, str]
) -> None:
    pairs["client_id"] = account.client_id
    if secret:
        pairs["client_secret"] = secret.reveal()


def _none(
    account: Account, basic: str, secret: Secret | None, pairs: dict[str, str], headers: dict[str, str]
) -> None:
    pairs["client_id"] = account.client_id


CLIENT_AUTHENTICATION: Mapping[str, ClientAuthentication] = {
    "client_secret_basic": _basic,
    "client_secret_post": _post,
    "none": _none,
}
