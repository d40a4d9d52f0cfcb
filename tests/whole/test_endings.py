"""A process ends with a renewal under way: it ends soon, nothing is lost, and nothing is said that nobody asked for."""

from __future__ import annotations

import signal
import time

import pytest
from programs import running, vault_of
from whole_world import World, alive

pytestmark = pytest.mark.slow

BEHIND = """
host = opened()
host.token("main")
shift = STALE
host.token("main")  # begins to renew behind its caller
"""


def saved(world: World) -> None:
    """What the program renewed is in the store, and the login goes on."""
    host = world.hosts[0]
    assert host.status("main").state == "ready"
    assert world.counts().issued == 1
    alive(world, host)


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("pass", 0),
        ("host.close()", 0),
        ("del host; gc.collect(); sys.exit(3)", 3),
        ("os.kill(os.getpid(), signal.SIGINT); time.sleep(9)", -signal.SIGINT),
        (
            "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)); os.kill(os.getpid(), signal.SIGTERM)",
            143,
        ),
    ],
)
def test_the_answer_is_waited_for_and_saved(world: World, end: str, code: int) -> None:
    """However Python code ends: the refresh token was shown, so what comes of it is kept."""
    world.gate.shut()
    with running(world, f"{BEHIND}\nsys.stdin.readline()\n{end}\n") as program:
        assert world.gate.arrived.wait(10)
        program.go()
        time.sleep(0.3)
        assert program.process.poll() is None
        world.gate.open()
        done = program.ended()
    assert done.code == code
    assert done.seconds < 3
    # At most what Python says of the program's own error.
    assert done.err == "" or done.err.splitlines()[-1] == "KeyboardInterrupt"
    assert done.err.count("Traceback") == (code == -signal.SIGINT)
    assert "connector-renew" not in done.err
    saved(world)


@pytest.mark.parametrize("end", ["sys.exit(3)", "host.close()"])
def test_nobody_waits_at_the_end_for_somebody_elses_lease(world: World, end: str) -> None:
    """While another process renews, there is nothing to lose: the end comes at once."""
    with running(
        world, f"sys.stdin.readline()\n{BEHIND}\ntime.sleep(0.2)\nsay('waiting')\n{end}\n"
    ) as program:
        vault, key = vault_of(world)
        assert vault.store.acquire(key, "another", ttl_s=60).holder == "another"
        program.go()
        assert program.hear() == "waiting"
        done = program.ended()
    assert (done.code, done.err) == (3 if "exit" in end else 0, "")
    assert done.seconds < 3
    assert world.counts().token_calls == 0
    vault.store.release(key, "another")
    alive(world, world.hosts[0])


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("os._exit(5)", 5),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    ],
)
def test_an_end_that_runs_no_code_is_in_the_journal(world: World, end: str, code: int) -> None:
    """Nobody can wait then; the record says that its refresh token may have been shown."""
    world.gate.shut()
    with running(world, f"{BEHIND}\nsys.stdin.readline()\n{end}\n") as program:
        assert world.gate.arrived.wait(10)
        program.go()
        done = program.ended()
    assert (done.code, done.err) == (code, "")
    assert done.seconds < 3
    vault, key = vault_of(world)
    stored = vault.store.load(key)
    assert stored is not None
    assert vault.sealer.open(key, stored.sealed, version=stored.version).spending is not None


def test_ctrl_c_while_waiting_for_a_renewal(world: World) -> None:
    """The wait ends at once, the renewal goes on, and whoever asks again gets what it brings."""
    world.gate.shut()
    body = """
    host = opened()
    shift = EXPIRED
    try:
        say("asking")
        host.token("main")
    except KeyboardInterrupt:
        say("interrupted")
    say(host.token("main").fingerprint)
    """
    with running(world, body) as program:
        assert program.hear() == "asking"
        assert world.gate.arrived.wait(10)
        program.process.send_signal(signal.SIGINT)
        assert program.hear() == "interrupted"
        world.gate.open()
        done = program.ended()
    assert (done.code, done.err, len(done.out)) == (0, "", 1)
    saved(world)


