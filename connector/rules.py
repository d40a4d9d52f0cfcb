"""Every decision that the synchronous and the asynchronous transport share; no I/O here."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx

from connector.body import Rewind, rewinder
from connector.challenge import param
from connector.dress import Dress, dress
from connector.endpointhooks import Call, Situation
from connector.endpointparts import Signal
from connector.errors import NotAuthorizedError, PluginError
from connector.fence import Fence, origin
from connector.hooked import attempt, overrides
from connector.jwts import proof
from connector.observe import tell, who
from connector.reading import cleaned, clock_of, moment_of, number_of, parse, pointed, retry_after
from connector.source import TokenSource
from connector.steps import with_segment
from connector.token import Token
from connector.wire import OWN

_BODY_LIMIT = 1 << 16
_LONGEST_NONCE = 1024
_EPOCH_S = 1e9  # less is a number of seconds, whatever the header is called
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})


@dataclass(slots=True)
class Attempt:
    """One request of a snap on its way: what has been tried and what may still be."""

    request: httpx.Request
    rewind: Rewind | None
    token: Token | None = None
    renewed: bool = False
    waited_s: float = 0.0
    waits: int = 0
    nonces: int = 0


class Rules:
    """Every decision the two transports share; does no I/O."""

    def __init__(self, source: TokenSource) -> None:
        self.source = source
        self.account = source.account
        self.fence = Fence(source.account)
        self._last: tuple[Token, Dress] | None = None
        api = source.account.endpoint.api
        self._expired = frozenset(status for signal in api.expired for status in signal.status)
        self._retried = frozenset(status for signal in api.retry for status in signal.status)

    def begin(self, request: httpx.Request) -> Attempt | None:
        """None: not ours, send it as it is."""
        if not request.url.host:
            raise httpx.UnsupportedProtocol(
                f"{request.url.path!r} is a path, and account {self.account.name!r} has no base URL:"
                " say `api: {base_url: ...}`, or use a whole URL",
                request=request,
            )
        # The hosts of most accounts are known without a token; of some, only the token reply says.
        if not self.account.endpoint.finds_hosts and not self.fence.admits(request.url, None):
            self.fence.stop(request.url)
            return None
        return Attempt(request, rewinder(request))

    def dress(self, attempt: Attempt, token: Token) -> httpx.Request:
        """The copy that carries the token; the same body, never the same headers object.

        Raises NotAuthorizedError ``incomplete_account`` or ``unsendable``, PluginError, and what resolving
        secrets for a hook raises.
        """
        try:
            return self._dressed(attempt, token)
        except Exception as error:
            bare = bared(error)
        raise bare

    def _dressed(self, attempt: Attempt, token: Token) -> httpx.Request:
        request = attempt.request
        attempt.token = token
        if not self.fence.admits(request.url, token):
            self.fence.stop(request.url)
            attempt.token = None
            return request
        own, url = request.headers, request.url
        bare = not self.account.header_authenticated  # the snap places it itself
        worn = self._worn(token, bare)
        put: dict[bytes, tuple[str, str]] = {}
        for name, value in worn.headers.items():
            # What httpx itself says is nobody's wish.
            said = own.get(name, "*/*")
            if said == "*/*" or said.startswith("python-httpx/"):
                _put(put, name, value)
        if bare:
            attempt.token = None
        elif token.dpop_key and token.token_type.lower() == "dpop":
            _put(put, "Authorization", f"DPoP {token.access_token.reveal()}")
            _put(put, "DPoP", self._proof(request, token))
        else:
            for name, value in worn.proof.items():
                _put(put, name, value)
        if worn.cookie:
            kept = own.get("cookie", "")
            _put(put, "Cookie", f"{kept}{'; ' if kept else ''}{'='.join(worn.cookie)}")
        if worn.segment:
            url = httpx.URL(with_segment(str(url), self.account.base_url(token.captured), worn.segment))
        if worn.query:
            old = url.query.decode("ascii")
            url = url.copy_with(query=f"{old}{'&' if old else ''}{urlencode(worn.query)}".encode("ascii"))
        if worn.in_url and "cache-control" not in own:
            _put(put, "Cache-Control", "no-store")  # RFC 6750 section 2.3: the URL is a secret
        self.source.counts.add("requests")
        headers: list[Any] = [pair for pair in own.raw if pair[0].lower() not in put]
        dressed = httpx.Request(
            request.method,
            url,
            headers=[*headers, *put.values()],
            stream=request.stream,
            extensions={**request.extensions, OWN: True},
        )
        hooks = self.account.endpoint.hooks
        signs = hooks is not None and overrides(hooks, "authenticate_request")
        return self._hooked(dressed, token) if signs and not bare else dressed

    def _worn(self, token: Token, bare: bool) -> Dress:
        """What a request wears with a token, filled in once for it."""
        known = self._last
        if known is None or known[0] is not token:
            known = self._last = (token, dress(self.account, token, bare=bare))
        return known[1]

    def _hooked(self, request: httpx.Request, token: Token) -> httpx.Request:
        """As the endpoint's hook wants it, on the same host."""
        hooks = self.account.endpoint.hooks
        stream = request.stream
        body = b"".join(stream) if isinstance(stream, httpx.ByteStream) else None
        call = Call(
            method=request.method,
            url=str(request.url),
            headers=tuple(request.headers.multi_items()),
            body=body,
        )
        situation = Situation(
            account=self.account,
            values={
                **self.source.secrets(),
                **token.private,
                "access_token": token.access_token.reveal(),
                **self.account.names(token.captured),
            },
            token=token,
            now=self.source.server_now(),
            unique=secrets.token_hex(16),
        )
        changed = attempt(
            self.account, "authenticate_request", lambda: hooks.authenticate_request(call, situation)
        )
        if changed is call:
            return request
        return attempt(self.account, "authenticate_request", lambda: _remade(request, body, changed))

    def _proof(self, request: httpx.Request, token: Token) -> str:
        assert token.dpop_key is not None
        return proof(
            token.dpop_key,
            method=request.method,
            url=str(request.url),
            now=self.source.server_now(),
            unique=secrets.token_hex(16),
            nonce=self.source.nonces.get(origin(request.url), ""),
            access_token=token.access_token.reveal(),
        )

    def wants_nonce(self, attempt: Attempt, response: httpx.Response) -> bool:
        """Whether the server only wants its nonce in the proof (RFC 9449 section 9): the token is fine."""
        if attempt.token is None or attempt.token.dpop_key is None:
            return False
        nonce = response.headers.get("dpop-nonce", "")
        if not nonce or len(nonce) > _LONGEST_NONCE:
            return False
        self.source.nonces[origin(attempt.request.url)] = nonce
        if response.status_code != 401 or attempt.nonces >= 2 or attempt.rewind is None:
            return False
        if param(response.headers.get_list("www-authenticate"), "error") != "use_dpop_nonce":
            return False
        attempt.nonces += 1
        attempt.rewind()
        self.source.counts.add("replays")
        return True

    def step_up(self, attempt: Attempt, response: httpx.Response) -> NotAuthorizedError | None:
        """The API wants a fresher or stronger login (RFC 9470 section 3): no renewal brings that."""
        if response.status_code != 401:
            return None
        said = response.headers.get_list("www-authenticate")
        if param(said, "error") != "insufficient_user_authentication":
            return None
        acr, age = cleaned(param(said, "acr_values")), cleaned(param(said, "max_age"))
        how = (f" --acr-values {acr!r}" if acr else "") + (f" --max-age {age}" if age.isdecimal() else "")
        wanted = [f"acr_values {acr}"] if acr else []
        wanted += [f"a login not older than {age} s"] if age else []
        self.source.counts.add("failed_requests")
        return NotAuthorizedError(
            f"{origin(attempt.request.url)} wants a stronger login of account {self.account.name!r}",
            account=self.account.name,
            code="step_up_required",
            reason=" and ".join(wanted),
            resolution=f"run `connector login {self.account.name}{how}`",
        )

    def looks_expired(self, attempt: Attempt, response: httpx.Response) -> bool:
        """By its status alone; where the endpoint also names a body, that is read afterwards."""
        if attempt.token is None:
            return False
        if response.status_code in self._expired:
            return True
        self.source.accept(attempt.token)
        return False

    def reads(self, response: httpx.Response) -> bool:
        """Whether to read the body of what looks like a refusal: where the endpoint declares what it
        says, and where it is small, since a connection whose answer was read can be used again.
        """
        length = response.headers.get("content-length", "")
        small = length.isdecimal() and int(length[:9]) <= _BODY_LIMIT
        return small or (_json(response) and any(s.body for s in self.account.endpoint.api.expired))

    def says_expired(self, response: httpx.Response) -> bool:
        """Whether the body says so too, where the endpoint declares what it says."""
        return _spoken(response, self.account.endpoint.api.expired) is not None

    def asks_body(self, response: httpx.Response) -> bool:
        """Whether only the body tells if waiting is right."""
        if response.status_code not in self._retried:
            return False
        signals = [s for s in self.account.endpoint.api.retry if response.status_code in s.status]
        return _json(response) and any(signal.body for signal in signals)

    def may_replay(self, attempt: Attempt) -> bool:
        """After a refused token: whether one renewal and one replay are in order."""
        assert attempt.token is not None
        again = self.source.reject(attempt.token)
        if attempt.renewed or not again or attempt.rewind is None:
            return False
        attempt.renewed = True
        attempt.rewind()
        self.source.counts.add("replays")
        return True

    def pause_s(self, attempt: Attempt, response: httpx.Response) -> float | None:
        """Seconds to wait before sending again on 429 and 503; None: hand the response out."""
        if response.status_code not in self._retried or attempt.rewind is None or attempt.waits >= 8:
            return None
        signal = _spoken(response, self.account.endpoint.api.retry)
        if signal is None:
            return None
        limited = response.status_code == 429 or bool(signal.body) or _none_left(response, signal)
        if not limited and attempt.request.method not in _IDEMPOTENT:
            return None
        pause = self._asked_s(response, signal)
        if pause is None:
            if not limited:
                return None
            pause = 0.5 * 2.0**attempt.waits
        elif response.status_code not in (429, 503) and not limited and signal.remaining:
            return None  # it means other things too, and there are requests left
        if attempt.waited_s + pause > self.account.retry_budget_s:
            return None
        attempt.waits += 1
        attempt.waited_s += pause
        attempt.rewind()
        self.source.counts.add("replays")
        tell("request.waits", who(self.account), status=response.status_code, seconds=pause)
        return pause

    def _asked_s(self, response: httpx.Response, signal: Signal) -> float | None:
        """Seconds that the server asks to wait: for so long, or until a moment."""
        now = self.source.now()
        now += clock_of(response.headers, now) or 0.0
        for name in signal.after:
            seconds = retry_after(response.headers.get(name), now)
            if seconds is not None:
                return seconds
        for name in signal.at:
            moment = moment_of(response.headers.get(name))
            if moment is not None:
                return max(0.0, moment - now) if moment > _EPOCH_S else moment
        return None

    def finish(self, response: httpx.Response) -> httpx.Response:
        """Count it, and drop cookies: a session must not outlive its token, nor stand in for it."""
        if response.status_code >= 400:
            self.source.counts.add("failed_requests")
        if not self.account.cookies and "set-cookie" in response.headers:
            del response.headers["set-cookie"]
        return response


