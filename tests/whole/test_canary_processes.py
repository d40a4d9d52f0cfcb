"""The canary outside: while commands run on a real account, no secret of it is to be seen from another process."""

from __future__ import annotations

import base64
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote_plus

import httpx
import pytest
import yaml
from canary import Canaries
from process_watch import BOUND_S, Seen, Watched
from whole_world import World

from connector.sandbox import CLIENT_ID, CLIENT_SECRET

# Notes down what can be seen of it, and where it was sent to; its person sits in the test.
BROWSER = """\
#!/bin/sh
cat /proc/$$/cmdline > {aside}/cmdline
cat /proc/$$/environ > {aside}/environ
ln -s -- "$1" {aside}/address
"""
STEPS = [
    {"snap": "http.read", "account": "main", "with": {"path": "/api/items", "params": {"limit": "5"}}},
    {"snap": "file.write", "with": {"path": "out/items.jsonl"}},
]


class Tap:
    """An ASGI application before the sandbox: every secret that passes is a canary from then on.

    The sandbox's own client secret is known to all; here it is called by another name, which is not.
    """

    def __init__(self, app: Any, canaries: Canaries, secret: str) -> None:
        self._app, self._canaries = app, canaries
        self._theirs = _basic(quote_plus(secret))
        self.calls = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].endswith("/token"):
            await self._app(scope, receive, send)
            return
        self.calls += 1
        headers = [
            (name, _basic(CLIENT_SECRET) if value == self._theirs else value)
            for name, value in scope["headers"]
        ]
        message = await receive()
        form = parse_qs(message.get("body", b"").decode())
        for kind in ("code", "code_verifier", "refresh_token"):
            for text in form.get(kind, []):
                self._canaries.add(kind, text)
        waiting = [message]

        async def again() -> Any:
            return waiting.pop() if waiting else await receive()

        async def answered(message: Any) -> None:
            if message["type"] == "http.response.body" and message.get("body"):
                reply = json.loads(message["body"])
                for kind in ("access_token", "refresh_token", "id_token"):
                    if kind in reply:
                        self._canaries.add(kind, reply[kind])
            await send(message)

        await self._app({**scope, "headers": headers}, again, answered)


def _basic(secret: str) -> bytes:
    return b"Basic " + base64.b64encode(f"{CLIENT_ID}:{secret}".encode())


@dataclass
class Street:
    """A sandbox, a command that is watched, and its canaries."""

    world: World
    tap: Tap
    canaries: Canaries
    home: Path
    aside: Path
    watched: Watched

    def leaks(self, seen: Seen) -> list[str]:
        """Where canaries were to be seen."""
        # The key was made by the first command, and lies where only its owner can read it.
        key = self.home / "tokens.db.key"
        if key.exists():
            self.canaries.add("store key", key.read_text().strip())
        texts = {**seen.texts, seen.err.encode(): "standard error"}
        return sorted(
            {f"{where}: {kind}" for text, where in texts.items() for kind in self.canaries.found_in(text)}
        )

    def consents(self) -> None:
        """Somebody at the browser who says yes, once it was sent somewhere."""
        address, until = self.aside / "address", time.monotonic() + BOUND_S
        while not address.is_symlink():
            assert time.monotonic() < until, "no browser was opened"
            time.sleep(0.01)
        with httpx.Client(trust_env=False, timeout=BOUND_S) as http:
            there = http.get(os.readlink(address))
            assert http.get(there.headers["location"]).status_code == 200


