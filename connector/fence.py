"""Which hosts may see the token of an account: judged for every request, so for every hop of a redirect."""

from __future__ import annotations

import threading

import httpx

from connector.account import Account
from connector.errors import ForeignHostError, NotAuthorizedError
from connector.lives import forks
from connector.observe import tell, who
from connector.reading import cleaned
from connector.template import TemplateError, is_loopback
from connector.token import Token


class Fence:
    """Which hosts may see the token of an account."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._last: tuple[Token, frozenset[str]] | None = None
        self._known: frozenset[str] | None = None  # without a token
        self._warned: set[str] = set()
        self._lock = threading.RLock()
        forks(self)

    def after_fork(self) -> None:
        """In the child: a lock that another thread held is held by nobody here."""
        self._lock = threading.RLock()

    def admits(self, url: httpx.URL, token: Token | None) -> bool:
        """Whether `url` is one of the account's hosts, reached in a way that nobody can listen to."""
        if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.host)):
            return False
        hosts = self._hosts(token)
        here = origin(url)
        if here in hosts:
            return True
        return any(host.startswith("*.") and here.endswith(host[1:]) for host in hosts)

    def _hosts(self, token: Token | None) -> frozenset[str]:
        if token is None:
            if self._known is None:
                self._known = self._named(None)
            return self._known
        last = self._last
        if last is None or last[0] is not token:
            last = self._last = (token, self._named(token))
        return last[1]

    def _named(self, token: Token | None) -> frozenset[str]:
        try:
            return self._account.hosts(token.captured if token else {})
        except TemplateError as error:
            wrong = unplaced(self._account, error)
        raise wrong

    def stop(self, url: httpx.URL) -> None:
        """A request to a foreign host: refuse it, or say once that it goes without the token."""
        host = origin(url)
        if self._account.foreign_hosts == "refuse":
            known = ", ".join(sorted(self._hosts(None)))
            raise ForeignHostError(
                f"account {self._account.name!r} sends no request to {host}",
                host=host,
                reason=f"it says `foreign_hosts: refuse`, and its hosts are {known}",
                resolution="add the host under `api: {hosts: [...]}` of the endpoint if it may see the token",
            )
        with self._lock:
            if host in self._warned:
                return
            self._warned.add(host)
        tell("host.foreign", who(self._account), host=host, reason="sent without the token")


def unplaced(account: Account, error: TemplateError) -> NotAuthorizedError:
    """The error for an API whose place cannot be told."""
    return NotAuthorizedError(
        f"where the API of account {account.name!r} is cannot be told",
        account=account.name,
        code="incomplete_account",
        reason=cleaned(str(error)),  # it may repeat what a server said
        resolution="give it under `settings:` of the account, or see what its server answers",
    )


def origin(url: httpx.URL) -> str:
    """``host`` or ``host:port`` of a request, lower case."""
    host = url.host.lower()
    host = f"[{host}]" if ":" in host else host
    return host if url.port is None else f"{host}:{url.port}"