def bared(error: BaseException) -> BaseException:
    """An error without the frames it passed: their variables hold the token.

    A cancellation too: it becomes the cause of the TimeoutError that a crash reporter is shown.
    """
    error.__traceback__ = None
    error.__cause__ = None
    error.__context__ = None
    return error


def _put(headers: dict[bytes, tuple[str, str]], name: str, value: str) -> None:
    """Set a header, in the place of the one of that name in any case."""
    headers[name.lower().encode()] = name, value


def _remade(request: httpx.Request, body: bytes | None, changed: Call) -> httpx.Request:
    """The request as a hook has changed it. PluginError for another host, anything for no Call."""
    url = httpx.URL(changed.url)
    if origin(url) != origin(request.url) or url.scheme != request.url.scheme:
        raise PluginError(
            "a hook may not send a request to another host", hook="authenticate_request", code="plugin_failed"
        )
    headers, extensions = list(changed.headers), request.extensions
    if changed.body == body:
        return httpx.Request(
            changed.method, url, headers=headers, extensions=extensions, stream=request.stream
        )
    # How long the body is, is told anew.
    kept = [pair for pair in headers if pair[0].lower() not in ("content-length", "transfer-encoding")]
    return httpx.Request(changed.method, url, headers=kept, extensions=extensions, content=changed.body)


def _spoken(response: httpx.Response, signals: Iterable[Signal]) -> Signal | None:
    """The first signal that an answer gives, whose body was read where one of them is about it."""
    for signal in signals:
        if response.status_code not in signal.status:
            continue
        if not signal.body:
            return signal
        try:
            content = response.content
        except httpx.ResponseNotRead:
            continue  # a download, say: no answer that could say this
        data = parse(content[:_BODY_LIMIT], response.headers.get("content-type", ""), "json")
        if any(pointed(data, pointer) in values for pointer, values in signal.body.items()):
            return signal
    return None


def _json(response: httpx.Response) -> bool:
    return "json" in response.headers.get("content-type", "").lower()


def _none_left(response: httpx.Response, signal: Signal) -> bool:
    """Whether no request is left by the header that counts them."""
    left = number_of(response.headers.get(signal.remaining)) if signal.remaining else None
    return left is not None and left <= 0
