"""The authorization request (RFC 6749 section 4.1.1) and what comes back through a person's browser.

Rules of this room: bytes and values, no network. What a redirect says comes from anybody: nothing of it is
believed before its state and its issuer fit, and nothing of it reaches a message uncleaned.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

from connector.account import Account
from connector.credentials import Credentials
from connector.endpointparts import NOTHING
from connector.errors import ConnectorError, NotAuthorizedError
from connector.filling import filled
from connector.grants import ask
from connector.jwts import thumbprint
from connector.pkce import challenge, new_state, new_verifier
from connector.reading import cleaned
from connector.reply import Refusal, Reply, read_answer
from connector.secret import Secret
from connector.template import TemplateError, fill_first, fill_url
from connector.tokenrequest import TokenRequest, build, plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """An authorization request on its way: what its answer must fit.

    Attributes:
        redirect_uri: where the answer is sent, as the server was told.
        parameters: of the request, in order.
        state, verifier: random, for this request only.
        issuer: who must have answered (RFC 9207); empty: it is not known.
        iss: whether the answer must say so.
        dpop_key: what the token will be bound to; None: nothing.
    """

    redirect_uri: str
    parameters: tuple[tuple[str, str], ...] = field(repr=False)
    state: str = field(repr=False)
    verifier: Secret | None
    issuer: str = ""
    iss: bool = False
    dpop_key: Secret | None = None


def pending(
    account: Account, credentials: Credentials, redirect_uri: str, extra: Mapping[str, str]
) -> Pending:
    """A new authorization request of an account.

    Args:
        extra: further parameters for this once, e.g. ``acr_values`` (RFC 9470).
    """
    spec = account.endpoint.authorize
    state, verifier = new_state(), new_verifier() if spec.pkce != "none" else None
    pairs = {
        "response_type": "code",
        "client_id": account.client_id,
        "redirect_uri": redirect_uri,
        "scope": account.scope_text(refreshable=True),
        "state": state,
    }
    if verifier is not None:
        pairs |= {
            "code_challenge": challenge(verifier, spec.pkce),
            "code_challenge_method": spec.pkce.removesuffix("-hex"),
        }
    if credentials.dpop_key:
        pairs["dpop_jkt"] = thumbprint(credentials.dpop_key)
    scopes = pairs["scope"].split()
    if "openid" in scopes and "offline_access" in scopes:
        # OpenID Connect Core section 11: without it the server must ignore offline_access.
        pairs["prompt"] = "consent"
    moment = {"now": str(int(credentials.now)), "now_ms": str(int(credentials.now * 1000))}
    also = {"scope": pairs["scope"], "redirect_uri": redirect_uri, "unique": credentials.unique, **moment}
    pairs |= filled(spec.params, account.names(also=also))
    removed = {name for name, value in spec.params.items() if value is None}
    named = [
        (spec.rename.get(name, name), value)
        for name, value in pairs.items()
        if (value or not spec.drop_empty) and name not in removed
    ]
    parameters = [(name, value) for name, value in named if name]
    parameters += [("resource", resource) for resource in account.resources]
    given = {name: plain(value) for name, value in account.authorize_params} | dict(extra)
    parameters = [pair for pair in parameters if pair[0] not in given] + list(given.items())
    return Pending(
        redirect_uri=redirect_uri,
        parameters=tuple(parameters),
        state=state,
        verifier=verifier,
        issuer=account.issuer(),
        iss=spec.iss,
        dpop_key=credentials.dpop_key,
    )


def push_request(account: Account, credentials: Credentials, asked: Pending) -> TokenRequest:
    """The call that pushes the request to the server first (RFC 9126 section 2.1)."""
    spec = account.endpoint.par
    assert spec is not None, "asked for only where requests are pushed"
    return build(
        account,
        spec,
        {name: value for name, value in asked.parameters if name != "resource"},
        credentials,
        more=[(name, value) for name, value in asked.parameters if name == "resource"],
        config=False,
        dpop_key=asked.dpop_key,
    )


def read_pushed(account: Account, reply: Reply, secrets: tuple[Secret, ...]) -> str | Refusal:
    """The request URI of an answer to `push_request` (RFC 9126 section 2.2)."""
    data = read_answer(account, reply, secrets, good=(200, 201))
    if isinstance(data, Refusal):
        return data
    found = data.get("request_uri")
    if isinstance(found, str) and found.isprintable() and 0 < len(found) <= 2048:
        return found
    return Refusal(kind="protocol", status=reply.status, description="the reply has no request_uri")


def authorization_url(account: Account, asked: Pending, request_uri: str = "") -> str:
    """The URL a person opens. NotAuthorizedError ``incomplete_account``: there is none."""
    try:
        url = fill_first(account.endpoint.authorize.url, account.names(), fill_url)
    except TemplateError as error:
        reason = str(error)
    else:
        pairs = [*asked.parameters]
        if request_uri:
            pairs = [("client_id", account.client_id), ("request_uri", request_uri)]
        return _with_parameters(account, url, pairs)
    raise NotAuthorizedError(
        f"account {account.name!r} has no page where a person could log in",
        account=account.name,
        code="incomplete_account",
        reason=reason if account.endpoint.authorize.url else "its endpoint declares no authorization URL",
        resolution="give the missing setting, or the authorization URL as oauth2_endpoint",
    )


def _with_parameters(account: Account, url: str, pairs: list[tuple[str, str]]) -> str:
    endpoint = account.endpoint
    scope = endpoint.authorize.rename.get("scope", "scope")
    # RFC 3986 section 3.4: what a query may hold as it is, but for what separates parameters.
    raw = {} if endpoint.scopes.encode else {scope: ":/?@!$'()*,;+%"}
    text = "&".join(
        f"{quote_plus(name)}={quote(value, safe=raw[name]) if name in raw else quote_plus(value)}"
        for name, value in pairs
    )
    fragment = endpoint.authorize.fragment
    if fragment is not None:  # a page that reads its parameters itself: no server sees them
        return f"{url}#{fragment.lstrip('#')}{'&' if '?' in fragment else '?'}{text}"
    return f"{url}{'&' if urlsplit(url).query else '?'}{text}"


def code_request(
    account: Account,
    credentials: Credentials,
    asked: Pending,
    code: Secret,
    captured: Mapping[str, str] = NOTHING,
) -> TokenRequest:
    """The call that turns a code into tokens (RFC 6749 section 4.1.3); `captured` came with the code."""
    params = {
        "grant_type": "authorization_code",
        "code": code.reveal(),
        "redirect_uri": asked.redirect_uri,
        "code_verifier": asked.verifier.reveal() if asked.verifier else "",
    }
    scope = account.scope_text(refreshable=True)
    if account.endpoint.scopes.on_token_request:
        params["scope"] = scope
    hidden = (code, *((asked.verifier,) if asked.verifier else ()))
    return ask(account, params, credentials, hidden=hidden, captured=captured, known={"scope": scope})


def state_of(account: Account, redirected: str) -> str:
    """The state that a redirect carries, to tell whose it is; empty without one."""
    return dict(_pairs(redirected)).get(account.endpoint.authorize.state, "")


def captured_from(account: Account, redirected: str) -> dict[str, str]:
    """What the endpoint takes from a redirect for templates; of one that `read_redirect` has taken."""
    values = dict(_pairs(redirected))
    found = {name: values.get(said, "") for name, said in account.endpoint.authorize.capture.items()}
    return {name: value for name, value in found.items() if value and value.isprintable()}


def read_redirect(account: Account, asked: Pending, redirected: str) -> Secret:
    """The code that a redirect brought.

    Args:
        redirected: the whole URL a browser was sent to, or its query alone.

    Raises NotAuthorizedError ``state_mismatch``, ``issuer_mismatch``, ``access_denied`` or ``login_refused``.
    """
    found, spec = _pairs(redirected), account.endpoint.authorize
    values = dict(found)
    if len(values) != len(found):
        # RFC 6749 section 3.1: parameters must not be included more than once.
        raise _unusable(account, "bad_redirect", "it names a parameter twice")
    if not values.keys() & {spec.state, spec.code, "error"}:
        raise _unusable(account, "bad_redirect", "there is no answer in it")
    if not hmac.compare_digest(values.get(spec.state, "").encode(), asked.state.encode()):
        raise _unusable(account, "state_mismatch", "it answers another login than this one")
    if asked.issuer and ("iss" in values or asked.iss) and values.get("iss", "") != asked.issuer:
        words = "it does not name its issuer, and this server always does"
        if "iss" in values:
            words = f"it says that {cleaned(values['iss'])!r} answers, and {asked.issuer!r} was asked"
        raise _unusable(account, "issuer_mismatch", words)
    if "error" in values:
        raise _denied(account, values)
    if not values.get(spec.code):
        raise _unusable(account, "bad_redirect", "it brings neither a code nor an error")
    return Secret(values[spec.code])


def _pairs(redirected: str) -> list[tuple[str, str]]:
    # What a terminal could not decode comes as lone surrogates, which nothing could encode again.
    text = redirected.strip().encode("utf-8", "replace").decode()
    before, _, query = text.partition("?")
    if "=" in before:
        query = text  # no address: the query alone, in which a question mark may stand too
    try:
        return parse_qsl(query.partition("#")[0], keep_blank_values=True, max_num_fields=50)
    except ValueError:
        return []


def _unusable(account: Account, code: str, reason: str) -> NotAuthorizedError:
    return NotAuthorizedError(
        f"this is no answer to the login of account {account.name!r}",
        account=account.name,
        code=code,
        reason=reason,
        resolution=f"begin again: `connector login {account.name}`",
    )


def _denied(account: Account, values: Mapping[str, str]) -> ConnectorError:
    error, description = cleaned(values["error"]), cleaned(values.get("error_description", ""))
    denied = error == "access_denied"
    said = f"the server said {error}" + (f": {description}" if description else "")
    return NotAuthorizedError(
        f"the login of account {account.name!r} was {'denied' if denied else 'refused'}",
        account=account.name,
        code="access_denied" if denied else "login_refused",
        reason=said,
        resolution=_HINTS.get(error, ""),
    )


_HINTS = {
    "access_denied": "allow it on the server's page, or ask who may",
    "invalid_scope": "check `scopes:` of the account",
    "unauthorized_client": "allow this client to use the authorization code grant at the server",
    "invalid_request": "check the redirect URI and the parameters registered at the server",
    "temporarily_unavailable": "try again later",
    "server_error": "try again later",
}
