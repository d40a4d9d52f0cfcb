"""Every decision that the synchronous and the asynchronous transport share; no I/O here."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

import httpx

from connector.body import Rewind, rewinder
from connector.challenge import param
from connector.dress import dress
from connector.endpointhooks import Call, Situation
from connector.endpointparts import Signal
from connector.errors import NotAuthorizedError
from connector.fence import Fence, origin
from connector.hooked import attempt, overrides
from connector.jwts import proof
from connector.observe import tell, who
from connector.reading import cleaned, moment_of, number_of, parse, pointed, retry_after
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
    started: float = field(default_factory=time.monotonic)


class Rules:
    """Every decision the two transports share; does no I/O."""

    def __init__(self, source: TokenSource) -> None:
        self.source = source
        self.account = source.account
        self.fence = Fence(source.account)

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
        """The copy that carries the token; the same body, never the same headers object."""
        request = attempt.request
        attempt.token = token
        if not self.fence.admits(request.url, token):
            self.fence.stop(request.url)
            attempt.token = None
            return request
        headers, url = request.headers.copy(), request.url
        bare = not self.account.header_authenticated  # the snap places it itself
        worn = dress(self.account, token, bare=bare)
        for name, value in worn.headers.items():
            # What httpx itself says is nobody's wish.
            said = headers.get(name, "*/*")
            if said == "*/*" or said.startswith("python-httpx/"):
                headers[name] = value
        if bare:
            attempt.token = None
        elif token.dpop_key and token.token_type.lower() == "dpop":
            headers["Authorization"] = f"DPoP {token.access_token.reveal()}"
            headers["DPoP"] = self._proof(request, token)
        else:
            headers.update(worn.proof)
        if worn.cookie:
            own = headers.get("cookie", "")
            headers["Cookie"] = f"{own}{'; ' if own else ''}{'='.join(worn.cookie)}"
        if worn.segment:
            base = self.account.base_url(token.captured)
            url = httpx.URL(with_segment(str(url), base, quote(worn.segment, safe=":")))
        if worn.query:
            old = url.query.decode("ascii")
            url = url.copy_with(query=f"{old}{'&' if old else ''}{urlencode(worn.query)}".encode("ascii"))
        if worn.in_url:
            headers.setdefault("Cache-Control", "no-store")  # RFC 6750 section 2.3: the URL is a secret
        self.source.counts.add("requests")
        dressed = httpx.Request(
            request.method,
            url,
            headers=headers,
            stream=request.stream,
            extensions={**request.extensions, OWN: True},
        )
        hooks = self.account.endpoint.hooks
        signs = hooks is not None and overrides(hooks, "authenticate_request")
        return self._hooked(dressed, token) if signs and not bare else dressed

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
        values = {
            **self.source.secrets(),
            **token.private,
            "access_token": token.access_token.reveal(),
            **self.account.names(token.captured),
        }
        situation = Situation(
            account=self.account,
            values=values,
            token=token,
            now=self.source.now(),
            unique=secrets.token_hex(16),
        )
        changed = attempt(
            self.account, "authenticate_request", lambda: hooks.authenticate_request(call, situation)
        )
        if changed is call:
            return request
        url = httpx.URL(changed.url)
        if origin(url) != origin(request.url) or url.scheme != request.url.scheme:
            raise httpx.UnsupportedProtocol("a hook may not send a request to another host", request=request)
        content = {"stream": stream} if changed.body == body else {"content": changed.body}
        return httpx.Request(
            changed.method, url, headers=list(changed.headers), extensions=request.extensions, **content
        )

    def _proof(self, request: httpx.Request, token: Token) -> str:
        assert token.dpop_key is not None
        return proof(
            token.dpop_key,
            method=request.method,
            url=str(request.url),
            now=self.source.now(),
            unique=secrets.token_hex(16),
            nonce=self.source.nonces.get(origin(request.url), ""),
            access_token=token.access_token.reveal(),
        )

    def wants_nonce(self, attempt: Attempt, response: httpx.Response) -> bool:
        """Whether the server only wants its nonce in the proof (RFC 9449 section 9): the token is fine."""
        nonce, bound = response.headers.get("dpop-nonce"), attempt.token and attempt.token.dpop_key
        if not nonce or not bound or len(nonce) > _LONGEST_NONCE:
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
        said = response.headers.get_list("www-authenticate")
        if response.status_code != 401 or param(said, "error") != "insufficient_user_authentication":
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
        if any(response.status_code in signal.status for signal in self.account.endpoint.api.expired):
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
        if attempt.rewind is None or attempt.waits >= 8:
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
