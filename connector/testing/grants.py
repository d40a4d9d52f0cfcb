"""The contract for grants: pure functions from an account and its credentials to a request."""

from __future__ import annotations

import base64
import os
import random
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar
from unittest import mock
from urllib.parse import quote, quote_plus, unquote_plus

from connector.account import Account
from connector.credentials import Credentials
from connector.endpoint import endpoint_from_spec
from connector.errors import ConnectorError
from connector.grants import Grant
from connector.secret import Secret
from connector.template import TemplateError, check_url
from connector.token import Token
from connector.tokenrequest import TokenRequest

Answer = TokenRequest | Token | None

_NAME = re.compile(r"[a-z0-9][a-z0-9_.:-]*")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# The signature of a JWT: some algorithms make another one each time (RFC 7518 section 3.4).
_SIGNED = re.compile(r"(eyJ[\w-]+\.[\w-]+)\.[\w-]+")
_NOW = 1_800_000_000.0


class GrantContract:
    """Subclass it as ``Test...`` and say which grant.

    Attributes:
        grant: the grant, as its plugin contributes it.
        endpoint: an endpoint it is for, in the shape of an endpoint file.
        settings: the account's.
        secrets: the account's other secrets by name (``private_key``, ``username``, ...).
        fields: further fields of `connector.account.Account`.
    """

    grant: ClassVar[Any]
    endpoint: ClassVar[Mapping[str, Any]] = {"token": {"url": "https://login.example.com/token"}}
    settings: ClassVar[Mapping[str, str]] = {}
    secrets: ClassVar[Mapping[str, str]] = {}
    fields: ClassVar[Mapping[str, Any]] = {}

    # --- what it is given ---

    def account(self) -> Account:
        """An account with everything the grant needs."""
        return Account(
            name="contract",
            client_id="the-client",
            endpoint=endpoint_from_spec({"endpoint": "contract", **self.endpoint}),
            grant=self.grant.name,
            settings=dict(self.settings),
            **self.fields,
        )

    def credentials(self) -> Credentials:
        """What a call proves itself with, made anew and the same each time."""
        return Credentials(
            now=_NOW,
            unique="0123456789abcdef0123456789abcdef",
            client_secret=Secret("client-secret-Zq7%+/&= x"),
            secrets={name: Secret(text) for name, text in self.secrets.items()},
        )

    def token(self, *, refreshable: bool = True) -> Token:
        """A token that is near its end."""
        return Token(
            access_token=Secret("access-token-Wm3%+/&= y"),
            refresh_token=Secret("refresh-token-Kp9%+/&= z") if refreshable else None,
            obtained_at=_NOW - 3600,
            expires_at=_NOW + 10,
        )

    def _obtained(self) -> Answer:
        return _checked(self.grant.obtain(self.account(), self.credentials()))

    def _renewed(self, *, refreshable: bool = True) -> Answer:
        token = self.token(refreshable=refreshable)
        return _checked(self.grant.renew(self.account(), token, self.credentials()))

    def _answers(self) -> dict[str, Answer]:
        return {
            "obtain": self._obtained(),
            "renew": self._renewed(),
            "renew without refresh token": self._renewed(refreshable=False),
        }

    # --- what it must be ---

    def test_it_is_a_grant(self) -> None:
        """A name that `grant:` can say, whether a person takes part, and the two functions."""
        grant: Grant = self.grant
        assert not isinstance(grant, type), "a grant is an object, not a class"
        assert isinstance(grant.name, str)
        assert _NAME.fullmatch(grant.name), f"no account can say grant: {grant.name}"
        assert isinstance(grant.interactive, bool)
        assert callable(grant.obtain)
        assert callable(grant.renew)
        assert isinstance(getattr(grant, "local", False), bool)

    def test_it_answers_with_a_request_a_token_or_nothing(self) -> None:
        """Nothing else; and it begins by itself if no person must take part."""
        begun = self._obtained()
        if self.grant.interactive:
            assert not isinstance(begun, TokenRequest), "what begins with a person makes no call by itself"
        else:
            assert begun is not None, "what needs no person begins by itself"
        answers = self._answers()
        if getattr(self.grant, "local", False):
            assert not any(isinstance(answer, TokenRequest) for answer in answers.values()), (
                "local makes no call"
            )

    def test_it_makes_no_call_and_asks_nobody(self) -> None:
        """Neither network nor clock nor chance: `credentials` bring the moment and a random text."""
        with _alone(_NETWORK):
            self._answers()  # what is imported late may look at a clock
        with _alone(_NETWORK + _WORLD):
            self._answers()

    def test_the_same_given_is_the_same_answered(self) -> None:
        """Twice, and from several threads; signatures may differ, what is signed may not."""
        first = {name: _comparable(answer) for name, answer in self._answers().items()}
        with ThreadPoolExecutor(4) as pool:
            others = [each.result() for each in [pool.submit(self._answers) for _ in range(8)]]
        for other in others:
            assert {name: _comparable(answer) for name, answer in other.items()} == first

    def test_what_it_is_given_stays_as_it_is(self) -> None:
        """Accounts, tokens and credentials are shared by threads."""
        account, credentials, token = self.account(), self.credentials(), self.token()
        before = _contents(account, token, credentials)
        self.grant.obtain(account, credentials)
        self.grant.renew(account, token, credentials)
        assert _contents(account, token, credentials) == before

    def test_a_request_can_be_sent(self) -> None:
        """A URL that secrets may travel to, a method, headers that are some, and bytes."""
        for name, request in self._requests():
            assert _fit(request.url), f"{name}: no secret may travel to {request.url.partition('?')[0]}"
            assert request.method in ("GET", "POST", "PUT", "PATCH", "DELETE"), name
            assert isinstance(request.body, bytes), name
            for header, value in request.headers:
                assert _HEADER.fullmatch(header), f"{name}: {header!r} is no header's name"
                assert value.isprintable(), f"{name}: the header {header} does not stay on its line"

    def test_the_journal_knows_what_is_shown(self) -> None:
        """`presents` is the fingerprint of the refresh token where one is shown, and of nothing that is not.

        The journal is what keeps a refresh token from being shown twice: see docs/renewal.md.
        """
        for name, request in self._requests():
            shown = self.token().refresh_token
            assert shown is not None
            if _holds(request, shown):
                assert request.presents == shown.fingerprint, (
                    f"{name} shows a refresh token and does not say so"
                )
            elif request.presents:
                known = [self.token().access_token, *self._given()]
                presented = [each for each in known if each.fingerprint == request.presents]
                assert presented, f"{name}: presents is the fingerprint of nothing it was given"
                assert _holds(request, presented[0]), f"{name}: presents what it does not show"

    def test_its_secrets_are_named(self) -> None:
        """Each secret in a request is among its `secrets`, so that a server's echo of it is not shown."""
        given = [*self._given(), self.token().access_token, self.token().refresh_token]
        for name, request in self._requests():
            named = [each.reveal() for each in request.secrets]
            for secret in given:
                if secret is not None and _holds(request, secret):
                    assert secret.reveal() in named, f"{name}: a secret in it is not among its secrets"

    def test_nothing_prints_a_secret(self) -> None:
        """Neither the grant nor a request or token of its, however they are printed."""
        given = [*self._given(), self.token().access_token, self.token().refresh_token]
        for value in (self.grant, *self._answers().values()):
            for text in (repr(value), str(value), f"{value}"):
                for secret in given:
                    assert secret is None or not _shows(text, secret), (
                        f"{type(value).__name__} prints a secret"
                    )

    def test_what_is_missing_is_told(self) -> None:
        """Without its secrets it raises a ConnectorError which names what is missing, if it needs any."""
        bare = Credentials(now=_NOW, unique="u")
        calls: list[Callable[[], Any]] = [
            lambda: self.grant.obtain(self.account(), bare),
            lambda: self.grant.renew(self.account(), self.token(refreshable=False), bare),
        ]
        for call in calls:
            said = ""
            try:
                _checked(call())
            except ConnectorError as error:
                said = str(error)
                assert said, "an error says what happened"
            assert not any(_shows(said, secret) for secret in self._given())

    # --- looking closer ---

    def _requests(self) -> Iterator[tuple[str, TokenRequest]]:
        for name, answer in self._answers().items():
            if isinstance(answer, TokenRequest):
                yield name, answer

    def _given(self) -> list[Secret]:
        return list(self.credentials().all())


