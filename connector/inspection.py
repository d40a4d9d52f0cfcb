"""Revocation (RFC 7009), introspection (RFC 7662) and who one is: requests built, answers read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connector.account import Account
from connector.credentials import Credentials
from connector.endpointparts import RequestSpec
from connector.errors import NotAuthorizedError
from connector.grants import known_of
from connector.reading import cleaned, number_of, parse
from connector.reply import Refusal, Reply, read_answer, read_refusal
from connector.secret import Secret
from connector.token import Token
from connector.tokenrequest import TokenRequest, build


@dataclass(frozen=True, slots=True, kw_only=True)
class Introspection:
    """What a server says of a token (RFC 7662 section 2.2).

    Attributes:
        active: whether it is good; everything else may be missing.
        username, subject, client_id: whose it is, and who asked for it.
        scopes: what it allows; None: the server did not say.
        expires_at: seconds since the epoch.
        claims: all that the server said, as it said it.
    """

    active: bool
    username: str = ""
    subject: str = ""
    client_id: str = ""
    scopes: tuple[str, ...] | None = None
    expires_at: float | None = None
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)


def _place(account: Account, spec: RequestSpec | None, what: str) -> RequestSpec:
    if spec is not None and spec.url:
        return spec
    raise NotAuthorizedError(
        f"account {account.name!r} has no {what} endpoint",
        account=account.name,
        code="incomplete_account",
        reason=f"the endpoint {account.endpoint.name!r} declares none",
        resolution=f"declare `{what}: {{url: ...}}` in an endpoint, if the server has one"
        + ("; `--local` only forgets the tokens here" if what == "revoke" else ""),
    )


def _shown(token: Token) -> tuple[Secret, str]:
    """The refresh token, which ends the whole login, or where there is none the access token."""
    if token.refresh_token:
        return token.refresh_token, "refresh_token"
    return token.access_token, "access_token"


def _call(
    account: Account, spec: RequestSpec, params: Mapping[str, str], credentials: Credentials, token: Token
) -> TokenRequest:
    return build(
        account,
        spec,
        params,
        credentials,
        config=False,
        more=(),
        proves=bool(account.client_id),
        captured=token.captured,
        known=known_of(token),
        hidden=tuple(secret for secret in (token.access_token, token.refresh_token) if secret),
    )


def revoke_request(account: Account, credentials: Credentials, token: Token) -> TokenRequest:
    """The call that ends a login (RFC 7009 section 2.1)."""
    spec = _place(account, account.endpoint.revoke, "revoke")
    shown, hint = _shown(token)
    params = {"token": shown.reveal(), "token_type_hint": hint}
    return _call(account, spec, params, credentials, token)


def read_revoked(account: Account, reply: Reply, secrets: tuple[Secret, ...]) -> bool | Refusal:
    """True: the token is no longer good. 200 is also the answer for one that is unknown (section 2.2).

    But an error inside it, or a page for people, is no answer to this.
    """
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    data = parse(reply.body, kind, "json")
    # An empty 200 is an answer, whatever its content type says.
    page = kind == "text/html" and reply.body.strip()
    no_answer = page or (isinstance(data, Mapping) and data.get("error"))
    if 200 <= reply.status < 300 and no_answer:
        return Refusal(kind="protocol", status=reply.status, description="it is no answer to a revocation")
    return True if 200 <= reply.status < 300 else read_refusal(account, reply, secrets)


def introspect_request(account: Account, credentials: Credentials, token: Token) -> TokenRequest:
    """The call that asks what a token is worth (RFC 7662 section 2.1)."""
    spec = _place(account, account.endpoint.introspect, "introspect")
    params = {"token": token.access_token.reveal(), "token_type_hint": "access_token"}
    return _call(account, spec, params, credentials, token)


def read_introspection(
    account: Account, reply: Reply, secrets: tuple[Secret, ...]
) -> Introspection | Refusal:
    """Read an introspection answer; only a literal ``true`` means active."""
    data = read_answer(account, reply, secrets)
    if isinstance(data, Refusal):
        return data
    scope = data.get("scope")
    return Introspection(
        active=data.get("active") is True,
        username=_word(data, "username"),
        subject=_word(data, "sub"),
        client_id=_word(data, "client_id"),
        scopes=tuple(scope.split()) if isinstance(scope, str) else None,
        expires_at=number_of(data.get("exp")),
        claims=data,
    )


def _word(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    return cleaned(value) if isinstance(value, str) else ""


def person_in(data: Any) -> str:
    """Who a user-info answer speaks of: the first of its claims that a person would recognise."""
    if not isinstance(data, Mapping):
        return ""
    names = ("preferred_username", "email", "username", "login", "name", "sub")
    return next((_word(data, name) for name in names if _word(data, name)), "")