@pytest.fixture(params=["env", "file"])
def street(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> Street:
    """The client secret in the environment, where its user put it, or in a file; the store's key in a file."""
    if not Path("/proc/self/environ").exists():
        pytest.fail("these tests read /proc, and there is none here")
    canaries = Canaries(CLIENT_ID)
    secret = canaries.new("client secret", odd=True)
    home, aside = tmp_path / "home", tmp_path / "aside"
    for folder in (home, aside, home / "tmp"):
        folder.mkdir()
    browser = aside / "browser"
    browser.write_text(BROWSER.format(aside=aside))
    browser.chmod(0o700)
    world.gate._app = tap = Tap(world.gate._app, canaries, secret)
    environ = {
        **os.environ,
        "BROWSER": f"{browser} %s",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
    }
    if request.param == "env":
        environ["CANARY"] = secret
    else:
        file = home / "client.secret"
        file.touch(0o600)
        file.write_text(secret)
    account = world.account(
        client_secret="${env:CANARY}" if request.param == "env" else "${file:client.secret}"
    )
    data = {
        "version": 1,
        "store": "sqlite:///tokens.db",
        "accounts": {"main": account},
        "pipelines": {"reads": {"snaps": STEPS}},
    }
    (home / "manifest.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return Street(world, tap, canaries, home, aside, Watched(home, aside, environ))


def ours(seen: Seen) -> list[dict[str, Any]]:
    """What was started, but for what Python itself asks where a library is (ctypes.util.find_library)."""
    asked = ("ldconfig", "gcc", "cc", "ld", "objdump")
    started = [one for one in seen.started if one["words"][0].strip("'").rpartition("/")[2] not in asked]
    # From Python 3.13 on a Popen tells of the spawn beneath it too.
    again = {("os.posix_spawn", *one["words"][:2]) for one in started if one["event"] == "subprocess.Popen"}
    return [one for one in started if (one["event"], *one["words"][:2]) not in again]


def test_from_another_process(street: Street) -> None:
    """`login`, `token`, `run`, `refresh`: in no arguments, environment or readable file is a secret."""
    came_in = street.watched.run("-vv", "login", "main", meanwhile=street.consents)
    assert (came_in.code, street.tap.calls) == (0, 1), came_in.err
    # All that a login starts is the browser, which is told the address and nothing else.
    [browser] = ours(came_in)
    assert browser["added"] == []
    words = (street.aside / "cmdline").read_bytes()
    assert words.split(b"\0")[2] == os.readlink(street.aside / "address").encode()
    came_in.texts[words] = "arguments of the browser"
    came_in.texts[street.watched.environment((street.aside / "environ").read_bytes())] = (
        "environment of the browser"
    )
    assert (street.home / "tokens.db.key").exists(), "without it no key is looked for"
    assert street.leaks(came_in) == []

    for command in (("token", "main"), ("run",), ("refresh", "main")):
        if command == ("run",):
            street.world.sandbox.expire("strict")  # so that it is renewed in the middle of the run
        seen = street.watched.run("-vv", *command)
        assert seen.code == 0, seen.err
        assert ours(seen) == [], "nothing is started"
        assert street.leaks(seen) == [], command
        # `token` is for printing it. (The sandbox's tokens are signed words, and share some of them.)
        printed = street.canaries.found_in(seen.out)
        assert "access_token" in printed if command[0] == "token" else not printed
    assert street.tap.calls == 3, "the login, the run on an ended token, and `refresh`"
    assert (street.home / "out" / "items.jsonl").stat().st_size > 0


def test_the_watch_sees(street: Street) -> None:
    """A secret in arguments, in an environment, in a file for all: each is found, of a child as of the command."""
    secret = street.canaries.new("planted")
    (street.home / "connector.py").write_text(
        "import os, subprocess, sys\n"
        f"secret = {secret!r}\n"
        "os.chmod(__file__, 0o600)\n"
        "how = sys.argv[1]\n"
        "if how == 'file': open('planted', 'w').write(secret)\n"
        "if how == 'words': subprocess.run(['true', secret])\n"
        "if how == 'environment': os.environ['PLANTED'] = secret; subprocess.run(['sleep', '0.2'])\n"
    )
    for how, where in {
        "file": ["file planted, readable by others"],
        "words": ["start by subprocess.Popen"],
        "environment": ["environment of b'sleep\\x000.2\\x00'", "start by subprocess.Popen"],
    }.items():
        (street.home / "connector.py").chmod(0o600)
        seen = street.watched.run(how)
        assert seen.code == 0, seen.err
        found = {leak.removesuffix(": planted") for leak in street.leaks(seen)}
        assert set(where) <= found, how
