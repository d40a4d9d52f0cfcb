"""The sandbox as one object: four personas and another host, on loopback, as long as a ``with`` block."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from starlette.applications import Starlette
from starlette.routing import Route

from connector.sandbox import coupa, flaky, servicenow, strict
from connector.sandbox.clientauth import is_public
from connector.sandbox.counts import PersonaCounts
from connector.sandbox.foreign import foreign_app
from connector.sandbox.habits import CLIENT_ID, Client, Habits
from connector.sandbox.issuing import Call, issue, wanted_scopes
from connector.sandbox.records import Records
from connector.sandbox.serving import Listening, listener
from connector.sandbox.state import ForeignRequest, State
from connector.sandbox.tokens import Agreement
from connector.sandbox.welcome import welcome

_HOST = "127.0.0.1"
_PERSONAS: Mapping[str, Habits] = {
    module.HABITS.name: module.HABITS for module in (coupa, servicenow, strict, flaky)
}


class Sandbox:
    """Authorization servers and APIs to try an account against, on this machine only.

    >>> with Sandbox() as sandbox:
    ...     sandbox.url
    'http://127.0.0.1:...'

    Args:
        port: where to listen; 0 takes a free port.
        seed: decides records, schedules and the key of the tokens: sandboxes of one seed accept each other's
            tokens, also after a restart.
        lifetime_s: access-token lifetime in seconds for every persona; None: each vendor's own. A token call
            may choose its own with the extra form field ``sandbox_lifetime``; its refresh tokens remember it.
        records: how many records there are; None: a few thousand.
        rate_limit: False: none; True: the vendors' limits; a number: so many API requests per second.
        client_keys: public keys of clients that sign assertions (RFC 7517 key sets), by client id: of clients
            that exist already, or of new ones.
        grace_s: for so many seconds a rotated refresh token answers the same successor once more, instead
            of ending the login, as some vendors have it.
        ask: show a consent page to a browser; False: consent at once, whoever asks.
        clock: returns seconds since the epoch.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        seed: int | str = 7,
        lifetime_s: float | None = None,
        records: Records | None = None,
        rate_limit: bool | float = False,
        client_keys: Mapping[str, Mapping[str, Any]] | None = None,
        grace_s: float = 0.0,
        ask: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._port = port
        self._state = State(
            seed=seed,
            lifetime_s=lifetime_s,
            records=records,
            rate_limit=rate_limit,
            client_keys=client_keys,
            grace_s=grace_s,
            ask=ask,
            clock=clock,
        )
        self._url = ""
        self._listening: Listening | None = None
        self.app = _application(self._state)
        self.foreign_app = foreign_app(self._state)

    def __repr__(self) -> str:
        return f"<Sandbox {self._url or 'not started'}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to listen; ready on return. OSError: the port is taken. RuntimeError: it was started."""
        if self._listening is not None:
            raise RuntimeError("the sandbox has been started already")
        own = listener(_HOST, self._port)
        try:
            other = listener(_HOST, 0)
        except BaseException:
            own.close()
            raise
        self._listening = Listening([(own, self.app), (other, self.foreign_app)])
        self._url = f"http://{_HOST}:{own.getsockname()[1]}"
        # Another name and another port: a client that compares either one sees a foreign host.
        self._state.foreign_url = f"http://localhost:{other.getsockname()[1]}"

    def stop(self) -> None:
        """Stop listening; what was counted stays readable. Safe to call twice."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.close()

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``; raises RuntimeError before the start."""
        if not self._url:
            raise RuntimeError("the sandbox has not been started")
        return self._url

    @property
    def foreign_url(self) -> str:
        """The other host, where every persona's ``/api/elsewhere`` redirects to."""
        return self._state.foreign_url

    @property
    def foreign_requests(self) -> Sequence[ForeignRequest]:
        """What the other host was sent until now."""
        return tuple(self._state.foreign_requests)

    @property
    def counts(self) -> Mapping[str, PersonaCounts]:
        """Counts by persona, as of now."""
        return self._state.counts.snapshot()

    @property
    def records(self) -> Records:
        """What the APIs serve, before anything was written to them."""
        return self._state.records

    def authorize(
        self,
        persona: str,
        *,
        client_id: str = CLIENT_ID,
        scopes: Sequence[str] = (),
        lifetime_s: float | None = None,
    ) -> dict[str, Any]:
        """Return a token reply as if a person had just consented: what ``connector adopt`` is fed with.

        `lifetime_s` holds for this access token and all that are renewed from it. Raises KeyError for an
        unknown persona or client, `Refusal` where the persona wants scopes and there are none.
        """
        habits = _PERSONAS[persona]
        client = Client(client_id=client_id, public=is_public(self._state, client_id))
        agreement = Agreement(
            scopes=wanted_scopes(habits, " ".join(scopes)),
            lifetime_s=lifetime_s,
        )
        with self._state.lock:
            call = Call(client=client)
            return issue(self._state, habits, call, grant="authorization_code", agreement=agreement)

    def rotate_nonce(self) -> None:
        """Withdraw the nonces for DPoP that were handed out: the next proof must hold a new one."""
        with self._state.lock:
            self._state.nonces.rotate()

    def approve(self, user_code: str) -> None:
        """Sign a device in, as the person does who types its code. KeyError: no device has this code."""
        with self._state.lock:
            self._state.devices.decide(user_code, "allow")

    def deny(self, user_code: str) -> None:
        """Say no to a device. KeyError: no device has this code."""
        with self._state.lock:
            self._state.devices.decide(user_code, "deny")

    def expire(self, persona: str) -> None:
        """Stop accepting the access tokens that `persona` issued until now: the next call gets a 401."""
        self._state.expire(_PERSONAS[persona].name)


def create_app(
    *,
    seed: int | str = 7,
    lifetime_s: float | None = None,
    records: Records | None = None,
    rate_limit: bool | float = False,
    client_keys: Mapping[str, Mapping[str, Any]] | None = None,
    grace_s: float = 0.0,
    ask: bool = False,
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """Return the personas as an ASGI application, for `httpx.ASGITransport` or any server.

    A `Sandbox` that was never started offers the same as ``.app``, and its counts as well. Answers that
    are cut off on purpose need a real connection.
    """
    made = Sandbox(
        seed=seed,
        lifetime_s=lifetime_s,
        records=records,
        rate_limit=rate_limit,
        client_keys=client_keys,
        grace_s=grace_s,
        ask=ask,
        clock=clock,
    )
    return made.app


def serve(
    port: int = 8400,
    *,
    seed: int | str = 7,
    lifetime_s: float | None = None,
    rate_limit: bool | float = False,
    on_ready: Callable[[Sandbox], None] | None = None,
) -> None:
    """Serve until Ctrl-C, which ends it without a traceback; `on_ready` is told when it listens.

    A person in a browser is asked for consent. Raises OSError when the port is taken.
    """
    with Sandbox(port, seed=seed, lifetime_s=lifetime_s, rate_limit=rate_limit, ask=True) as sandbox:
        try:
            if on_ready is not None:
                on_ready(sandbox)
            threading.Event().wait()
        except KeyboardInterrupt:
            pass


def _application(state: State) -> Starlette:
    made = [Route("/", welcome)]
    for persona in (coupa, servicenow, strict, flaky):
        made += persona.routes(state)
    return Starlette(routes=made)
