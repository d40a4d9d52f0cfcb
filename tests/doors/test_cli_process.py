"""What only a process of its own can show: signals, pipes, terminals, encodings."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

CONNECTOR = [sys.executable, "-m", "connector"]
SLOW = """\
version: 1
store: "memory:"
accounts:
  buy:
    oauth2_endpoint: sandbox.coupa
    client_id: sandbox
    client_secret: sandbox-secret
    grant: client_credentials
    scopes: [core.invoice.read]
pipelines:
  one:
    account: buy
    snaps:
      - {snap: http.read, with: {path: /api/invoices, paginate: offset, page_size: 20, requests_per_second: 4}}
      - {snap: file.write, with: {path: out/one.jsonl}}
  two:
    account: buy
    snaps:
      - {snap: http.read, with: {path: /api/invoices, paginate: offset, page_size: 20, requests_per_second: 4}}
      - {snap: file.write, with: {path: out/two.jsonl}}
"""


@contextmanager
def started(*args: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """`connector ...`, ended at the latest with the block."""
    kinds = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    with subprocess.Popen([*CONNECTOR, *args], **kinds) as running:
        try:
            yield running
        finally:
            if running.poll() is None:
                running.kill()


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopping_a_run(folder: Path, jobs: str, number: int, code: int) -> None:
    """Ctrl-C and SIGTERM end a run at once; its numbers so far are told, and nothing half-written is left."""
    (folder / "manifest.yaml").write_text(SLOW)
    with started("run", "--jobs", jobs) as running:
        assert running.stderr is not None
        assert running.stderr.readline().startswith(("one: ", "two: "))  # documents flow
        running.send_signal(number)
        out, err = running.communicate(timeout=20)
    assert (running.returncode, out) == (code, "")
    words = [line for line in err.splitlines() if not line.startswith(("one: ", "two: "))]
    assert words[-1] == "stopped"
    assert any(re.match(r"one +stopped +\d+ +0 +\d", line) for line in words)
    assert any(re.match(r"two +stopped +\d" if jobs == "2" else "two +not run +0", line) for line in words)
    assert not (folder / "out").exists() or os.listdir(folder / "out") == []


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_json_of_a_stopped_run(folder: Path, jobs: str) -> None:
    """What reads the outcome gets one, also of a run that was stopped."""
    (folder / "manifest.yaml").write_text(SLOW)
    with started("run", "--json", "--jobs", jobs) as running:
        assert running.stderr is not None
        running.stderr.readline()
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate(timeout=20)
    one = json.loads(out)["pipelines"]["one"]
    assert (running.returncode, one["ok"], one["result"]) == (130, False, "stopped")
    assert one["seconds"] > 0
    assert one["steps"][0]["documents_out"] >= one["documents"]


def test_sandbox_serves_until_it_is_ended(folder: Path) -> None:
    """`sandbox` says where it is, answers there, refuses a taken port in words, and ends cleanly."""
    with started("sandbox", "--port", "0") as running:
        assert running.stderr is not None
        url = re.search(r"http://127\.0\.0\.1:(\d+)", running.stderr.readline())
        assert url is not None
        assert httpx.get(url[0], trust_env=False).status_code == 200
        with started("sandbox", "--port", url[1]) as second:
            _, err = second.communicate(timeout=20)
            assert second.returncode == 1
            assert f"cannot listen on port {url[1]}" in err
            assert err.count("\n") == 1
        running.send_signal(signal.SIGTERM)
        assert running.communicate(timeout=20) == ("", "")
        assert running.returncode == 0


@pytest.mark.parametrize(
    "args",
    [("schema",), ("run", "--preview", "invoices", "--quiet"), ("run", "invoices", "--quiet", "-p", "to=-")],
    ids=" ".join,
)
def test_a_reader_that_has_enough(folder: Path, args: tuple[str, ...]) -> None:
    """A closed pipe (`connector ... | head -1`) is no reason to say anything."""
    text = (folder / "manifest.yaml").read_text("utf-8")
    text = text.replace('{page: "50"}', '{page: "50", to: out/invoices.jsonl}')
    text = text.replace("{path: out/invoices.jsonl}", '{path: "${param:to}", format: jsonl}')
    (folder / "manifest.yaml").write_text(text, "utf-8")
    with started(*args) as running:
        assert running.stdout is not None
        running.stdout.close()
        assert running.stderr is not None
        assert running.stderr.read() == ""
    assert running.returncode in (0, 1)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a disk that is always full")
@pytest.mark.parametrize("args", [("schema",), ("accounts",), ("key", "new"), ("--help",)], ids=" ".join)
def test_a_full_disk(folder: Path, args: tuple[str, ...]) -> None:
    """Output that cannot be written is a failure in words."""
    with open("/dev/full", "w") as full, started(*args, stdout=full) as running:
        _, err = running.communicate(timeout=20)
    assert running.returncode == 1
    assert "Traceback" not in err


def test_other_encodings(process: Any, folder: Path) -> None:
    """Where a terminal knows only ASCII, labels are escaped and JSON stays JSON."""
    for environ in (
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
    ):
        done = process("accounts", **environ)
        assert done.code == 0
        assert "Gr\\xf6\\xdfe" in done.out
        shown = process("run", "--preview", "2", "invoices", "-q", **environ)
        assert len([json.loads(line) for line in shown.out.splitlines()]) == 2


def test_without_standard_streams(folder: Path) -> None:
    """A service manager may close all three."""
    for command in ("adopt person <&-", "accounts >&-", "check 2>&-", "accounts <&- >&- 2>&-"):
        line = " ".join([*CONNECTOR, command])
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=30)
        assert "Traceback" not in done.stderr
        assert done.returncode in (0, 1)


def on_terminal(*args: str, typed: bytes = b"", **environ: str) -> tuple[int, str]:
    """Run on a pseudo-terminal; returns exit code and everything shown."""
    leader, follower = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environ}
    with subprocess.Popen(
        [*CONNECTOR, *args], stdin=follower, stdout=follower, stderr=follower, env=env
    ) as running:
        os.close(follower)
        shown = b""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            if not select.select([leader], [], [], 0.2)[0]:
                continue
            try:
                data = os.read(leader, 65536)
            except OSError:
                break
            if not data:
                break
            shown += data
            if typed and b"Ctrl-D" in shown:
                os.write(leader, typed)
                typed = b""
        if running.poll() is None:
            running.wait(10)
    os.close(leader)
    return running.returncode, shown.decode("utf-8", "replace")


def test_on_a_terminal(folder: Path) -> None:
    """On a terminal progress is one live line and results have colours, unless NO_COLOR says otherwise."""
    code, shown = on_terminal("run", "invoices")
    assert code == 0
    assert "\x1b[32m" in shown, "done is green"
    assert "\x1b[?25l" in shown, "a live display hides the cursor"
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h"), "and brings it back"
    _, plain = on_terminal("run", "invoices", NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", plain)
    _, dumb = on_terminal("run", "invoices", TERM="dumb")
    assert "\x1b" not in dumb


def test_pasting_a_reply(folder: Path) -> None:
    """`adopt` on a terminal says what to do."""
    code, shown = on_terminal("adopt", "person", typed=b'{"access_token": "abc", "expires_in": 60}\n\x04')
    assert code == 0, shown
    assert "Paste the token reply" in shown
    assert "adopted token" in shown


def test_a_message_cannot_steer_the_terminal(process: Any, folder: Path) -> None:
    """Control characters of a file or a server are shown, not obeyed."""
    done = process("token", "\x1b]0;owned\x07\x1b[2J")
    assert done.code == 2
    assert "\x1b" not in done.err
    assert "\x07" not in done.err


def test_importing_main_runs_nothing() -> None:
    """`connector.__main__` may be imported by tools that walk a package."""
    done = subprocess.run(
        [sys.executable, "-c", "import connector.__main__"], capture_output=True, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
