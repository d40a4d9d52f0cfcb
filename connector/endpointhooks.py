"""Python for the few servers that YAML cannot describe: five hooks of an endpoint, each may be left out.

An endpoint file names a subclass, ``plugin: module:Class``. Hooks do no I/O: whoever needs a call yields it
and is sent the answer, so that what they do is the same in threads, asyncio and trio, happens under the
account's lease, and survives a crash like any other renewal.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias
from urllib.parse import urlencode

from connector.account import Account
from connector.token import Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An HTTP request. Prints as its method alone: everything else may hold a secret.

    Attributes:
        headers: in order; several of one name are allowed.
        body: what is sent; None in `EndpointHooks.authenticate_request` for a body that is read only once.
    """

    method: str = "GET"
    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes | None = field(default=b"", repr=False)

    def header(self, name: str) -> str:
        """The value of a header; empty when there is none."""
        return next((value for own, value in self.headers if own.lower() == name.lower()), "")

    def with_headers(self, headers: Mapping[str, str]) -> Call:
        """The same with these headers, in the place of those of the same name."""
        names = {name.lower() for name in headers}
        kept = tuple(pair for pair in self.headers if pair[0].lower() not in names)
        return replace(self, headers=(*kept, *headers.items()))

    def with_query(self, params: Mapping[str, str]) -> Call:
        """The same with further query parameters."""
        return replace(self, url=self.url + ("&" if "?" in self.url else "?") + urlencode(params))

    @classmethod
    def form(cls, url: str, params: Mapping[str, str], *, method: str = "POST") -> Call:
        """A call that sends a form."""
        headers = (("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json"))
        return cls(method=method, url=url, headers=headers, body=urlencode(params).encode())

    @classmethod
    def json(cls, url: str, data: Any, *, method: str = "POST") -> Call:
        """A call that sends JSON."""
        headers = (("Content-Type", "application/json"), ("Accept", "application/json"))
        return cls(method=method, url=url, headers=headers, body=json.dumps(data).encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. Prints as its status alone.

    Attributes:
        headers: names in lower case.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON. Raises Refused when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise Refused(self) from None

    def good(self) -> Answer:
        """This answer, if its status is a 2xx. Raises Refused otherwise, which ends the call as a refusal."""
        if not 200 <= self.status < 300:
            raise Refused(self)
        return self


class Refused(Exception):
    """The server said no: what follows from it is decided as for any other call.

    Raised by `Answer.good` and `Answer.json`, and by hooks themselves.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"HTTP {answer.status}")
        self.answer = answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a hook works with.

    Attributes:
        values: everything a template of a call may name (docs/endpoint-schema.md), secrets included.
        token: the one at hand; None before the first.
        now: seconds since the epoch.
        unique: a random text that no other call has.
    """

    account: Account
    values: Mapping[str, str] = field(repr=False)
    token: Token | None = None
    now: float = 0.0
    unique: str = ""


Reply: TypeAlias = Mapping[str, Any]
Calls: TypeAlias = Generator[Call, Answer, Reply]


class EndpointHooks:
    """The five hooks. Override those that the server needs; one instance serves all accounts and threads."""

    def prepare_token_request(self, call: Call, situation: Situation) -> Call:
        """Change a call to the token endpoint before it is sent: sign it, add a derived parameter."""
        return call

    def read_token_reply(self, answer: Answer, situation: Situation) -> Reply | None:
        """Read a reply that is neither JSON nor a form.

        Returns what RFC 6749 section 5.1 has (``access_token``, ``expires_in``, ...) or section 5.2
        (``error``, ``error_description``); None: it is read as the endpoint says.
        """
        return None

    def after_connect(self, situation: Situation) -> Calls | None:
        """Find out what templates need, once per login: yields calls, returns name -> text.

        The token is `situation.token`; calls carry only what the hook puts on them.
        """
        return None

    def authenticate_request(self, call: Call, situation: Situation) -> Call:
        """Change a request to the API that carries the token already: sign it, or put the token elsewhere.

        Only for hosts that may see the token.
        """
        return call

    def obtain(self, situation: Situation) -> Calls | None:
        """Obtain a token by calls of its own: yields them, returns a token reply as `read_token_reply` does.

        Also asked for each renewal; `situation.token` is the one to be renewed then. None: the account's
        grant does it.
        """
        return None
