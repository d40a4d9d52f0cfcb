"""Grants: turn an account into the request value of a token call, never touching the network.

A pure pair with `connector.reply`: this file says what is asked for, that one reads what comes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from connector.account import Account
from connector.assertions import assertion
from connector.credentials import Credentials
from connector.endpointparts import NOTHING, RequestSpec
from connector.secret import Secret
from connector.token import Token
from connector.tokenrequest import TokenRequest as TokenRequest
from connector.tokenrequest import build, call_values

_URN = "urn:ietf:params:oauth:"


class Grant(Protocol):
    """A way to obtain a token.

    Attributes:
        name: what ``grant:`` says in a manifest.
        interactive: whether a person must take part in the beginning.

    One whose tokens are made without any call may say ``local = True``: they are not stored then.
    """

    @property
    def name(self) -> str: ...

    @property
    def interactive(self) -> bool: ...

    def obtain(self, account: Account, credentials: Credentials) -> TokenRequest | Token | None:
        """The call that obtains a first token; None: it cannot begin without a person.

        A Token where no call is needed for one.
        """

    def renew(self, account: Account, token: Token, credentials: Credentials) -> TokenRequest | Token | None:
        """The call that renews `token`; None: nothing in it can be renewed."""


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """RFC 6749 section 6, for the grants that begin with a person and live on a refresh token after that."""

    name: str = "refresh_token"
    interactive: bool = True

    def obtain(self, account: Account, credentials: Credentials) -> TokenRequest | None:
        """Nothing to begin from: a person must log in, or a token be adopted."""
        return None

    def renew(self, account: Account, token: Token, credentials: Credentials) -> TokenRequest | None:
        """Show the refresh token, or what the endpoint says is shown instead of it."""
        return refresh(account, token, credentials)


def refresh(account: Account, token: Token, credentials: Credentials) -> TokenRequest | None:
    """The call that shows a refresh token (RFC 6749 section 6); None: there is none to show."""
    spec = account.endpoint.refresh
    shown: Secret | None
    if spec.with_ == "client":
        params = {"grant_type": "client_credentials", "scope": account.scope_text(refreshable=False)}
        return build(
            account, spec.request, params, credentials, captured=token.captured, known=known_of(token)
        )
    if spec.with_ == "access_token":
        shown = token.access_token
        params = {"grant_type": "refresh_token", "access_token": token.access_token.reveal()}
    else:
        shown = token.refresh_token
        # No scope parameter: what was granted stays granted (RFC 6749 section 6), and some servers
        # refuse a refresh that names offline_access.
        params = {"grant_type": "refresh_token", "refresh_token": shown.reveal() if shown else ""}
    if not shown:
        return None
    if account.endpoint.scopes.on_token_request:
        params["scope"] = account.scope_text(refreshable=True)
    key = token.dpop_key or credentials.dpop_key
    return build(
        account,
        spec.request,
        params,
        credentials,
        shown=shown,
        captured=token.captured,
        known={"scope": account.scope_text(refreshable=True), **known_of(token)},
        dpop_key=key,
    )


def known_of(token: Token) -> dict[str, str]:
    """What templates of a call may name of the token at hand."""
    refresh_token = {"refresh_token": token.refresh_token.reveal()} if token.refresh_token else {}
    return {"access_token": token.access_token.reveal(), **refresh_token}


def ask(
    account: Account,
    params: Mapping[str, str],
    credentials: Credentials,
    *,
    hidden: tuple[Secret, ...] = (),
    patience_s: float | None = None,
    captured: Mapping[str, str] = NOTHING,
    known: Mapping[str, str] = NOTHING,
) -> TokenRequest:
    """The call that obtains a first token with a grant's own parameters; see `build`."""
    return build(
        account,
        account.endpoint.token,
        params,
        credentials,
        dpop_key=credentials.dpop_key,
        hidden=hidden,
        patience_s=patience_s,
        captured=captured,
        known=known,
    )


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """RFC 6749 section 4.4: the client asks for itself; a new token is simply asked for again."""

    name: str = "client_credentials"
    interactive: bool = False

    def obtain(self, account: Account, credentials: Credentials) -> TokenRequest | None:
        """See `Grant.obtain`."""
        params = {"grant_type": "client_credentials", "scope": account.scope_text(refreshable=False)}
        return ask(account, params, credentials)

    def renew(self, account: Account, token: Token, credentials: Credentials) -> TokenRequest | None:
        """Ask again: this grant has no refresh token (RFC 6749 section 4.4.3)."""
        return self.obtain(account, credentials)


