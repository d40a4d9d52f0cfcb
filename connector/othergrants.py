"""Grants of accounts that are not OAuth2: keys, user names, pasted tokens, own JWTs, login calls.

All but the login call make their token here, without a call; those are never stored. What they are made of is
resolved anew for each, from the account's secrets or from settings that its endpoint asks for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from connector.account import Account
from connector.assertions import assertion
from connector.credentials import Credentials
from connector.endpointparts import WITHOUT_CALL, JwtSpec, RequestSpec
from connector.filling import base64_of
from connector.grants import known_of
from connector.secret import Secret
from connector.token import Token
from connector.tokenrequest import TokenRequest, build, call_values

# Makes an expiring one be made anew now and then, so that a key that was changed at its source counts.
_LOOK_AGAIN_S = 300.0


def _made(
    account: Account, credentials: Credentials, text: str, *, lifetime_s: float = _LOOK_AGAIN_S
) -> Token:
    return Token(
        access_token=Secret(text),
        obtained_at=credentials.now,
        expires_at=credentials.now + lifetime_s,
    )


def _said(account: Account, credentials: Credentials, name: str) -> str:
    """A secret of the account, or the setting of that name. NotAuthorizedError ``incomplete_account``."""
    return account.settings.get(name) or credentials.secret(account, name).reveal()


class _Anew(ABC):
    """Makes its token here, and makes it anew where another would renew it."""

    __slots__ = ()
    interactive = False
    local = True

    @abstractmethod
    def obtain(self, account: Account, credentials: Credentials) -> TokenRequest | Token | None:
        """See `connector.grants.Grant.obtain`."""

    def renew(self, account: Account, token: Token, credentials: Credentials) -> TokenRequest | Token | None:
        """Of what it is made of by now."""
        return self.obtain(account, credentials)


@dataclass(frozen=True, slots=True)
class ApiKey(_Anew):
    """The account's ``api_key`` is the token."""

    name: str = "api_key"

    def obtain(self, account: Account, credentials: Credentials) -> TokenRequest | Token | None:
        """See `connector.grants.Grant.obtain`."""
        api = account.endpoint.api
        if api.token_in == "none" or api.basic is not None:
            # Headers name what the endpoint asks for; there may be several keys, and none called api_key.
            text = account.settings.get("api_key", "") or _any(credentials, "api_key") or "-"
            return _made(account, credentials, text)
        return _made(account, credentials, _said(account, credentials, "api_key"))


@dataclass(frozen=True, slots=True)
class Basic(_Anew):
    """User name and password with each request (RFC 7617)."""

    name: str = "basic"

    def obtain(self, account: Account, credentials: Credentials) -> TokenRequest | Token | None:
        """See `connector.grants.Grant.obtain`."""
        if account.endpoint.api.basic is not None:
            return _made(account, credentials, "-")  # the endpoint says what the pair is made of
        user = _said(account, credentials, "username")
        password = _said(account, credentials, "password")
        return _made(account, credentials, base64_of(f"{user}:{password}"))


@dataclass(frozen=True, slots=True)
class SignedJwt(_Anew):
    """The token is a JWT that we sign, as the endpoint's ``jwt:`` says (RFC 7519)."""

    name: str = "signed_jwt"

    def obtain(self, account: Account, credentials: Credentials) -> TokenRequest | Token | None:
        """See `connector.grants.Grant.obtain`."""
        values = call_values(account, credentials, RequestSpec())
        lifetime_s = (account.endpoint.jwt or JwtSpec()).lifetime_s
        text = assertion(account, credentials, values)
        return _made(account, credentials, text, lifetime_s=lifetime_s)


@dataclass(frozen=True, slots=True)
class NoProof(_Anew):
    """An API that wants no proof."""

    name: str = "none"

    def obtain(self, account: Account, credentials: Credentials) -> TokenRequest | Token | None:
        """See `connector.grants.Grant.obtain`."""
        return _made(account, credentials, "-")


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token that somebody pasted: the account's ``bearer_token``, or one that was adopted."""

    name: str = "bearer"
    interactive: bool = True

    def obtain(self, account: Account, credentials: Credentials) -> TokenRequest | Token | None:
        """See `connector.grants.Grant.obtain`."""
        text = account.settings.get("bearer_token", "") or _any(credentials, "bearer_token")
        if not text:
            return None
        return Token(access_token=Secret(text), obtained_at=credentials.now)

    def renew(self, account: Account, token: Token, credentials: Credentials) -> TokenRequest | Token | None:
        """The one in the manifest, if it is another by now."""
        found = self.obtain(account, credentials)
        if isinstance(found, Token) and found.fingerprint != token.fingerprint:
            return found
        return None


@dataclass(frozen=True, slots=True)
class Custom:
    """What the hook ``obtain`` of the endpoint does (`connector.endpointhooks`); nothing by itself."""

    name: str = "custom"
    interactive: bool = False

    def obtain(self, account: Account, credentials: Credentials) -> TokenRequest | Token | None:
        """Nothing."""
        return None

    def renew(self, account: Account, token: Token, credentials: Credentials) -> TokenRequest | Token | None:
        """Nothing."""
        return None


@dataclass(frozen=True, slots=True)
class TwoStep:
    """A login call made of just what the endpoint's ``token:`` says; what it answers is the token."""

    name: str = "two_step"
    interactive: bool = False

    def obtain(self, account: Account, credentials: Credentials) -> TokenRequest | Token | None:
        """See `connector.grants.Grant.obtain`."""
        return self._call(account, account.endpoint.token, credentials, {})

    def renew(self, account: Account, token: Token, credentials: Credentials) -> TokenRequest | Token | None:
        """By the call that ``refresh:`` describes where there is one, else by another login."""
        said = account.endpoint.spec.get("refresh", {})
        if not said.keys() - {"rotates", "grace", "before"}:
            return self.obtain(account, credentials)
        spec = account.endpoint.refresh
        if spec.with_ == "refresh_token" and not token.refresh_token:
            return self.obtain(account, credentials)
        shown = {"refresh_token": token.refresh_token, "access_token": token.access_token}.get(spec.with_)
        return self._call(account, spec.request, credentials, known_of(token), token, shown)

    @staticmethod
    def _call(
        account: Account,
        spec: RequestSpec,
        credentials: Credentials,
        known: Mapping[str, str],
        token: Token | None = None,
        shown: Secret | None = None,
    ) -> TokenRequest:
        return build(
            account,
            spec,
            {},
            credentials,
            shown=shown,
            captured=token.captured if token else {},
            known=known,
            more=(),
            proves=account.endpoint.spec.get("token", {}).get("auth", "none") != "none",
        )


def _any(credentials: Credentials, name: str) -> str:
    secret = credentials.secrets.get(name)
    return secret.reveal() if secret else ""


# Kinds of accounts that have no client id.
WITHOUT_CLIENT = WITHOUT_CALL | {"two_step", "custom"}