def _fit(url: str) -> bool:
    try:
        return bool(check_url(url))
    except TemplateError:
        return False


def _contents(account: Account, token: Token, credentials: Credentials) -> list[str]:
    secrets = [f"{name}={secret.fingerprint}" for name, secret in credentials.secrets.items()]
    return [repr(dict(account.settings)), repr(account.endpoint.spec), token.fingerprint, *secrets]


def _checked(answer: Any) -> Answer:
    assert answer is None or isinstance(answer, (TokenRequest, Token)), (
        f"a request, a token or None was promised, and this is of type {type(answer).__name__}"
    )
    return answer


def _comparable(answer: Answer) -> tuple[Any, ...]:
    if isinstance(answer, TokenRequest):
        body = _SIGNED.sub(r"\1", answer.body.decode("latin-1"))
        headers = tuple((name, _SIGNED.sub(r"\1", value)) for name, value in answer.headers)
        return answer.method, _SIGNED.sub(r"\1", answer.url), headers, body, answer.presents
    if isinstance(answer, Token):
        text = _SIGNED.sub(r"\1", answer.access_token.reveal())
        return text, answer.refresh_token, answer.expires_at, answer.scopes
    return (None,)


def _holds(request: TokenRequest, secret: Secret) -> bool:
    """Whether a secret is in a request in any of the forms it may travel in."""
    whole = "\n".join([request.url, *(value for _, value in request.headers), request.body.decode("latin-1")])
    decoded = " ".join(_basic(value) for _, value in request.headers)
    return any(_shows(text, secret) for text in (whole, unquote_plus(whole), decoded, unquote_plus(decoded)))


def _shows(text: str, secret: Secret) -> bool:
    plain = secret.reveal()
    return bool(plain) and any(form in text for form in (plain, quote(plain, safe=""), quote_plus(plain)))


def _basic(value: str) -> str:
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(encoded).decode("utf-8", "replace")
    except ValueError:
        return ""


_NETWORK: tuple[tuple[Any, str, str], ...] = (
    (socket.socket, "connect", "the network"),
    (socket, "getaddrinfo", "the network"),
    (socket, "create_connection", "the network"),
)
_WORLD: tuple[tuple[Any, str, str], ...] = (
    (time, "time", "the clock; credentials.now has the moment"),
    (time, "time_ns", "the clock; credentials.now has the moment"),
    (random, "random", "chance; credentials.unique has a random text"),
    (os, "urandom", "chance; credentials.unique has a random text"),
)


@contextmanager
def _alone(targets: tuple[tuple[Any, str, str], ...]) -> Iterator[None]:
    """Some of the world refuses: whoever asks it is no pure function."""

    def refuse(what: str) -> Any:
        def answer(*args: Any, **kwargs: Any) -> Any:
            raise AssertionError(f"a grant asks {what}: all it may use is in its arguments")

        return answer

    with ExitStack() as stack:
        for target, name, what in targets:
            stack.enter_context(mock.patch.object(target, name, refuse(what)))
        yield
