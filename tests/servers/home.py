"""A folder with a manifest, and what a person does there: the real command, in processes of their own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from attended import BOUND_S, VISITOR, Done, attended
from click.testing import CliRunner
from people import plain_person

import connector
from connector.cli import cli
from connector.dialog.person import Manner, in_browser
from connector.host import Host


class Home:
    """One folder, one manifest, one token store."""

    def __init__(self, folder: Path, accounts: Mapping[str, Any]) -> None:
        self.folder = folder
        self.write(accounts)

    def write(self, accounts: Mapping[str, Any], name: str = "manifest.yaml") -> Path:
        """Write a manifest; all of this folder share one store."""
        data = {"version": 1, "store": "sqlite:///tokens.db", "accounts": dict(accounts)}
        path = self.folder / name
        path.write_text(yaml.safe_dump(data, sort_keys=False), "utf-8")
        return path

    def open(self) -> Host:
        return connector.open(self.folder / "manifest.yaml")

    def connector(self, *args: str, chromium: tuple[str, ...] | None = None) -> Done:
        """`connector ...`; at the browser sits somebody who consents, or who does what visitor.py is told."""
        visitor = _consents if chromium is None else [*VISITOR, *chromium]
        done = attended([sys.executable, "-m", "connector", *args], self.folder, visitor)
        assert "Traceback" not in done.err, done.err
        return done

    def call(self, command: str, *args: str, manifest: str = "manifest.yaml") -> Done:
        """The same without a process of its own, which is quicker; for all but `login`."""
        done = CliRunner().invoke(cli, [command, *args, "-m", str(self.folder / manifest)])
        assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
        return Done(done.exit_code, done.stdout, done.stderr)

    def quick_login(self, account: str) -> connector.Token:
        """The dialog of `connector login` without its process; somebody consents."""
        with self.open() as host:
            return in_browser(host, account, Manner(open=lambda url: plain_person(url).is_success))

    def login(self, account: str, *args: str) -> Done:
        """`connector login`, with somebody in the browser who consents."""
        return self.connector("login", account, *args)

    def login_on_device(self, account: str, *args: str, deny: bool = False) -> Done:
        """`connector login` where code and address are read off the terminal, and entered elsewhere."""
        process = subprocess.Popen(
            [sys.executable, "-m", "connector", "login", account, *args],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                assert process.stderr is not None
                told = ""
                while (found := re.search(r"(http\S+)\n(?:.*\n)*?.*code:\n\n +(\S+)\n", told)) is None:
                    line = process.stderr.readline()
                    assert line, f"it shows no code:\n{told}"
                    told += line
                plain_person(found[1], user_code=found[2], deny=deny)
                out, err = process.communicate(timeout=BOUND_S)
            finally:
                process.kill()
        return Done(process.returncode, out, told + err)


def _consents(url: str) -> str:
    page = plain_person(url)
    return f"the last page was {page.url}:\n{page.text[:2000]}"
