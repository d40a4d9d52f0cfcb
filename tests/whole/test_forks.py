"""A host across processes: forked with it open, with a renewal under way, with locks held; spawned beside it."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from programs import running, vault_of
from whole_world import World, alive

pytestmark = pytest.mark.slow

# What every child does, and how long it may take: one that hangs ends by its alarm.
_CHILD = """
def child(work):
    pid = os.fork()
    if pid:
        return pid
    signal.alarm(12)
    try:
        work()
    except BaseException:
        import traceback
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def ended(*pids):
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]

"""


def test_clients_opened_before_a_fork(world: World) -> None:
    """Parent and children use one client at once: no answer goes to another, and each token is shown once."""
    body = """
    host = opened()
    http = host.client("main")
    loose = host.client("main")
    held = loose.send(loose.build_request("GET", "/api/items"), stream=True)  # in the middle of an answer
    assert http.get("/api/items", params={"limit": 1}).status_code == 200  # and a connection that is kept

    def work():
        global shift
        for number in range(1, 41):
            if number % 10 == 0:
                shift += EXPIRED
            answer = http.get("/api/items", params={"limit": number})
            assert answer.status_code == 200, answer
            assert len(answer.json()["items"]) == number, number

    children = [child(work) for _ in range(3)]
    work()
    assert len(held.read()) > 1000
    say(ended(*children))
    http.close()
    host.close()
    """
    with running(world, _CHILD + _plain(body)) as program:
        done = program.ended()
    assert (done.code, done.err, done.out) == (0, "", ["[0, 0, 0]"])
    alive(world, world.hosts[0])


@pytest.mark.parametrize("end", ["sys.exit(0)", "host.close(); os._exit(0)"])
def test_forked_in_the_middle_of_a_renewal(world: World, end: str) -> None:
    """The child has no thread that renews: it takes what its parent's brings, however it ends."""
    world.gate.shut()
    body = f"""
    host = opened()
    before = host.token("main").fingerprint
    shift = EXPIRED
    renewing = threading.Thread(target=lambda: host.token("main"))
    renewing.start()
    sys.stdin.readline()
    pid = os.fork()
    if pid == 0:
        signal.alarm(12)
        say("asking")
        fingerprint = host.token("main").fingerprint
        assert fingerprint != before
        say(fingerprint)
        {end}
    renewing.join()
    say(host.token("main").fingerprint)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    with host.client("main") as http:
        assert http.get("/api/items").status_code == 200
    """
    with running(world, body) as program:
        assert world.gate.arrived.wait(10)
        program.go()
        assert program.hear() == "asking"
        world.gate.open()
        done = program.ended()
    assert (done.code, done.err) == (0, "")
    assert len(done.out) == 2
    assert len(set(done.out)) == 1
    assert world.counts().token_calls == 1
    alive(world, world.hosts[0])


_SLOW = """
import time
from connector.hookspecs import hookimpl

@hookimpl
def connector_secret_sources():
    return {"slow": wait}

def wait(ref, folder):
    (folder / "asked").touch()
    while not (folder / "told").exists():
        time.sleep(0.01)
    return ref
"""


def test_forked_while_another_thread_holds_a_lock(world: World) -> None:
    """A host that is opening an account, which takes as long as its secret does, holds up no child."""
    (world.folder / "slow.py").write_text(_SLOW)
    slow = world.account() | {"client_id": "${slow:sandbox}"}
    body = """
    host = opened()
    opening = threading.Thread(target=lambda: host.status("slow"))
    opening.start()
    while not os.path.exists("asked"):
        time.sleep(0.01)

    def work():
        global shift
        shift = EXPIRED
        with host.client("main") as http:
            assert http.get("/api/items").status_code == 200
        host.close()

    say(ended(child(work), child(work)))
    open("told", "w").close()
    opening.join()
    """
    body = _CHILD + f"os.chdir({str(world.folder)!r})\n" + _plain(body)
    with running(world, body, plugins=["slow.py"], slow=slow) as program:
        done = program.ended()
    assert (done.code, done.err, done.out) == (0, "", ["[0, 0]"])
    alive(world, world.hosts[0])


