"""What closing a host ends: everything that it handed out, and nothing that is worth keeping."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from host_room import REPLY, Open, Outside

from connector.errors import ConnectorError
from connector.host import Host


@pytest.mark.parametrize(
    "ask",
    [
        lambda host: host.client("machine"),
        lambda host: host.async_client("machine"),
        lambda host: host.transport("person"),
        lambda host: host.token("machine"),
        lambda host: anyio.run(host.atoken, "machine"),
        lambda host: host.status("machine"),
        lambda host: host.counts("person"),
        lambda host: host.renew("machine"),
        lambda host: host.adopt("person", REPLY),
    ],
)
def test_a_closed_host_hands_out_nothing(host: Host, outside: Outside, ask: Callable[[Host], Any]) -> None:
    """Every door says that it is closed, also for an account that was used before."""
    host.token("machine")
    host.close()
    with pytest.raises(ConnectorError, match="this host is closed") as caught:
        ask(host)
    assert caught.value.code == "closed"
    assert len(outside.calls) == 1


def test_what_was_handed_out_stops_working(host: Host, outside: Outside) -> None:
    """A client that outlives its host sends nothing any more, and the wire it used is closed, once."""
    http = host.client("machine")
    other = host.client("machine")
    http.get("/things")
    other.close()
    http.get("/things")  # closing one client leaves the pool to the others
    host.close()
    host.close()
    with pytest.raises(ConnectorError, match="closed"):
        http.get("/things")
    http.close()
    assert [wire.closed for wire in outside.wires] == [1]


@pytest.mark.parametrize("kind", ["asyncio", "trio"])
def test_an_async_client_stops_working_too(host: Host, outside: Outside, kind: str) -> None:
    """Each has a wire of its own, since it belongs to its loop, and closes it itself."""

    async def scene() -> None:
        async with host.async_client("machine") as first, host.async_client("machine") as second:
            await first.get("/things")
            await second.get("/things")
            host.close()
            with pytest.raises(ConnectorError, match="closed"):
                await first.get("/things")

    anyio.run(scene, backend=kind)
    assert [wire.closed for wire in outside.wires] == [1, 1]


def test_closing_waits_for_a_renewal_under_way(host: Host, outside: Outside) -> None:
    """The rotated refresh token is in the store when `close` returns."""
    host.adopt("person", REPLY)
    host.token("person")
    outside.gate.clear()
    outside.now += 3000
    host.token("person")
    assert outside.arrived.wait(10)
    closing = threading.Thread(target=host.close)
    closing.start()
    closing.join(0.05)
    assert closing.is_alive()
    outside.gate.set()
    closing.join(10)
    assert not closing.is_alive()
    [key] = outside.store.accounts()
    stored = outside.store.load(key)
    assert stored is not None
    assert stored.version == 3  # adopted, journalled, renewed


def test_with_closes_also_when_the_block_fails(opened: Open) -> None:
    """The host is closed by `with`, and the error goes on."""
    with pytest.raises(ZeroDivisionError), opened() as host:
        raise ZeroDivisionError
    with pytest.raises(ConnectorError, match="closed"):
        host.token("machine")
