"""Where async snaps meet the pulling chain of a pipeline.

The chain is pulled in one thread, the one that called `run`. An async generator lives in one task of an
event loop in a second thread; whenever it asks for a document, the first thread, which is waiting for its
result anyway, pulls one for it. So a synchronous snap always runs in the caller's thread, an async snap
always in its own task (cancel scopes and task groups may span a ``yield``), and never both at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from queue import SimpleQueue
from typing import Any, Literal, Protocol

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal

from connector.errors import SnapError
from connector.snap import Document


class Clients(Protocol):
    """Who makes the clients of a run. The run closes what it was given.

    `account` is the name of an account; empty: a plain client without one.
    """

    def client(self, account: str) -> httpx.Client:
        """The synchronous client of an account."""

    def async_client(self, account: str) -> httpx.AsyncClient:
        """Its asynchronous client, for the event loop of the run."""


class Connections:
    """The clients and the event loop of one run, made when first asked for; safe from any thread."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._lock = threading.RLock()
        self._open = ExitStack()
        self._sync: dict[str, httpx.Client] = {}
        self._async: dict[str, httpx.AsyncClient] = {}
        self._portal: BlockingPortal | None = None

    def client(self, account: str) -> httpx.Client:
        """The client of an account, one for all steps of the run."""
        with self._lock:
            if account not in self._sync:
                self._sync[account] = self._clients.client(account)
                self._open.callback(self._sync[account].close)
            return self._sync[account]

    def async_client(self, account: str) -> httpx.AsyncClient:
        """The async client of an account, to be used in the event loop of `portal`."""
        with self._lock:
            if account not in self._async:
                portal = self.portal()
                self._async[account] = self._clients.async_client(account)
                self._open.callback(portal.call, self._async[account].aclose)
            return self._async[account]

    def portal(self) -> BlockingPortal:
        """The event loop of the run, in a thread of its own."""
        with self._lock:
            if self._portal is None:
                self._portal = self._open.enter_context(start_blocking_portal("asyncio"))
            return self._portal

    def close(self) -> None:
        """Close the clients, then the event loop."""
        self._open.close()


_Message = tuple[Literal["pull", "document", "end", "error"], Any]
_Pulled = tuple[Any, Exception | None]
_ENDED = object()


class _Incoming:
    """What an async snap iterates over. Not a generator: a cancelled `anext` must not be the end of it.

    Documents and those who wait for them meet in order: one whose wait was cancelled (a timeout) leaves
    its document to the next. Lives in the loop's thread, but for `messages`.
    """

    def __init__(self, messages: SimpleQueue[_Message]) -> None:
        self._messages = messages
        self._ready: deque[_Pulled] = deque()
        self._waiting: deque[asyncio.Future[_Pulled]] = deque()

    def __aiter__(self) -> AsyncIterator[Document]:
        return self

    async def __anext__(self) -> Document:
        document, error = self._ready.popleft() if self._ready else await self._pulled()
        if error is not None:
            raise error
        if document is _ENDED:
            raise StopAsyncIteration
        return document  # type: ignore[no-any-return]  # checked where it was yielded

    async def _pulled(self) -> _Pulled:
        answer: asyncio.Future[_Pulled] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        self._messages.put(("pull", None))
        try:
            return await answer
        except asyncio.CancelledError:
            if answer.done() and not answer.cancelled():
                self._ready.appendleft(answer.result())
            raise

    def arrived(self, document: Any, error: Exception | None) -> None:
        """What was pulled in the other thread is here."""
        self._ready.append((document, error))
        while self._ready and self._waiting:
            answer = self._waiting.popleft()
            if not answer.done():
                answer.set_result(self._ready.popleft())


class Bridge:
    """An async generator as an iterator.

    Args:
        connections: whose event loop it lives in.
        make: called with the incoming documents, in the loop; returns the async generator.
        documents: where to pull from, in the thread that iterates over this object.
    """

    def __init__(
        self,
        connections: Connections,
        make: Callable[[AsyncIterator[Document]], AsyncGenerator[Document]],
        documents: Iterator[Document],
    ) -> None:
        self._connections = connections
        self._make = make
        self._documents = documents
        self._messages: SimpleQueue[_Message] = SimpleQueue()
        self._incoming = _Incoming(self._messages)
        self._task: asyncio.Task[Any] | None = None
        self._done: Future[None] | None = None
        self._busy = False
        self._closing = False

    def __iter__(self) -> Iterator[Document]:
        return self

    def __next__(self) -> Document:
        if self._closing:
            raise StopIteration
        self._busy = True
        if self._done is None:
            self._done = self._connections.portal().start_task_soon(self._drive)
        else:
            self._loop.call_soon_threadsafe(self._wanted.set)
        while True:
            what, value = self._messages.get()
            if what == "pull":
                self._pull()
                continue
            self._busy = False
            if what == "document":
                return value  # type: ignore[no-any-return]  # the engine checks what snaps yield
            self._closing = True
            if isinstance(value, asyncio.CancelledError):
                # Nobody cancelled the caller, who could not tell this from being cancelled.
                raise SnapError("The async snap was cancelled from within")
            if what == "error":
                raise value
            raise StopIteration

    def close(self) -> None:
        """Close the generator in its own task: at its ``yield``, or by cancelling what it waits for."""
        if self._done is None or self._done.done():
            return
        self._closing = True
        if self._busy:
            # Interrupted while it worked: edge-triggered, so that awaits in its ``finally`` still work.
            self._connections.portal().call(self._cancel)
        else:
            self._loop.call_soon_threadsafe(self._wanted.set)
        self._done.result()
        while not self._messages.empty():
            what, value = self._messages.get()
            if what == "error" and not isinstance(value, asyncio.CancelledError):
                raise value

    def _pull(self) -> None:
        document: Any = None
        failure: Exception | None = None
        try:
            document = next(self._documents, _ENDED)
        except Exception as error:
            failure = error
        self._loop.call_soon_threadsafe(self._incoming.arrived, document, failure)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _drive(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._wanted = asyncio.Event()
        try:
            await self._produce(self._make(self._incoming))
        except BaseException as error:
            # Whatever it is belongs to the thread that iterates; this one only carries it there.
            self._messages.put(("error", error))
        else:
            self._messages.put(("end", None))

    async def _produce(self, generator: AsyncGenerator[Document]) -> None:
        try:
            async for document in generator:
                self._wanted.clear()
                self._messages.put(("document", document))
                if not self._closing:
                    await self._wanted.wait()
                if self._closing:
                    break
        finally:
            await generator.aclose()
