"""The contract for grants holds for ours, and finds what is wrong with one; else it would promise nothing."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from connector.grants import ClientCredentials, RefreshToken, TokenRequest
from connector.plugins.grants import connector_grants
from connector.registry import collect
from connector.secret import Secret
from connector.testing import GrantContract

KEY = (
    ec.derive_private_key(0xC0FFEE, ec.SECP256R1())
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)
SECRETS = {
    "username": "ada@example.com",
    "password": "pass%+/&= word",
    "private_key": KEY,
    "subject_token": "subject-token-Bv5%+/&= w",
    "api_key": "api-key-Xs2%+/&= v",
    "bearer_token": "bearer-token-Jt8",
}
# A user name is a secret only where the endpoint makes it one; nothing of it is hidden in a request.
NEEDS: dict[str, tuple[str, ...]] = {
    "password": ("password", "username"),
    "jwt_bearer": ("private_key",),
    "token_exchange": ("subject_token",),
    "signed_jwt": ("private_key",),
    "api_key": ("api_key",),
    "basic": ("username", "password"),
    "bearer": ("bearer_token",),
}


def contract_of(made: Any) -> type[GrantContract]:
    """The contract of one grant of ours."""

    class Contract(GrantContract):
        grant = made
        secrets = {name: SECRETS[name] for name in NEEDS.get(made.name, ())}  # noqa: RUF012

    return Contract


TESTS = sorted(name for name in vars(GrantContract) if name.startswith("test_"))
OURS = list(connector_grants())


# Begins by what the endpoint's own hook does, so the grant by itself has nothing to begin with.
EXCEPTED = ("custom", "test_it_answers_with_a_request_a_token_or_nothing")
CASES = [(grant, test) for grant in OURS for test in TESTS if (grant.name, test) != EXCEPTED]


@pytest.mark.parametrize(("grant", "test"), CASES, ids=lambda part: getattr(part, "name", part))
def test_ours_keep_it(grant: Any, test: str) -> None:
    """Every grant we ship, bare and as the registry wraps it."""
    getattr(contract_of(grant)(), test)()
    getattr(contract_of(collect().grants[grant.name])(), test)()


@dataclass(frozen=True)
class Good:
    """Asks with a key of its own."""

    name: str = "good"
    interactive: bool = False

    def obtain(self, account: Any, credentials: Any) -> Any:
        return ClientCredentials().obtain(account, credentials)

    def renew(self, account: Any, token: Any, credentials: Any) -> Any:
        return RefreshToken().renew(account, token, credentials) or self.obtain(account, credentials)


class Kept(GrantContract):
    grant = Good()


@pytest.mark.parametrize("test", TESTS)
def test_a_good_one_keeps_it(test: str) -> None:
    """What is broken below is this one with one thing changed."""
    getattr(Kept(), test)()


def changed(**what: Any) -> Callable[[Any], Any]:
    """A request with something else in it."""
    return lambda request: request and replace(request, **what)


@dataclass(frozen=True)
class Bent(Good):
    """Its requests pass through something."""

    bend: Callable[[Any], Any] = field(default=lambda request: request)

    def obtain(self, account: Any, credentials: Any) -> Any:
        return self.bend(super().obtain(account, credentials))

    def renew(self, account: Any, token: Any, credentials: Any) -> Any:
        return self.bend(super().renew(account, token, credentials))


def asking(what: Callable[[], Any]) -> Callable[[Any], Any]:
    """Does something beside."""

    def bend(request: Any) -> Any:
        what()
        return request

    return bend


def calls() -> None:
    with socket.socket() as wire:
        wire.connect(("127.0.0.1", 9))


COUNTS: Iterator[int] = iter(range(10**9))


class Forgets(Good):
    """Looks up what it needs without care."""

    def obtain(self, account: Any, credentials: Any) -> Any:
        credentials.secrets["api_key"]
        return super().obtain(account, credentials)


class Talks(Good):
    """Shows a secret in its repr."""

    def obtain(self, account: Any, credentials: Any) -> Any:
        object.__setattr__(self, "seen", credentials.client_secret)
        return super().obtain(account, credentials)

    def __repr__(self) -> str:
        seen = getattr(self, "seen", None)
        return f"Talks({seen.reveal() if seen else ''})"


class Writes(Good):
    """Changes what is shared."""

    def obtain(self, account: Any, credentials: Any) -> Any:
        request = super().obtain(account, credentials)
        account.settings["seen"] = "yes"
        return request


@pytest.mark.parametrize(
    ("grant", "test"),
    [
        (Good, "test_it_is_a_grant"),
        (Good(name="Good Grant"), "test_it_is_a_grant"),
        (Good(interactive=True), "test_it_answers_with_a_request_a_token_or_nothing"),
        (Bent(bend=lambda request: {"url": "x"}), "test_it_answers_with_a_request_a_token_or_nothing"),
        (Bent(bend=lambda request: None), "test_it_answers_with_a_request_a_token_or_nothing"),
        (Bent(bend=asking(lambda: time.time())), "test_it_makes_no_call_and_asks_nobody"),
        (Bent(bend=asking(lambda: random.random())), "test_it_makes_no_call_and_asks_nobody"),
        (Bent(bend=asking(calls)), "test_it_makes_no_call_and_asks_nobody"),
        (
            Bent(bend=lambda request: replace(request, url=f"{request.url}?{next(COUNTS)}")),
            "test_the_same_given_is_the_same_answered",
        ),
        (Writes(), "test_what_it_is_given_stays_as_it_is"),
        (Bent(bend=changed(url="http://login.example.com/token")), "test_a_request_can_be_sent"),
        (Bent(bend=changed(headers=(("X", "a\r\nY: b"),))), "test_a_request_can_be_sent"),
        (Bent(bend=changed(headers=(("X Y", "a"),))), "test_a_request_can_be_sent"),
        (Bent(bend=changed(body="text")), "test_a_request_can_be_sent"),
        (Bent(bend=changed(presents="")), "test_the_journal_knows_what_is_shown"),
        (Bent(bend=changed(presents="12345678")), "test_the_journal_knows_what_is_shown"),
        (Bent(bend=changed(secrets=())), "test_its_secrets_are_named"),
        (Bent(bend=changed(method="client-secret-Zq7%+/&= x")), "test_nothing_prints_a_secret"),
        (Talks(), "test_nothing_prints_a_secret"),
    ],
)
def test_a_broken_one_is_found(grant: Any, test: str) -> None:
    """Each mistake by the test that is about it."""

    class Broken(GrantContract):
        pass

    Broken.grant = grant
    with pytest.raises(AssertionError):
        getattr(Broken(), test)()


def test_a_missing_secret_is_no_key_error() -> None:
    """An author's KeyError is one, not an answer."""

    class Broken(GrantContract):
        grant = Forgets()

    with pytest.raises(KeyError):
        Broken().test_what_is_missing_is_told()


def test_a_secret_in_basic_authentication_is_seen() -> None:
    """Also where it travels encoded."""

    class Basic(GrantContract):
        grant = Bent(bend=lambda request: replace(request, secrets=(Secret("other"),)))
        endpoint = {"token": {"url": "https://login.example.com/token", "auth": "client_secret_basic"}}  # noqa: RUF012

    [*_, (_, request)] = Basic()._requests()
    assert isinstance(request, TokenRequest)
    with pytest.raises(AssertionError, match="is not among its secrets"):
        Basic().test_its_secrets_are_named()
