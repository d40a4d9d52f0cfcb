"""Where an endpoint's hooks take part in a renewal, as generators of effects.

Rules of this room: a hook is a stranger's code. Whatever it raises becomes a PluginError without its words,
which may repeat a secret; what it returns is checked before it is used.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from connector.account import Account
from connector.effects import Effect, NoReply, Post, Ready
from connector.endpointhooks import Answer, Call, Calls, EndpointHooks, Refused, Situation
from connector.endpointparts import RequestSpec, ResponseSpec
from connector.errors import ConnectorError, PluginError
from connector.grants import known_of
from connector.reply import Refusal, Reply, read_refusal, read_reply
from connector.secret import Secret
from connector.template import TemplateError, check_url
from connector.token import Token
from connector.tokenrequest import TokenRequest, call_values

T = TypeVar("T")
_MOST_CALLS = 20
CONNECTED = "after connect"  # no name of a template, so that it meets none


def situation_of(ready: Ready, token: Token | None) -> Situation:
    """What hooks of an account work with."""
    account, credentials = ready.account, ready.credentials
    captured = token.captured if token else {}
    known = known_of(token) if token else {}
    values = call_values(account, credentials, RequestSpec(), captured=captured, known=known)
    return Situation(
        account=account, values=values, token=token, now=credentials.now, unique=credentials.unique
    )


def prepared(ready: Ready, request: TokenRequest, token: Token | None) -> TokenRequest:
    """A call to the token endpoint as the hook wants it."""
    hooks = ready.account.endpoint.hooks
    if hooks is None or not overrides(hooks, "prepare_token_request"):
        return request
    call = Call(method=request.method, url=request.url, headers=request.headers, body=request.body)
    changed = attempt(
        ready.account,
        "prepare_token_request",
        lambda: hooks.prepare_token_request(call, situation_of(ready, token)),
    )
    _check_call(ready.account, "prepare_token_request", changed)
    return replace(
        request, method=changed.method, url=changed.url, headers=changed.headers, body=changed.body or b""
    )


def read(ready: Ready, reply: Reply, request: TokenRequest, previous: Token | None) -> Token | Refusal:
    """Read a reply of the token endpoint, by the hook where there is one."""
    hooks = ready.account.endpoint.hooks
    said: Any = None
    if hooks is not None and overrides(hooks, "read_token_reply"):
        answer = Answer(status=reply.status, headers=reply.headers, body=reply.body)
        situation = situation_of(ready, previous)
        try:
            said = attempt(
                ready.account, "read_token_reply", lambda: hooks.read_token_reply(answer, situation)
            )
        except Refused:
            said = {"error": "invalid_reply"}
    if said is None:
        return read_reply(
            ready.account, reply, previous=previous, secrets=request.secrets, dpop_key=request.dpop_key
        )
    return _read_mapping(ready.account, "read_token_reply", said, reply, request.secrets, previous)


def _read_mapping(
    account: Account,
    hook: str,
    said: Any,
    reply: Reply,
    secrets: tuple[Secret, ...],
    previous: Token | None,
) -> Token | Refusal:
    if not isinstance(said, Mapping):
        raise _promised(account, hook, "a mapping")
    spec = account.endpoint.response
    plain = replace(
        account,
        endpoint=replace(
            account.endpoint, response=ResponseSpec(lifetime_s=spec.lifetime_s, capture=spec.capture)
        ),
    )
    try:
        body = json.dumps(dict(said)).encode()
    except (TypeError, ValueError):
        raise _promised(account, hook, "a mapping of texts and numbers") from None
    status = reply.status if "error" in said and reply.status >= 400 else 200
    headers = {**reply.headers, "content-type": "application/json"}
    return read_reply(
        plain,
        Reply(status=status, headers=headers, body=body, received_at=reply.received_at),
        previous=previous,
        secrets=secrets,
    )


def obtains(account: Account) -> bool:
    """Whether a hook obtains tokens by itself."""
    hooks = account.endpoint.hooks
    return hooks is not None and overrides(hooks, "obtain")


def obtain(
    ready: Ready, token: Token | None, *, until: float
) -> Generator[Effect, Any, Token | Refusal | NoReply | None]:
    """Let the hook obtain a token; None: it leaves that to the grant."""
    hooks = ready.account.endpoint.hooks
    assert hooks is not None, "asked for only where a hook obtains tokens"
    made = yield from _calls(ready, "obtain", hooks.obtain, token, until=until)
    if made is None or not isinstance(made, tuple):
        return made
    said, last = made
    return _read_mapping(ready.account, "obtain", said, last, _secrets(ready, token), token)


def connects(account: Account, token: Token) -> bool:
    """Whether the hook that finds out what templates need is still to be asked."""
    hooks = account.endpoint.hooks
    return hooks is not None and overrides(hooks, "after_connect") and CONNECTED not in token.captured


def connect(ready: Ready, token: Token, *, until: float) -> Generator[Effect, Any, Token | Refusal | NoReply]:
    """Let the hook find out what templates need."""
    hooks = ready.account.endpoint.hooks
    assert hooks is not None, "asked for only where there is such a hook"
    made = yield from _calls(ready, "after_connect", hooks.after_connect, token, until=until)
    if isinstance(made, (Refusal, NoReply)):
        return made
    said = made[0] if made is not None else {}
    texts = {str(name): str(value) for name, value in said.items() if str(value).isprintable()}
    return replace(token, captured=MappingProxyType({**token.captured, **texts, CONNECTED: "done"}))


def _calls(
    ready: Ready, hook: str, begin: Callable[[Situation], Calls | None], token: Token | None, *, until: float
) -> Generator[Effect, Any, tuple[Mapping[str, Any], Reply] | Refusal | NoReply | None]:
    """Make the calls that a hook yields, up to what it returns."""
    account, secrets = ready.account, _secrets(ready, token)
    calls = attempt(account, hook, lambda: begin(situation_of(ready, token)))
    if calls is None:
        return None
    if not isinstance(calls, Generator):
        raise _promised(account, hook, "a generator of calls")
    answer: Answer | None = None
    last = Reply(status=200, headers={}, body=b"", received_at=ready.credentials.now)
    for made in range(_MOST_CALLS):
        try:
            step = attempt(account, hook, lambda answer=answer: _next(calls, answer))  # type: ignore[misc]
        except Refused as refused:
            said = refused.answer
            status = said.status if said.status >= 400 else 502
            reply = replace(last, status=status, headers=said.headers, body=said.body)
            refusal = read_refusal(account, reply, secrets)
            # What the calls before the last one have used up is used up.
            return replace(refusal, spent=True) if made > 1 else refusal
        if not isinstance(step, Call):
            if not isinstance(step, Mapping):
                raise _promised(account, hook, "a Call for each yield, and a mapping in the end")
            return step, last
        _check_call(account, hook, step)
        request = TokenRequest(
            method=step.method,
            url=step.url,
            headers=step.headers,
            body=step.body or b"",
            secrets=secrets,
            tls=account.tls,
            proxy=account.proxy,
        )
        got: Reply | NoReply = yield Post(request, until=until)
        if isinstance(got, NoReply):
            calls.close()
            return replace(got, sent=True) if made else got
        last, answer = got, Answer(status=got.status, headers=got.headers, body=got.body)
    raise _promised(account, hook, f"at most {_MOST_CALLS} calls")


def _check_call(account: Account, hook: str, call: object) -> None:
    """Raise PluginError for what is no call that can be made, in words that repeat nothing of it."""
    if not isinstance(call, Call):
        raise _promised(account, hook, "a Call")
    try:
        texts = [call.method, *(text for name, value in call.headers for text in (name, value))]
        fits = all(isinstance(text, str) for text in texts) and isinstance(call.body or b"", bytes)
        check_url(call.url)
    except TemplateError:
        raise _promised(account, hook, "an https URL") from None
    except (TypeError, ValueError, AttributeError):
        fits = False
    if not fits:
        raise _promised(account, hook, "a Call of texts, with a body of bytes")


def _next(calls: Calls, answer: Answer | None) -> Call | Mapping[str, Any]:
    try:
        return next(calls) if answer is None else calls.send(answer)
    except StopIteration as done:
        value: Mapping[str, Any] = done.value
        return value


def attempt(account: Account, hook: str, call: Callable[[], T]) -> T:
    """Call a hook. Raises PluginError for what it must not raise, without its words."""
    try:
        return call()
    except (ConnectorError, Refused):
        raise
    except Exception as error:
        kind = type(error).__name__ + _place(error)
    raise _failed(account, hook, kind)


def _place(error: BaseException) -> str:
    """Where it was raised: a file and a line hold no secret."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename != __file__]
    return f" at {Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""


def _promised(account: Account, hook: str, what: str) -> PluginError:
    return _failed(account, hook, f"{what} was promised")


def _failed(account: Account, hook: str, reason: str) -> PluginError:
    return PluginError(
        f"the hook {hook} of the endpoint {account.endpoint.name!r} failed",
        owner=account.endpoint.plugin,
        hook=hook,
        code="plugin_failed",
        reason=reason,
        resolution="update or mend that plugin",
    )


def overrides(hooks: EndpointHooks, name: str) -> bool:
    """Whether a hook is more than the one that does nothing."""
    return getattr(type(hooks), name, None) is not getattr(EndpointHooks, name)


def _secrets(ready: Ready, token: Token | None) -> tuple[Secret, ...]:
    own = (token.access_token, token.refresh_token) if token else ()
    return (*ready.credentials.all(), *ready.account.hidden, *(secret for secret in own if secret))
