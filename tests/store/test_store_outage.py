"""A whole host whose store is away: requests go on, and what must stop says why and resumes by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from real_servers import Postgresql, RealServer, Redis

import connector
from connector.errors import StoreError
from connector.host import Host
from connector.keys import encode, new_key
from connector.sandbox import Records, Sandbox

pytestmark = pytest.mark.slow


@dataclass
class Away:
    """A server of its own for one account, and a host on it."""

    server: Postgresql | Redis
    folder: Path
    sandbox: Sandbox
    persona: str

    def open(self) -> Host:
        """Another host on the same store and login."""
        path = self.folder / "manifest.yaml"
        account = {
            "oauth2_endpoint": f"sandbox.{self.persona}",
            "client_id": "sandbox",
            "client_secret": "sandbox-secret",
            "grant": "authorization_code",
            "settings": {"origin": self.sandbox.url, "lifetime": "8"},
        }
        path.write_text(
            yaml.safe_dump({"version": 1, "store": self.server.url(), "accounts": {"main": account}})
        )
        return connector.open(path)

    def sign_in(self, host: Host, lifetime_s: float) -> None:
        """As if a person had consented; the access token lives this long."""
        host.adopt("main", self.sandbox.authorize(self.persona, lifetime_s=lifetime_s))


@pytest.fixture(autouse=True)
def _own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTOR_KEY", encode([new_key()]))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(records=Records(seed=7)) as running:
        yield running


@pytest.fixture
def away(tmp_path: Path, sandbox: Sandbox) -> Iterator[list[Away]]:
    """Three of each kind."""
    kinds = (Postgresql, Postgresql, Redis, Redis, Postgresql, Redis)
    with ExitStack() as stack, ThreadPoolExecutor(len(kinds)) as pool:
        made = [
            Away(stack.enter_context(server), tmp_path / str(number), sandbox, "strict")
            for number, server in enumerate(pool.map(lambda kind: kind(), kinds))
        ]
        for each in made:
            each.folder.mkdir()
        yield made


def get(host: Host, until: float) -> list[object]:
    """Ask the API again and again; what each request came to, with its duration if it was long."""
    seen: list[object] = []
    with host.client("main") as http:
        while time.monotonic() < until:
            began = time.monotonic()
            try:
                seen.append(http.get("/api/items", params={"limit": 1}).status_code)
            except Exception as error:
                seen.append(error)
            took = time.monotonic() - began
            if took > 9:
                seen.append(f"{took:.1f} s")
            time.sleep(0.02)
    return seen


def short(each: Away, fault: str) -> list[object]:
    """The store is away while the token falls due for renewal; what went wrong."""
    with each.open() as host:
        each.sign_in(host, 8)
        before, began = host.token("main").fingerprint, time.monotonic()
        seen = get(host, began + 5.5)
        each.server.kill() if fault == "killed" else each.server.pause()
        seen += get(host, began + 6.8)  # it is stale from 6.4 s on, and expired after 7.6 s
        kept = host.token("main").fingerprint == before
        each.server.start() if fault == "killed" else each.server.resume()
        seen += get(host, began + 11)
        counts, after = host.counts("main"), host.token("main").fingerprint
    return [
        *({entry for entry in seen if entry != 200}),
        *([] if kept else ["the token changed while the store was away"]),
        *([] if after != before else ["it was never renewed"]),
        *([] if counts.failed_requests == 0 else [f"{counts.failed_requests} failed requests"]),
    ]


def long(each: Away) -> list[object]:
    """The store is away for longer than the token lives; what came before, during and after."""
    with each.open() as host:
        each.sign_in(host, 4)
        began = time.monotonic()
        before = get(host, began + 0.5)
        each.server.kill()
        during = get(host, began + 5.5)
        each.server.start()
        last: object = None
        while last != 200 and time.monotonic() < began + 20:
            last = get(host, time.monotonic() + 0.05)[-1]
    errors = [entry for entry in during if entry != 200]
    assert not any("CANARY" in str(error) for error in errors)
    return [set(before), 200 in during, {getattr(error, "code", error) for error in errors}, last]


@pytest.mark.alone  # its tokens end by the clock, between two of its own steps
def test_requests_go_on_while_the_store_is_away(away: list[Away], sandbox: Sandbox) -> None:
    """Killed or stopped: no request fails while a token is valid, and then it is renewed by itself.

    Once the token in memory has ended, a typed error says what is away, until it is back.
    """
    with ThreadPoolExecutor(6) as pool:
        faults = ("killed", "stopped", "killed", "stopped")
        shorts = [pool.submit(short, each, fault) for each, fault in zip(away, faults, strict=False)]
        longs = [pool.submit(long, each) for each in away[4:]]
        assert [each.result() for each in shorts] == [[], [], [], []]
        assert [each.result() for each in longs] == [[{200}, True, {"store_unreachable"}, 200]] * 2
    assert max(sandbox.counts["strict"].presentations.values()) == 1
    assert sandbox.counts["strict"].refused == 0


@pytest.mark.parametrize("kind", [Postgresql, Redis])
def test_a_store_that_takes_no_writes(
    kind: type[RealServer], tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No refresh token is spent while what comes of it could not be saved; a wrong key, a damaged record are told."""
    with kind() as server:
        assert isinstance(server, (Postgresql, Redis))
        each = Away(server, tmp_path, sandbox, "strict")
        with each.open() as host:
            each.sign_in(host, 0)
            calls = sandbox.counts["strict"].token_calls
            code = writes(server, may=False)
            with pytest.raises(StoreError) as caught:
                host.token("main")
            assert caught.value.code == code
            assert sandbox.counts["strict"].token_calls == calls
            writes(server, may=True)
            time.sleep(2.1)
            good = host.token("main").fingerprint
            assert max(sandbox.counts["strict"].presentations.values()) == 1
            with monkeypatch.context() as other:
                other.setenv("CONNECTOR_KEY", encode([new_key()]))
                assert refusal(each) == "wrong_key"
            damage(server)
            assert refusal(each) == "corrupt_record"
            assert host.token("main").fingerprint == good  # in memory it is as good as ever


def refusal(each: Away) -> str:
    """The code of the error that another host gets for the account."""
    with each.open() as host, pytest.raises(StoreError) as caught:
        host.token("main")
    return caught.value.code


def writes(server: Postgresql | Redis, *, may: bool) -> str:
    """Make a server read-only, or not any more; the code of the error that comes of it."""
    if isinstance(server, Postgresql):
        server.ask(
            f"ALTER SYSTEM SET default_transaction_read_only = {'off' if may else 'on'}",
            "SELECT pg_reload_conf()",
        )
        time.sleep(0.3)  # each session reads it by itself
        return "store_read_only"
    server.ask("CONFIG", "SET", "maxmemory", "0" if may else "1")
    return "store_full"


def damage(server: Postgresql | Redis) -> None:
    """Change the sealed bytes of every record."""
    if isinstance(server, Postgresql):
        server.ask("UPDATE connector_record SET sealed = set_byte(sealed, 40, 255 - get_byte(sealed, 40))")
        return
    for account, value in server.ask("HGETALL", "connector:records").items():
        if account != b"\0schema":
            server.ask("HSET", "connector:records", account, value[:-1] + bytes([255 - value[-1]]))
