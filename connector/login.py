"""The login of one account: its token source, its record in the store, and what a person does to it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

from connector.account import Account
from connector.authorization import Pending, state_of
from connector.device import DeviceCode
from connector.discovery import Discovery
from connector.drive import World, look, run, typed
from connector.effects import Effect
from connector.explain import Explanation, explanation_of
from connector.grants import Grant
from connector.inspection import Introspection
from connector.observe import tell, who
from connector.observing import of_token
from connector.post import Poster
from connector.record import Record
from connector.reply import read_adopted
from connector.resting import Resting
from connector.secret import Hidden, Secret
from connector.signin import begin_code, begin_device, finish, poll
from connector.signout import introspect, logout
from connector.source import TokenSource
from connector.status import Status, status_of
from connector.store.memory import MemoryStore
from connector.token import Token, Window
from connector.tokencall import private_names
from connector.tokenstore import Lease, TokenStore, VersionConflict
from connector.vault import Vault
from connector.verdict import login_needed

_JITTER = random.Random().random()  # noqa: S311  # spreads a fleet over time, guards nothing
_ADOPT_TRIES = 50
T = TypeVar("T")
SignIn: TypeAlias = Generator[Effect, Any, Token]


class Authorization:
    """A login under way in a person's browser.

    Attributes:
        url: what the person opens.
        redirect_uri: where the server sends the browser afterwards.
    """

    def __init__(self, login: Login, url: str, asked: Pending) -> None:
        self.url = url
        self.redirect_uri = asked.redirect_uri
        self._login = login
        self._asked = asked

    def __repr__(self) -> str:
        return f"<Authorization of {self._login.account.name}>"

    def answered_by(self, redirected: str) -> bool:
        """Whether a redirect is the answer to this login, rather than somebody else's."""
        return state_of(self._login.account, redirected) == self._asked.state

    def finish(self, redirected: str) -> Token:
        """Complete the login with the URL that the browser was sent to.

        Raises NotAuthorizedError (``state_mismatch``, ``issuer_mismatch``, ``access_denied``, ...) or
        RenewalError; the login there was stays then.
        """
        return self._login.take(finish(self._asked, redirected))


class DeviceLogin:
    """A login under way on another device (RFC 8628).

    Attributes:
        user_code, verification_uri: what the person types in, and where.
        verification_uri_complete: the same in one, for a QR code; empty: the server gives none.
        expires_at: when it ends, seconds since the epoch.
    """

    def __init__(self, login: Login, world: World, code: DeviceCode) -> None:
        self.user_code = code.user_code
        self.verification_uri = code.verification_uri
        self.verification_uri_complete = code.verification_uri_complete
        self.expires_at = code.expires_at
        self._login = login
        self._world = world
        self._code = code

    def __repr__(self) -> str:
        return f"<DeviceLogin of {self._login.account.name}>"

    def wait(self, *, sleep: Callable[[float], None] = time.sleep) -> Token:
        """Wait until the person is done.

        Raises NotAuthorizedError ``login_timeout`` or ``access_denied``; the login there was stays then.
        """
        return self._login.take(poll(self._code), replace(self._world, sleep=sleep))