@dataclass(frozen=True, slots=True)
class Password:
    """RFC 6749 section 4.3, which RFC 9700 section 2.4 forbids: for servers that offer nothing else."""

    name: str = "password"
    interactive: bool = False

    def obtain(self, account: Account, credentials: Credentials) -> TokenRequest | None:
        """See `Grant.obtain`."""
        params = {
            "grant_type": "password",
            "username": credentials.secret(account, "username").reveal(),
            "password": credentials.secret(account, "password").reveal(),
            "scope": account.scope_text(refreshable=True),
        }
        return ask(account, params, credentials)

    def renew(self, account: Account, token: Token, credentials: Credentials) -> TokenRequest | None:
        """With the refresh token where there is one, so that the password travels as rarely as possible."""
        return refresh(account, token, credentials) or self.obtain(account, credentials)


@dataclass(frozen=True, slots=True)
class JwtBearer:
    """RFC 7523 section 2.1: a signed assertion instead of a person. One made elsewhere, or one of ours."""

    name: str = "jwt_bearer"
    interactive: bool = False

    def obtain(self, account: Account, credentials: Credentials) -> TokenRequest | None:
        """See `Grant.obtain`."""
        params = {
            "grant_type": f"{_URN}grant-type:jwt-bearer",
            "assertion": self._assertion(account, credentials),
            "scope": account.scope_text(refreshable=False),
        }
        return ask(account, params, credentials)

    def renew(self, account: Account, token: Token, credentials: Credentials) -> TokenRequest | None:
        """With a new assertion; few servers give a refresh token for one."""
        return refresh(account, token, credentials) or self.obtain(account, credentials)

    @staticmethod
    def _assertion(account: Account, credentials: Credentials) -> str:
        if "assertion" in credentials.secrets:
            return credentials.secrets["assertion"].reveal()
        values = call_values(account, credentials, RequestSpec(), scope=account.scope_text(refreshable=False))
        return assertion(account, credentials, values)


@dataclass(frozen=True, slots=True)
class TokenExchange:
    """RFC 8693: a token of one kind for a token of another."""

    name: str = "token_exchange"
    interactive: bool = False

    def obtain(self, account: Account, credentials: Credentials) -> TokenRequest | None:
        """See `Grant.obtain`."""
        said = account.exchange
        params = {
            "grant_type": f"{_URN}grant-type:token-exchange",
            "subject_token": credentials.secret(account, "subject_token").reveal(),
            "subject_token_type": _token_type(said.get("subject_token_type", "access_token")),
            "scope": account.scope_text(refreshable=False),
            "audience": said.get("audience", ""),
            "requested_token_type": _token_type(said.get("requested_token_type", "")),
        }
        if "actor_token" in credentials.secrets:
            params["actor_token"] = credentials.secrets["actor_token"].reveal()
            params["actor_token_type"] = _token_type(said.get("actor_token_type", "access_token"))
        return ask(account, params, credentials)

    def renew(self, account: Account, token: Token, credentials: Credentials) -> TokenRequest | None:
        """With the refresh token where there is one, else with the subject token as it is by now."""
        return refresh(account, token, credentials) or self.obtain(account, credentials)


def _token_type(said: str) -> str:
    """A token type identifier (RFC 8693 section 3); its last word is enough."""
    return said if not said or ":" in said else f"{_URN}token-type:{said}"
