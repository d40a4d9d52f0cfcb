"""What plugins hand over, wrapped so that its mistakes are reported as theirs.

Rules of this room: errors of ours pass as they are; of a stranger's exception only the kind is told, because
its text may repeat a secret that it was working with.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from connector.account import Account
from connector.credentials import Credentials
from connector.errors import ConnectorError
from connector.grants import Grant, TokenRequest
from connector.hookspecs import SecretSource, StoreOpener
from connector.pluginfile import broken
from connector.service import Service
from connector.snap import Snap
from connector.token import Token
from connector.tokenstore import TokenStore

T = TypeVar("T")
_STORE = ("load", "save", "delete", "accounts", "acquire", "holder", "release", "close")
# As the schema of the manifest has it.
_SNAP_NAME = re.compile("[A-Za-z_][A-Za-z0-9_.-]{0,127}")
_SERVICE = ("authorize", "__enter__", "__exit__")


def attempt(owner: str, hook: str, call: Callable[[], T], *passing: type[Exception]) -> T:
    """Call a plugin's code. Raises PluginError for what it must not raise; `passing` may go through."""
    may_pass: tuple[type[Exception], ...] = (ConnectorError, *passing)
    try:
        return call()
    except may_pass:
        raise
    except Exception as error:
        failure = broken(owner, hook, error, quiet=True)
    raise failure  # out here: a context would keep the stranger's exception and its frames alive


def promised(owner: str, hook: str, what: str, value: Any) -> ConnectorError:
    """The error for a value of the wrong kind."""
    return broken(owner, hook, TypeError(f"{what} was promised, and this is of type {type(value).__name__}"))


def secret_source(source: SecretSource, owner: str) -> SecretSource:
    """The source; LookupError and OSError mean that nothing is there."""
    hook = "connector_secret_sources"

    def ask(ref: str, folder: Path) -> str:
        text = attempt(owner, hook, lambda: source(ref, folder), LookupError, OSError)
        if not isinstance(text, str):
            raise promised(owner, hook, "a text", text)
        return text

    return ask


def snap_flaws(snap: Snap) -> list[str]:
    """What is wrong with a snap that a plugin contributes; nobody could use it, or only to fail."""
    found = []
    if not isinstance(snap.name, str) or not _SNAP_NAME.fullmatch(snap.name):
        found.append(f"{snap.name!r} is no name: letters, digits, '.', '_' and '-', a letter first")
    bare = snap.run.func if isinstance(snap.run, functools.partial) else snap.run
    if not callable(bare):
        found.append(f"run is of type {type(bare).__name__}, no function or class")
    elif inspect.isclass(bare) and not snap.factory and not callable(getattr(bare, "process", None)):
        found.append(f"the class {bare.__name__} has no method process(self, document, context)")
    if snap.account not in ("none", "optional", "required"):
        found.append(f"account is {snap.account!r}, expected none, optional or required")
    given = {name: getattr(snap, name) for name in ("check", "needs_base", "writes")}
    return [
        *found,
        *(f"{n} is no function" for n, each in given.items() if each is not None and not callable(each)),
    ]


def store_opener(opener: StoreOpener, owner: str) -> StoreOpener:
    """The opener, whose result must have the methods of a `TokenStore`."""
    hook = "connector_stores"

    def open_store(url: str, folder: Path) -> TokenStore:
        store = attempt(owner, hook, lambda: opener(url, folder))
        if not _has(store, _STORE):
            raise promised(owner, hook, "a TokenStore", store)
        return store

    return open_store


def service_maker(maker: Callable[[], Service], owner: str) -> Callable[[], Service]:
    """The maker; starting and stopping what it makes is guarded too."""
    hook = "connector_services"

    def make() -> Service:
        service = attempt(owner, hook, maker)
        if not _has(service, _SERVICE):
            raise promised(owner, hook, "a Service", service)
        return _GuardedService(service, owner)

    return make


class _GuardedService:
    def __init__(self, service: Service, owner: str) -> None:
        self._service = service
        self._owner = owner

    @property
    def settings(self) -> Mapping[str, str]:
        return self._try(lambda: dict(self._service.settings))

    def authorize(self, account: Account) -> Mapping[str, Any] | None:
        return self._try(lambda: self._service.authorize(account))

    def __enter__(self) -> _GuardedService:
        self._try(self._service.__enter__)
        return self

    def __exit__(self, *exc: object) -> None:
        self._try(lambda: self._service.__exit__(*exc))

    def _try(self, call: Callable[[], T]) -> T:
        return attempt(self._owner, "connector_services", call)


@dataclass(frozen=True, slots=True)
class GuardedGrant:
    """A grant; see `connector.grants.Grant`."""

    grant: Grant
    owner: str
    name: str
    interactive: bool
    local: bool = False

    def obtain(self, account: Account, credentials: Credentials) -> TokenRequest | Token | None:
        """See `Grant.obtain`."""
        return self._request(lambda: self.grant.obtain(account, credentials))

    def renew(self, account: Account, token: Token, credentials: Credentials) -> TokenRequest | Token | None:
        """See `Grant.renew`."""
        return self._request(lambda: self.grant.renew(account, token, credentials))

    def _request(self, call: Callable[[], TokenRequest | Token | None]) -> TokenRequest | Token | None:
        request = attempt(self.owner, "connector_grants", call)
        if request is not None and not isinstance(request, (TokenRequest, Token)):
            raise promised(self.owner, "connector_grants", "a TokenRequest", request)
        return request


def is_store(value: Any) -> bool:
    """Whether a value has the methods of a `TokenStore`."""
    return _has(value, _STORE)


def is_grant(value: Any) -> bool:
    """Whether a value has what `Grant` asks for; a class is not an instance of itself."""
    named = isinstance(getattr(value, "name", None), str) and isinstance(
        getattr(value, "interactive", None), bool
    )
    return named and not isinstance(value, type) and _has(value, ("obtain", "renew"))


def _has(value: Any, methods: tuple[str, ...]) -> bool:
    return not isinstance(value, type) and all(callable(getattr(value, name, None)) for name in methods)