class Login:
    """An account with its login.

    Args:
        store: how the vault's store is asked; None: directly.
        key: name of its record in the store.
        reveal: resolves the client secret.
        others: resolves the account's other secrets.
        discovery: completes the account by its server's metadata.
        resting: token endpoints that do not work just now, known to all accounts of a host.
        begin: a token reply to begin from where no person is needed (the sandbox); None elsewhere.
    """

    def __init__(
        self,
        account: Account,
        grant: Grant,
        vault: Vault,
        *,
        store: TokenStore | None = None,
        key: str,
        reveal: Callable[[], Secret | None],
        poster: Poster,
        identity: str,
        clock: Callable[[], float],
        others: Callable[[], Mapping[str, Secret]] = dict,
        discovery: Discovery | None = None,
        resting: Resting | None = None,
        begin: Callable[[], Mapping[str, Any] | None] | None = None,
    ) -> None:
        self.account = account
        self._grant = grant
        self._clock = clock
        if getattr(grant, "local", False):
            # Made here from what the manifest leads to: the store would only keep what has changed since.
            vault, store = Vault(MemoryStore(), url="memory://"), None
        self._window = Window(early_s=account.endpoint.refresh.before_s, jitter=_JITTER)
        self._world = World(
            key=key,
            store=store or vault.store,
            sealer=vault.sealer,
            poster=poster,
            identity=identity,
            reveal=reveal,
            account=account,
            others=others,
            discovery=discovery,
            resting=resting or Resting(),
            clock=clock,
        )
        self.source = TokenSource(account, grant, self._world, window=self._window)
        if begin is not None and grant.interactive:
            record = look(self._world)
            if record.token is None or record.dead:
                reply = begin()
                if reply is not None:
                    self.adopt(Hidden(reply))

    @property
    def interactive(self) -> bool:
        """Whether a person must take part in the beginning."""
        pasted = {"bearer_token"} & {*self.account.secrets, *self.account.settings}
        return self._grant.interactive and not (self.account.grant == "bearer" and pasted)

    def adopt(self, reply: Hidden[Mapping[str, Any]]) -> Token:
        """Make a token reply that a person holds the login of this account.

        Raises ConnectorError ``bad_token_reply`` when it is none; nothing is changed then.
        """
        token = read_adopted(self.account, reply, now=self._clock())
        if names := private_names(self.account):
            texts = self._world.texts()
            token = replace(token, private=MappingProxyType({n: texts[n] for n in names & texts.keys()}))
        return self._begin(token)

    def take(self, flow: SignIn, world: World | None = None) -> Token:
        """Run a login to its end and begin with what it brings. A failing one changes nothing."""
        return self._begin(run(flow, world or self._world))

    def _begin(self, token: Token) -> Token:
        for attempt in range(_ADOPT_TRIES):
            # Only its version: a record that nobody can open any more must not stand in the way.
            stored = self._world.store.load(self._world.key)
            try:
                self._world.save(Record(version=stored.version if stored else 0).renewed(token))
                break
            except VersionConflict:
                # Somebody renewed in this very moment; the person's word counts.
                if attempt == _ADOPT_TRIES - 1:
                    raise
        # A renewal under way would put the login it began with back into memory.
        self.source.settle()
        self.source.forget()
        told = of_token(token, self._window, self._clock())
        tell("login.done", {**who(self.account), **told}, refreshable=token.refresh_token is not None)
        return token

    def explanation(self) -> Explanation:
        """Why the account is or is not renewed now; no network."""
        return self._known(explanation_of)

    def authorization(self, redirect_uri: str, parameters: Mapping[str, str]) -> Authorization:
        """Begin a login in a browser. Raises NotAuthorizedError, RenewalError."""
        url, asked = run(begin_code(redirect_uri, parameters), self._world)
        return Authorization(self, url, asked)

    def device(self) -> DeviceLogin:
        """Begin a login on another device. Raises NotAuthorizedError, RenewalError."""
        endpoint = self.account.endpoint.for_grant("device_code")
        world = replace(self._world, account=replace(self.account, endpoint=endpoint))
        return DeviceLogin(self, world, run(begin_device(), world))

    def logout(self, *, revoke: bool) -> bool:
        """Revoke the tokens and forget them; whether there were any."""
        there = run(logout(self._world.holder, revoke=revoke), self._world)
        self.source.settle()
        self.source.forget()
        if there:
            tell("login.ended", who(self.account))
        return there

    def introspect(self) -> Introspection:
        """What the server says of the access token at hand, renewed if need be."""
        return run(introspect(self.source.token()), self._world)

    def completed(self) -> Account:
        """The account with every URL that its server tells."""
        return self._world.ready().account

    def renew(self, *, force: bool = False) -> Token:
        """Renew now, whatever the state. Raises as `TokenSource.token` does."""
        record = look(self._world)
        if self.interactive and record.token is None:
            raise login_needed(self.account, record)
        return self.source.renew_now(force=force)

    def status(self) -> Status:
        """What the store knows; no network."""
        return self._known(status_of)

    def _holder(self) -> Lease | None:
        with typed():
            return self._world.store.holder(self._world.key)

    def _known(self, by: Callable[..., T]) -> T:
        return by(
            self.account.name,
            look(self._world),
            window=self._window,
            now=self._clock(),
            interactive=self.interactive,
            auto_refresh=self.account.auto_refresh,
            local=getattr(self._grant, "local", False),
            lease=self._holder(),
        )
