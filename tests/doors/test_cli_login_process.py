"""What only a process of its own can show of `connector login`: signals, pasting, terminals."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
from collections.abc import Callable

import pytest
from login_room import BOUND_S, CONNECTOR, NO_BROWSER, Room, asked_in, fetch

WAITING = {
    "browser": ((), "Waiting for the login"),
    "paste": (("--no-browser",), "paste it here"),
    "device": (("--device",), "Waiting for "),
}


@pytest.mark.parametrize(
    ("way", "number", "code"),
    [
        ("browser", signal.SIGINT, 130),
        ("browser", signal.SIGTERM, 143),
        ("paste", signal.SIGINT, 130),
        ("device", signal.SIGINT, 130),
    ],
    ids=str,
)
def test_giving_up(room: Room, way: str, number: signal.Signals, code: int) -> None:
    """Ctrl-C and SIGTERM end each way of waiting at once, in one word, and the old login goes on."""
    before = room.begin()
    options, last = WAITING[way]
    with room.started("login", "main", *options) as terminal:
        terminal.reads(last)
        terminal.interrupt(number)
        ended, out, said = terminal.ends()
    assert (ended, out) == (code, "")
    assert said.endswith("\nstopped\n")
    assert room.leaks(said) == []
    room.goes_on(before)


@pytest.mark.parametrize(
    "copied",
    [lambda url: f"  {url}  ", lambda url: url.partition("?")[2]],
    ids=["the whole address", "what follows the ?"],
)
def test_pasting(room: Room, copied: Callable[[str], str]) -> None:
    """On a machine without a browser: the address is printed, and the one at the end is pasted."""
    with room.started("-vv", "login", "main", "--no-browser") as terminal:
        url = terminal.reads("/strict/authorize?")
        location = fetch(url).headers["location"]
        assert location.startswith("http://127.0.0.1:8765/callback?")
        room.person.codes.append(asked_in(location)["code"])
        ended, out, said = terminal.ends(copied(location) + "\n")
    assert (ended, out) == (0, ""), said
    assert "Account main is logged in" in said
    assert room.leaks(said) == []


def test_the_loudest_says_no_secret(room: Room) -> None:
    """-vv, and an address that a person opens: nothing of what came back is shown."""
    with room.started("-vv", "login", "main") as terminal:
        url = terminal.reads("/strict/authorize?")
        room.person.allows(url)
        ended, out, said = terminal.ends()
    assert (ended, out) == (0, ""), said
    assert room.leaks(said) == []
    assert room.person.codes[0] not in said


def on_terminal(room: Room, *args: str, **environ: str) -> tuple[int, str]:
    """`connector ...` on a terminal; a device that shows its code is signed in."""
    leader, follower = pty.openpty()
    kept = {name: text for name, text in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    env = {**kept, "TERM": "xterm", "COLUMNS": "100", "LINES": "50", **NO_BROWSER, **environ}
    shown = b""
    command = [*CONNECTOR, *args]
    with subprocess.Popen(
        command, cwd=room.folder, stdin=follower, stdout=follower, stderr=follower, env=env
    ) as running:
        os.close(follower)
        try:
            while select.select([leader], [], [], BOUND_S)[0]:
                try:
                    data = os.read(leader, 65536)
                except OSError:  # how Linux says that nobody is at the other end any more
                    break
                if not data:
                    break
                shown += data
                code = re.search(rb"\b([A-Z]{4}-[A-Z]{4})\b", shown)
                if code and b" left (Ctrl-C" in shown:
                    room.sandbox.approve(code[1].decode())
            running.wait(BOUND_S)
        finally:
            running.kill()
    os.close(leader)
    return running.returncode, shown.decode("utf-8", "replace")


def test_colours(room: Room) -> None:
    """What is wrong is red on a terminal, unless NO_COLOR says otherwise."""
    for environ, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        code, shown = on_terminal(room, "login", "main", "--timeout", "0.1", **environ)
        assert code == 1
        assert "nobody logged in" in shown
        assert bool(re.search(r"\x1b\[[0-9;]*3[0-9]m", shown)) is coloured


def test_a_device_on_a_terminal(room: Room) -> None:
    """A QR code, the code in bold, and a countdown that ends as soon as somebody entered it."""
    room.write(endpoint={"device": {"params": {"sandbox_interval": "1"}}})
    code, shown = on_terminal(room, "login", "main", "--device")
    assert code == 0, shown
    assert "▀" in shown or "█" in shown
    assert re.search(r"\x1b\[1m *[A-Z]{4}-[A-Z]{4}", shown)
    assert re.search(r"Waiting for you, 4 min \d\d s left \(Ctrl-C gives up\)", shown)
    assert "Account main is logged in" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h"), "the cursor is back"
    assert room.leaks(shown) == []