def test_daemon_threads_at_the_end(world: World) -> None:
    """They are stopped anywhere, but for a renewal that one of them has begun."""
    body = """
    host = opened()
    shift = EXPIRED

    def work():
        while True:
            host.renew("main")

    for _ in range(3):
        threading.Thread(target=work, daemon=True).start()
    time.sleep(0.3)
    """
    for turn in range(3):
        with running(world, body.replace("0.3", f"{0.3 + turn / 31:.3f}")) as program:
            done = program.ended()
        assert (done.code, done.err) == (0, "")
        assert world.hosts[-1].status("main").state == "ready"
        assert world.counts().token_calls > turn
        assert max(world.counts().presentations.values()) == 1
    alive(world, world.hosts[-1])


def test_threads_and_pools_that_outlive_the_main_thread(world: World) -> None:
    """The program is not over while they work: they wait for a lease, and renew, as at any time."""
    body = """
    from concurrent.futures import ThreadPoolExecutor

    host = opened()
    shift = EXPIRED

    def work():
        threading.main_thread().join()
        with host.client("main") as http:
            say(http.get("/api/items").status_code)

    threading.Thread(target=work).start()
    ThreadPoolExecutor(1).submit(lambda: (time.sleep(0.5), say(host.token("main").fingerprint)))
    """
    with running(world, body) as program:
        vault, key = vault_of(world)
        vault.store.acquire(key, "another", ttl_s=1.5)
        done = program.ended()
    assert (done.code, done.err) == (0, "")
    assert sorted(map(len, done.out)) == [3, 8]
    saved(world)


def test_hosts_in_hooks_of_the_end(world: World) -> None:
    """In atexit, in ``__del__``, in a signal handler: a renewal is made there and then."""
    body = """
    host = opened()

    class Last:
        def __del__(self):
            say("del", host.token("main").fingerprint)

    def handler(*_):
        global shift
        shift = EXPIRED
        say("signal", host.token("main").fingerprint)
        shift = 2 * EXPIRED

    def late():
        say("atexit", host.token("main").fingerprint)

    atexit.register(late)
    signal.signal(signal.SIGUSR1, handler)
    say("first", host.token("main").fingerprint)
    os.kill(os.getpid(), signal.SIGUSR1)
    last = Last()
    last.again = last
    del last
    gc.collect()
    shift = 100 * EXPIRED
    """
    with running(world, body) as program:
        done = program.ended()
    assert (done.code, done.err) == (0, "")
    assert [line.split()[0] for line in done.out] == ["first", "signal", "del", "atexit"]
    assert len({line.split()[1] for line in done.out}) == 4
    assert world.counts().token_calls == 3
    alive(world, world.hosts[0])


def test_loops_one_after_another_and_at_once(world: World) -> None:
    """One host for all of them; a loop that is closed in the middle of a renewal takes nothing with it."""
    world.gate.shut()
    body = """
    host = opened()
    shift = EXPIRED

    async def ask():
        async with host.async_client("main") as http:
            return (await http.get("/api/items")).status_code

    async def impatient():
        task = asyncio.create_task(ask())
        await asyncio.sleep(0.3)
        say("closing")

    asyncio.run(impatient())
    say(asyncio.run(ask()))
    say(asyncio.run(ask()))
    found = []
    threads = [threading.Thread(target=lambda: found.append(asyncio.run(ask()))) for _ in range(4)]
    shift = 3 * EXPIRED
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say(found)
    """
    with running(world, body) as program:
        assert program.hear() == "closing"
        world.gate.open()
        done = program.ended()
    assert (done.code, done.err, done.out) == (0, "", ["200", "200", "[200, 200, 200, 200]"])
    assert world.counts().token_calls == 2
    alive(world, world.hosts[0])