def test_a_child_closes_nothing_of_its_parent(world: World) -> None:
    """The server that an endpoint brings along is the parent's, and so are its connections."""
    own: dict[str, Any] = {
        "oauth2_endpoint": "sandbox.coupa",
        "client_id": "sandbox",
        "client_secret": "sandbox-secret",
    }
    own["scopes"] = ["core.invoice.read"]
    body = """
    with opened() as host, host.client("own") as http:
        assert http.get("/api/invoices", params={"limit": 1}).status_code == 200
        if os.fork() == 0:
            signal.alarm(12)
            assert http.get("/api/invoices", params={"limit": 1}).status_code == 200
            sys.exit(7)  # leaves both blocks
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 7
        assert http.get("/api/invoices", params={"limit": 1}).status_code == 200
    """
    with running(world, body, own=own) as program:
        done = program.ended()
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(world: World, method: str) -> None:
    """Forked with the host, or started with the path of the manifest: each token is shown once."""
    body = f"""
    host = None

    def work(_):
        global host, shift
        mine = host or opened()
        shift = EXPIRED
        with mine.client("main") as http:
            statuses = [http.get("/api/items").status_code for _ in range(5)]
        mine.renew("main")
        return statuses

    if __name__ == "__main__":
        if {method!r} == "fork":
            host = opened()
            host.token("main")
        with multiprocessing.get_context({method!r}).Pool(2) as pool:
            found = pool.map(work, range(4), chunksize=1)
            pool.close()
            pool.join()
        assert found == [[200] * 5] * 4, found
    """
    with running(world, body) as program:
        done = program.ended()
    assert (done.code, done.err) == (0, "")
    assert world.counts().token_calls >= 2  # renewals wanted at once are one
    alive(world, world.hosts[0])


def test_a_process_of_a_pool_ends_with_a_renewal_under_way(world: World) -> None:
    """It is no interpreter that ends, and still the answer is waited for."""
    world.gate.shut()
    body = """
    def work():
        global shift
        host = opened()
        host.token("main")
        shift = STALE
        host.token("main")
        sys.stdin = open(0)
        sys.stdin.readline()

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    say(process.exitcode)
    """
    with running(world, body) as program:
        assert world.gate.arrived.wait(10)
        program.go()
        world.gate.open()
        done = program.ended()
    assert (done.code, done.err, done.out) == (0, "", ["0"])
    vault, key = vault_of(world)
    stored = vault.store.load(key)
    assert stored is not None
    assert vault.sealer.open(key, stored.sealed, version=stored.version).spending is None
    alive(world, world.hosts[0])


def test_a_host_stays_where_it_is(world: World) -> None:
    """Sent to another process, it says what to send instead."""
    with pytest.raises(TypeError, match="path of the manifest"):
        pickle.dumps(world.signed_in())


def _plain(body: str) -> str:
    """Without the indentation it has here."""
    lines = body.strip("\n").split("\n")
    return "\n".join(line.removeprefix("    ") for line in lines) + "\n"


def test_forked_while_another_thread_is_in_the_store(world: World) -> None:
    """SQLite's locks are the process's: a fork waits for the end of an operation, so that no child inherits one."""
    body = """
    host = opened()
    store, busy = host._vault.store, True

    def writes():
        while busy:
            store.acquire("somebody", "parent", ttl_s=1)

    def work():
        assert store.acquire("child", str(os.getpid()), ttl_s=0.001).holder == str(os.getpid())
        assert host.token("main").fingerprint

    writing = threading.Thread(target=writes)
    writing.start()
    codes = []
    for number in range(15):
        time.sleep(0.01 + number / 4000)
        codes += ended(child(work))
    busy = False
    writing.join()
    say(codes)
    """
    with running(world, _CHILD + _plain(body)) as program:
        done = program.ended()
    assert (done.code, done.err, done.out) == (0, "", [str([0] * 15)])
    alive(world, world.hosts[0])


def test_nothing_is_imported_in_the_middle_of_a_renewal(world: World) -> None:
    """A child that is forked just then would have half of a module, for ever."""
    body = """
    host = opened()
    host.token("main")
    before = set(sys.modules)
    shift = EXPIRED
    host.token("main")
    with host.client("main") as http:
        say(http.get("/api/items").status_code)
    say(sorted(name for name in set(sys.modules) - before if name.startswith(("http", "connector", "h11"))))
    """
    with running(world, body) as program:
        done = program.ended()
    assert (done.code, done.err, done.out) == (0, "", ["200", "[]"])


def test_a_process_of_a_pool_ends_with_what_its_store_did_not_take(world: World) -> None:
    """It brings it to the store until it ends, and once more then."""
    body = """
    class Full(SqliteStore):
        left = 1000

        def save(self, account, sealed, *, version):
            self.left -= 1
            if 0 <= self.left < 6:  # as often as a renewal tries, and once more
                raise OSError(28, "full")
            super().save(account, sealed, version=version)

    def work():
        global shift
        host = opened()
        store = host._login("main")._world.store._store
        store.__class__ = Full
        host.token("main")
        shift = EXPIRED
        store.left = 7  # the journal is taken
        host.token("main")
        say(host._login("main").source._record.unsaved)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    say(process.exitcode)
    """
    with running(world, body) as program:
        done = program.ended()
    assert (done.code, done.out) == (0, ["True", "0"]), done.err
    assert "Traceback" not in done.err
    vault, key = vault_of(world)
    stored = vault.store.load(key)
    assert stored is not None
    assert vault.sealer.open(key, stored.sealed, version=stored.version).spending is None
    assert max(world.counts().presentations.values()) == 1
    alive(world, world.hosts[0])
