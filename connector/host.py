"""The host: opens a manifest with its plugins, hands out transports and clients, owns everything to close."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from types import MappingProxyType, TracebackType
from typing import Any, BinaryIO

import anyio
import httpx

from connector import pipeline
from connector.account import Account
from connector.clients import TIMEOUT, PipelineClients, refuse_ours
from connector.drive import typed
from connector.errors import ConnectorError
from connector.explain import Explanation
from connector.fence import unplaced
from connector.gate import AsyncGate, Gate, closed
from connector.identity import Identity, identify
from connector.inspection import Introspection
from connector.lives import forks
from connector.login import Authorization, DeviceLogin, Login
from connector.loginmaker import LoginMaker
from connector.observe import unwatch
from connector.opening import Opening
from connector.post import Poster
from connector.result import Listener, RunResult
from connector.route import proxy_for
from connector.secret import Hidden
from connector.snap import PipelineSpec
from connector.source import Counts
from connector.status import Status
from connector.template import TemplateError
from connector.token import Token
from connector.transport import AsyncTransport, Transport
from connector.vault import Vault
from connector.wire import AsyncWire, Wire


class Host:
    """An opened manifest. Use it as a context manager, from any thread and any number of event loops.

    Made by `connector.open`. Everything it hands out stops working when it is closed.
    """

    def __init__(
        self,
        opening: Opening,
        vault: Vault,
        *,
        poster: Poster | None = None,
        wire: Callable[..., httpx.BaseTransport] = Wire,
        async_wire: Callable[..., httpx.AsyncBaseTransport] = AsyncWire,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        async_sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._opening = opening
        self._vault = vault
        self._maker = LoginMaker(opening, vault, poster or Poster(clock=clock), clock)
        self._new_wire, self._new_async_wire = wire, async_wire
        self._clock = clock
        self._sleep, self._async_sleep = sleep, async_sleep
        self._lock = threading.RLock()
        self._logins: dict[str, Login] = {}
        self._wires: dict[str, httpx.BaseTransport] = {}
        self._unstarted: set[str] = set()  # only looked at until now: their service may not run yet
        self._closing = ExitStack()
        self._closed = False
        forks(self)

    def __repr__(self) -> str:
        return f"<Host {self._opening.manifest.path}, {len(self.accounts)} accounts>"

    @property
    def accounts(self) -> Mapping[str, Account]:
        """The accounts of the manifest, by name; broken plugins' accounts are not among them."""
        return MappingProxyType(self._opening.accounts)

    @property
    def broken(self) -> Mapping[str, ConnectorError]:
        """The accounts that a broken plugin keeps from being used, and why."""
        return MappingProxyType(self._opening.broken)

    @property
    def pipelines(self) -> Mapping[str, PipelineSpec]:
        """The pipelines of the manifest, by name."""
        return MappingProxyType(dict(self._opening.manifest.pipelines))

    def pipeline(self, name: str) -> PipelineSpec:
        """A pipeline that has passed its checks. Raises ManifestError with everything wrong in it."""
        return self._opening.pipeline(name)

    def check(self, names: Iterable[str], parameters: Mapping[str, str], *, taken: Mapping[str, str]) -> None:
        """Look whether pipelines may run together; `taken`: where none may write to. Raises ManifestError."""
        self._opening.sound(names, parameters, taken)

    @property
    def problems(self) -> tuple[ConnectorError, ...]:
        """Plugins that are broken; what does not need them works."""
        return tuple(self._opening.registry.problems)

    def client(self, account: str, **options: Any) -> httpx.Client:
        """An httpx client of an account: base URL set, authenticated, and it stays so.

        Args:
            options: of `httpx.Client`, except those that belong to the account (proxy, TLS, auth,
                transport, base_url).

        Raises ManifestError for an unknown account, SecretMissingError, PluginError.
        """
        refuse_ours(options)
        transport = self.transport(account)
        options.setdefault("timeout", TIMEOUT)
        return httpx.Client(transport=transport, base_url=self._base_url(account), **options)

    def async_client(self, account: str, **options: Any) -> httpx.AsyncClient:
        """The same for asyncio and trio; each client belongs to the event loop it is used in."""
        refuse_ours(options)
        transport = self.async_transport(account)
        options.setdefault("timeout", TIMEOUT)
        return httpx.AsyncClient(transport=transport, base_url=self._base_url(account), **options)

    def transport(self, account: str) -> httpx.BaseTransport:
        """The transport alone, for a client of your own: ``httpx.Client(transport=...)``.

        All transports of an account share one connection pool, which the host closes.
        """
        source = self._login(account).source
        with self._lock:
            wire = self._wires.get(account)
            if self._closed:
                raise closed()
            if wire is None:
                wire = self._wires[account] = self._new_wire(**_route(source.account))
                self._closing.callback(wire.close)
        gate = Gate(wire, lambda: self._closed)
        return Transport(source, gate, close_inner=False, sleep=self._sleep)

    def async_transport(self, account: str) -> httpx.AsyncBaseTransport:
        """The asynchronous transport alone; whoever takes it closes it."""
        source = self._login(account).source
        wire = self._new_async_wire(**_route(source.account))
        gate = AsyncGate(wire, lambda: self._closed)
        return AsyncTransport(source, gate, sleep=self._async_sleep)

    def token(self, account: str) -> Token:
        """A token that is valid now; ``.access_token.reveal()`` shows it. May wait for a renewal.

        Raises NotAuthorizedError, RenewalError, StoreError, SecretMissingError.
        """
        return self._login(account).source.token()

    async def atoken(self, account: str) -> Token:
        """`token` for tasks; waiting holds up no event loop."""
        return await self._login(account).source.atoken()

    def adopt(self, account: str, reply: Mapping[str, Any]) -> Token:
        """Make a token reply one already holds the login of an account.

        Args:
            reply: ``access_token``, ``refresh_token`` (either or both), and ``expires_in`` (seconds from
                now; 0: expired) or ``expires_at`` (seconds since the epoch, or ISO 8601).

        Raises ConnectorError ``bad_token_reply``; the login there was stays then.
        """
        # An error's frames may be shown to a crash reporter: none of them holds the reply.
        hidden: Hidden[Mapping[str, Any]] = Hidden(reply)
        del reply
        return self._login(account).adopt(hidden)

    def authorization(
        self,
        account: str,
        *,
        redirect_uri: str = "",
        parameters: Mapping[str, str] = MappingProxyType({}),
    ) -> Authorization:
        """Begin a login in a person's browser: show ``.url``, then ``.finish(the URL it was sent to)``.

        Args:
            redirect_uri: where the server sends the browser; the account's or endpoint's, where one is
                declared.
            parameters: further authorization parameters for this once, e.g. ``acr_values``.

        Raises NotAuthorizedError, RenewalError. Until it is finished, the login there was stays.
        """
        login = self._login(account)
        return login.authorization(redirect_uri or login.account.redirect_target(), parameters)

    def device(self, account: str) -> DeviceLogin:
        """Begin a login on another device (RFC 8628): show ``.user_code``, then ``.wait()``."""
        return self._login(account).device()

    def logout(self, account: str, *, revoke: bool = True) -> bool:
        """Revoke the tokens of an account at the server (RFC 7009) and forget them.

        Args:
            revoke: False: only forget them here.

        Returns whether there were any. Raises NotAuthorizedError ``incomplete_account`` where the server
        has no revocation endpoint, RenewalError when it does not answer; nothing is forgotten then.
        """
        return self._login(account).logout(revoke=revoke)

    def introspect(self, account: str) -> Introspection:
        """What the server says of the account's access token (RFC 7662)."""
        return self._login(account).introspect()

    def identify(self, account: str) -> Identity:
        """Make the endpoint's test request, and find out who one is logged in as.

        Raises what `token` raises, and httpx.HTTPError when the API does not answer.
        """
        login = self._login(account)
        with self.client(account) as http:
            return identify(login.completed(), login.source.token(), http)

    def needs_person(self, account: str) -> bool:
        """Whether the account's grant begins with a person; others sign in by themselves."""
        return self._login(account, start=False).interactive

    def renew(self, account: str, *, force: bool = False) -> Token:
        """Renew now, whatever the state of the token, also with ``auto_refresh: false``.

        Args:
            force: also when a refresh token in doubt would be shown again while its access token works.
        """
        return self._login(account).renew(force=force)

    def status(self, account: str) -> Status:
        """State, expiry, holder of the lease, last refusal. Asks the store, never the network."""
        return self._login(account, start=False).status()

    def explain(self, account: str) -> Explanation:
        """Why the account is or is not renewed now, and the last ten outcomes. Asks the store only."""
        return self._login(account, start=False).explanation()

    def counts(self, account: str) -> Counts:
        """What happened to an account in this process until now: token calls, renewals, 401s, requests."""
        return self._login(account, start=False).source.counts.now()

    def used(self) -> Mapping[str, Counts]:
        """The counts of those accounts that were really used, in the order of the manifest."""
        with self._lock:
            opened = {name: login.source.counts for name, login in self._logins.items()}
        return {
            n: opened[n]
            for n in self.accounts
            if n in opened and (opened[n].token_calls or opened[n].requests)
        }

    def run(
        self,
        name: str,
        *,
        parameters: Mapping[str, str] = MappingProxyType({}),
        preview: bool | int = False,
        progress: Listener | None = None,
        stdout: BinaryIO | None = None,
    ) -> RunResult:
        """Run a pipeline of the manifest to its end.

        Args:
            parameters: values for its parameters.
            preview: pull at most this many documents (True: 50) and write nothing.
            progress: called about five times a second while documents flow.
            stdout: where ``path: "-"`` writes to, if not to `sys.stdout`.

        Raises ManifestError, SnapError (``on_error: stop``), or what an account raises.
        """
        spec = self.pipeline(name)
        return pipeline.run(
            spec,
            snaps=self._opening.registry.snaps,
            clients=PipelineClients(self),
            parameters=parameters,
            paging=self._opening.paging,
            folder=self._opening.manifest.folder,
            preview=preview,
            progress=progress,
            stdout=stdout,
        )

    def rotate_key(self) -> int:
        """Seal every record of the store with a new key; returns how many there were. Raises StoreError."""
        return self._vault.rotate()

    def key_place(self) -> tuple[str, bool]:
        """Where the store's key is, and whether keys are kept there for other stores. Raises StoreError."""
        vault = self._vault
        assert vault.sealer.keys
        return vault.sealer.where, vault.shares_key and vault.sealer.where != "CONNECTOR_KEY"

    def close(self) -> None:
        """Close connections, services and the store. Safe to call twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        for login in self._logins.values():
            login.source.settle(closing=True)
            unwatch(login.source)
        try:
            self._closing.close()
        finally:
            with typed():
                self._vault.store.close()

    def after_fork(self) -> None:
        """In the child: what the parent opened is the parent's to close."""
        self._lock = threading.RLock()
        self._closing = ExitStack()
        for wire in self._wires.values():
            self._closing.callback(wire.close)

    def __reduce__(self) -> Any:
        raise TypeError(
            "a Host cannot be sent to another process: give it the path of the manifest, and open it there"
        )

    def __enter__(self) -> Host:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _login(self, name: str, *, start: bool = True) -> Login:
        """The login of an account; `start`: with the service of its endpoint running."""
        login = self._logins.get(name)
        if login is not None and not self._closed and not (start and name in self._unstarted):
            return login
        with self._lock:
            if self._closed:
                raise closed()
            login = self._logins.get(name)
            if login is None or (start and name in self._unstarted):
                made = self._maker.make(name, self._closing if start else None)
                # A signal handler or a ``__del__`` may have come in between: two would share one lease.
                if (meanwhile := self._logins.get(name)) is not None and meanwhile is not login:
                    return meanwhile
                login = self._logins[name] = made
                self._unstarted.discard(name)
                if not start and login.account.endpoint.service:
                    self._unstarted.add(name)
            return login

    def _base_url(self, name: str) -> str:
        account = self._login(name).account
        endpoint = account.endpoint
        # Of several templates one that only a token fills may come first.
        if not (endpoint.finds_hosts and len(endpoint.api.base_url) > 1):
            with suppress(TemplateError):
                return account.base_url()
        token = self.token(name)
        try:
            return account.base_url(token.captured)
        except TemplateError as error:
            wrong = unplaced(account, error)
        raise wrong


def _route(account: Account) -> dict[str, Any]:
    # Only what is the account's own: a wire that a test brings along may know of neither.
    found: dict[str, Any] = {} if account.tls is None else {"tls": account.tls}
    return found if account.proxy is None else {**found, "proxy": partial(proxy_for, said=account.proxy)}
