"""The login of one account: its token source, its record in the store, and what a person does to it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from connector.account import Account
from connector.drive import World
from connector.flow import login_needed
from connector.grants import Grant
from connector.post import Poster
from connector.record import Record
from connector.reply import read_adopted
from connector.secret import Secret
from connector.source import TokenSource
from connector.status import Status, status_of
from connector.token import Token, Window
from connector.tokenstore import VersionConflict
from connector.vault import Vault

_JITTER = random.Random().random()  # noqa: S311  # spreads a fleet over time, guards nothing
_ADOPT_TRIES = 50


class Login:
    """An account with its login.

    Args:
        key: name of its record in the store.
        reveal: resolves the client secret.
        begin: a token reply to begin from where no person is needed (the sandbox); None elsewhere.
    """

    def __init__(
        self,
        account: Account,
        grant: Grant,
        vault: Vault,
        *,
        key: str,
        reveal: Callable[[], Secret | None],
        poster: Poster,
        identity: str,
        clock: Callable[[], float],
        begin: Callable[[], Mapping[str, Any] | None] | None = None,
    ) -> None:
        self.account = account
        self._grant = grant
        self._clock = clock
        self._window = Window(early_s=account.endpoint.refresh.before_s, jitter=_JITTER)
        self._world = World(
            key=key,
            store=vault.store,
            sealer=vault.sealer,
            poster=poster,
            identity=identity,
            reveal=reveal,
            clock=clock,
        )
        self.source = TokenSource(account, grant, self._world, window=self._window)
        if begin is not None and grant.interactive:
            record = self._world.load()
            if record.token is None or record.dead:
                reply = begin()
                if reply is not None:
                    self.adopt(reply)

    def adopt(self, reply: Mapping[str, Any]) -> Token:
        """Make a token reply that a person holds the login of this account.

        Raises ConnectorError ``bad_token_reply`` when it is none; nothing is changed then.
        """
        token = read_adopted(self.account, reply, now=self._clock())
        for attempt in range(_ADOPT_TRIES):
            # Only its version: a record that nobody can open any more must not stand in the way.
            stored = self._world.store.load(self._world.key)
            try:
                self._world.save(Record(version=stored.version if stored else 0, token=token))
                break
            except VersionConflict:
                # Somebody renewed in this very moment; the person's word counts.
                if attempt == _ADOPT_TRIES - 1:
                    raise
        # A renewal under way would put the login it began with back into memory.
        self.source.settle()
        self.source.forget()
        return token

    def renew(self) -> Token:
        """Renew now, whatever the state. Raises as `TokenSource.token` does."""
        record = self._world.load()
        if self._grant.interactive and record.token is None:
            raise login_needed(self.account, record)
        return self.source.renew_now()

    def status(self) -> Status:
        """What the store knows; no network."""
        return status_of(
            self.account.name,
            self._world.load(),
            window=self._window,
            now=self._clock(),
            interactive=self._grant.interactive,
            lease=self._world.store.holder(self._world.key),
        )
