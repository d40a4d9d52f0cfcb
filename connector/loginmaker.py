"""Making the login of an account: bound, resolved, with the service that its endpoint brings along."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from connector.account import Account
from connector.discovery import Discovery
from connector.errors import ConnectorError
from connector.lanes import laned
from connector.login import Login
from connector.opening import Opening
from connector.post import Poster
from connector.recordkey import record_key
from connector.resting import Resting
from connector.service import Service
from connector.vault import Vault


class LoginMaker:
    """What the logins of one host share.

    Args:
        poster: makes their token calls.
        clock: returns seconds since the epoch.
    """

    def __init__(self, opening: Opening, vault: Vault, poster: Poster, clock: Callable[[], float]) -> None:
        self._opening = opening
        self._vault = vault
        self._store = laned(vault.store)
        self._poster = poster
        self._clock = clock
        self._discovery = Discovery(poster, clock=clock)
        self._resting = Resting()
        self._identity = f"{socket.gethostname()}/{secrets.token_hex(4)}"
        self._services: dict[str, Service] = {}

    def make(self, name: str, closing: ExitStack | None) -> Login:
        """The login of an account.

        Args:
            closing: ends the service that its endpoint needs, which is started; None: it is not started.
        """
        account = self._opening.resolved(name)
        key = record_key(account)
        service = self._service(account, closing) if closing is not None else None
        if service is not None:
            account = replace(account, settings={**account.settings, **service.settings})
        return Login(
            account,
            self._opening.registry.grants[account.grant],
            self._vault,
            store=self._store,
            key=key,
            reveal=lambda: self._opening.reveal(account),
            others=lambda: self._opening.others(account),
            discovery=self._discovery,
            resting=self._resting,
            poster=self._poster,
            identity=self._identity,
            clock=self._clock,
            begin=None if service is None else lambda: service.authorize(account),
        )

    def _service(self, account: Account, closing: ExitStack) -> Service | None:
        """The running service of an account's endpoint; None when it needs none or is told of another."""
        name = account.endpoint.service
        if not name or any(
            spec.get("x-filled-by") == "service" and key in account.settings
            for key, spec in account.endpoint.settings.items()
        ):
            return None
        if name not in self._services:
            makers = self._opening.registry.services
            if name not in makers:
                raise ConnectorError(f"no plugin brings the service {name!r}", code="unknown_service")
            self._services[name] = closing.enter_context(makers[name]())
        return self._services[name]
