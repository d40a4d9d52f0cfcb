"""A proxy before a token endpoint, with the accidents of networks and gateways; one call to a connection."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qs

from rig_process import fingerprint

# What may happen to a call, and how that looks in the table.
FAULTS = {
    "drop before": "connection closed, the server was not asked",
    "drop after": "the server answered, the connection was closed instead",
    "truncate": "half of the answer",
    "delay": "the answer 0.4 s later",
    "too late": "the answer after the caller's patience",
    "500": "500, the server was not asked",
    "502 after": "the server answered, a gateway said 502",
    "not HTTP": "the server answered, noise arrived",
    "web page": "the server answered, a web page with 200 arrived",
    "huge": "the server answered, 2 MiB arrived",
    "slow drip": "the answer a few bytes at a time, beyond the caller's patience",
    "redirect": "307 to the same endpoint elsewhere, the server was not asked",
}
_HELD_S = 90.0


@dataclass(frozen=True)
class Answered:
    """A whole answer of the server, as bytes."""

    raw: bytes

    @property
    def body_at(self) -> int:
        return self.raw.index(b"\r\n\r\n") + 4


@dataclass
class Hold:
    """Where a call is held: ``before`` the server is asked, or ``after`` it has answered.

    Attributes:
        reached: set once a call is held here.
        go: lets it go on.
        lose: it never arrives where it was going.
    """

    where: str
    reached: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)
    lose: bool = False


class FaultProxy:
    """Listens on loopback in a thread of its own, and passes calls on to a server.

    Attributes:
        plan: faults of the next calls, in order; a call without one goes through as it is.
        hold: where calls are held from now on; None: nowhere.
        calls, asked: that came, and that the server was asked.
        presented: the refresh tokens that came, as /stats names them.
        delay_s: how long each call takes on its way there and back.
    """

    def __init__(self, upstream: int, *, delay_s: float = 0.0) -> None:
        self.port = 0
        self.plan: list[str] = []
        self.hold: Hold | None = None
        self.calls = self.asked = 0
        self.presented: set[str] = set()
        self.delay_s = delay_s
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *exc: object) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(20)

    async def _stop(self) -> None:
        assert self._server is not None
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            request = head + await reader.readexactly(_length(head))
            self.calls += 1
            said = parse_qs(request[len(head) :].decode())
            self.presented |= {fingerprint(token) for token in said.get("refresh_token", ())}
            fault = self.plan.pop(0) if self.plan else ""
            await _WAYS.get(fault, _through)(self, request, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # a caller that was killed
        except asyncio.CancelledError:
            pass  # the end of the test: asyncio would complain of what nobody waits for
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def ask(self, request: bytes) -> Answered:
        """Ask the server."""
        await self._held("before")
        await asyncio.sleep(self.delay_s)
        reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        try:
            self.asked += 1
            writer.write(request)
            answered = Answered(await asyncio.wait_for(reader.read(), 20))
        finally:
            writer.close()
        await asyncio.sleep(self.delay_s)
        await self._held("after")
        return answered

    async def _held(self, where: str) -> None:
        hold = self.hold
        if hold is None or hold.where != where:
            return
        hold.reached.set()
        for _ in range(int(_HELD_S / 0.005)):
            if hold.go.is_set():
                break
            await asyncio.sleep(0.005)
        if hold.lose:
            raise ConnectionResetError("lost on the way")

    def shown(self, stats: dict[str, Any]) -> int:
        """The most that one refresh token of those that came here was shown to the server."""
        return max((count for token, count in stats["refresh_tokens"].items() if token in self.presented))

    @property
    def elsewhere(self) -> str:
        """The server without this proxy."""
        return f"http://127.0.0.1:{self._upstream}"


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _page(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def _through(proxy: FaultProxy, request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write((await proxy.ask(request)).raw)
    await writer.drain()


async def _drop_before(proxy: FaultProxy, request: bytes, writer: asyncio.StreamWriter) -> None:
    return


async def _drop_after(proxy: FaultProxy, request: bytes, writer: asyncio.StreamWriter) -> None:
    await proxy.ask(request)


async def _truncate(proxy: FaultProxy, request: bytes, writer: asyncio.StreamWriter) -> None:
    answered = await proxy.ask(request)
    writer.write(answered.raw[: (answered.body_at + len(answered.raw)) // 2])
    await writer.drain()


async def _delay(proxy: FaultProxy, request: bytes, writer: asyncio.StreamWriter) -> None:
    answered = await proxy.ask(request)
    await asyncio.sleep(0.4)
    writer.write(answered.raw)
    await writer.drain()


async def _too_late(proxy: FaultProxy, request: bytes, writer: asyncio.StreamWriter) -> None:
    answered = await proxy.ask(request)
    await asyncio.sleep(3.0)
    writer.write(answered.raw)


async def _drip(proxy: FaultProxy, request: bytes, writer: asyncio.StreamWriter) -> None:
    raw = (await proxy.ask(request)).raw
    # Each pause is within the patience for one read; all of them together are not.
    size = len(raw) // 12 + 1
    for start in range(0, len(raw), size):
        writer.write(raw[start : start + size])
        await writer.drain()
        await asyncio.sleep(0.3)


def _saying(make: Callable[[FaultProxy], bytes], *, asked: bool) -> Any:
    async def way(proxy: FaultProxy, request: bytes, writer: asyncio.StreamWriter) -> None:
        if asked:
            await proxy.ask(request)
        writer.write(make(proxy))
        await writer.drain()

    return way


def _redirect(proxy: FaultProxy) -> bytes:
    return _page("307 Temporary Redirect", b"", f"location: {proxy.elsewhere}/token")


_WAYS: dict[str, Any] = {
    "drop before": _drop_before,
    "drop after": _drop_after,
    "truncate": _truncate,
    "delay": _delay,
    "too late": _too_late,
    "500": _saying(lambda proxy: _page("500 Internal Server Error", b"oops"), asked=False),
    "502 after": _saying(lambda proxy: _page("502 Bad Gateway", b"<h1>Bad Gateway</h1>"), asked=True),
    "not HTTP": _saying(lambda proxy: random.Random(1).randbytes(400), asked=True),
    "web page": _saying(
        lambda proxy: _page("200 OK", b"<h1>Welcome</h1>", "content-type: text/html"), asked=True
    ),
    "huge": _saying(lambda proxy: _page("200 OK", b'{"a": "' + b"x" * (2 << 20) + b'"}'), asked=True),
    "slow drip": _drip,
    "redirect": _saying(_redirect, asked=False),
}
assert _WAYS.keys() == FAULTS.keys()
