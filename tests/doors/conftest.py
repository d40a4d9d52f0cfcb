"""A folder with a manifest, and two ways to the command line: in this process and in one of its own."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from login_room import DESK, Room, Tap

from connector.cli import cli
from connector.sandbox import Sandbox

MANIFEST = """\
version: 1
store: sqlite:///tokens.db
accounts:
  buy:
    label: "Ein[kauf] [/] :smile: Größe"
    oauth2_endpoint: sandbox.coupa
    client_id: sandbox
    client_secret: sandbox-secret
    grant: client_credentials
    scopes: [core.invoice.read]
  far:
    oauth2_endpoint: coupa
    client_id: ${env:DOORS_FAR_ID}
    client_secret: ${env:DOORS_FAR_SECRET}
    settings: {host: acme.coupahost.com}
    scopes: [core.invoice.read]
    grant: client_credentials
  person:
    oauth2_endpoint: https://login.example.com/authorize
    oauth2_token: https://login.example.com/token
    client_id: abc
    client_secret: ${env:DOORS_PERSON_SECRET}
pipelines:
  invoices:
    account: buy
    parameters: {page: "50"}
    snaps:
      - {snap: http.read, with: {path: /api/invoices, params: {page: "${param:page}"}, paginate: offset}}
      - {snap: file.write, with: {path: out/invoices.jsonl}}
  needs:
    snaps:
      - {snap: http.read, account: person, with: {path: https://login.example.com/x}}
      - {snap: file.write, with: {path: out/needs.jsonl}}
"""


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a manifest; a key, and no colour setting from outside."""
    (tmp_path / "manifest.yaml").write_text(MANIFEST, "utf-8")
    monkeypatch.chdir(tmp_path)
    # A key of its own: a test leaves nothing in the keyring of whoever runs it.
    monkeypatch.setenv("CONNECTOR_KEY", base64.b64encode(bytes(32)).decode())
    for name in ("NO_COLOR", "FORCE_COLOR", "DOORS_FAR_ID", "DOORS_PERSON_SECRET"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


Call = Callable[..., Outcome]


@pytest.fixture
def call(folder: Path) -> Call:
    """`connector ...` in this process."""

    def run(*args: str, stdin: str | bytes | None = None) -> Outcome:
        done = CliRunner().invoke(cli, list(args), input=stdin)
        bug = done.exception
        assert bug is None or isinstance(bug, SystemExit), repr(bug)
        assert "Traceback" not in done.output
        return Outcome(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def process(folder: Path) -> Call:
    """`connector ...` in a process of its own."""

    def run(*args: str, stdin: bytes = b"", **environ: str) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "connector", *args],
            input=stdin,
            capture_output=True,
            timeout=60,
            env={**os.environ, **environ},
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        assert "Traceback" not in err, err
        return Outcome(done.returncode, out, err)

    return run


@pytest.fixture(scope="module")
def sandbox() -> Iterator[tuple[Sandbox, Tap]]:
    """The strict sandbox with a tap before it; starting and ending one takes longer than most tests."""
    sandbox = Sandbox()
    tap = Tap(sandbox.app)
    sandbox.app = tap  # type: ignore[assignment]  # any ASGI application will do
    with sandbox:
        yield sandbox, tap
        tap.opened.set()


@pytest.fixture
def room(folder: Path, sandbox: tuple[Sandbox, Tap], monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    """A manifest for the sandbox; somebody at the browser who says yes."""
    room = Room(folder, *sandbox)
    room.tap.forget()
    monkeypatch.setattr(DESK, "sent", room.person.allows)
    yield room
    room.tap.opened.set()
    room.close()
