"""`connector login` against the sandbox, and whoever sits at the browser."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, quote_plus, urlencode, urlsplit

import anyio
import httpx
import yaml

import connector
from connector.host import Host
from connector.sandbox import CLIENT_ID, CLIENT_SECRET, Sandbox

# Nothing here takes this long; it only keeps a broken test from hanging.
BOUND_S = 20.0
# What a browser cannot bring ends the login soon, and the test with it.
SOON = ("--timeout", "10")
CONNECTOR = [sys.executable, "-m", "connector"]
# A browser that opens nothing: the test itself goes where the command says.
NO_BROWSER = {"BROWSER": "true %s"}


class Desk(webbrowser.BaseBrowser):
    """The browser of this process; a test says what happens when it is sent somewhere."""

    def __init__(self) -> None:
        super().__init__("desk")
        self.sent: Callable[[str], object] = len

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
        self.sent(url)
        return True


DESK = Desk()
webbrowser.register("desk", None, DESK, preferred=True)


def fetch(url: str, **options: Any) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=BOUND_S) as http:
        return http.get(url, **options)


def asked_in(url: str) -> dict[str, str]:
    """The parameters of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@dataclass
class Person:
    """Somebody at the browser, and all that they saw.

    Attributes:
        pages: (status, text) of every page that the command showed, in order.
        codes: authorization codes that came along.
    """

    pages: list[tuple[int, str]] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)

    def consents(self, url: str) -> str:
        """Say yes at the sandbox; where it sends the browser then."""
        location = fetch(url).headers["location"]
        self.codes.append(asked_in(location).get("code", ""))
        return location

    def comes_back(self, location: str) -> None:
        """Follow a redirect to the command's own page."""
        page = fetch(location)
        self.pages.append((page.status_code, page.text))

    def allows(self, url: str) -> None:
        self.comes_back(self.consents(url))

    def denies(self, url: str) -> None:
        self.comes_back(fetch(f"{url}&sandbox_person=deny").headers["location"])

    def answers(self, *pairs: tuple[str, str], **more: str) -> Callable[[str], None]:
        """Come back with an answer of one's own; state and issuer are right unless said otherwise."""

        def sent(url: str) -> None:
            asked = asked_in(url)
            said = {"state": asked["state"], "iss": f"http://{urlsplit(url).netloc}/strict", **more}
            query = urlencode([*((name, text) for name, text in said.items() if text), *pairs])
            self.comes_back(f"{asked['redirect_uri']}?{query}")

        return sent


class Tap:
    """An ASGI application before the sandbox: reads the forms that pass, and can hold token calls back."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.arrived, self.opened = threading.Event(), threading.Event()
        self.forget()

    def forget(self) -> None:
        """Begin anew, with the way open."""
        self.forms: list[dict[str, str]] = []
        self.arrived.clear()
        self.opened.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].endswith("/token"):
            message = await receive()
            self.forms.append({k: v[0] for k, v in parse_qs(message.get("body", b"").decode()).items()})
            self.arrived.set()
            await anyio.to_thread.run_sync(self.opened.wait, BOUND_S)
            waiting = [message]

            async def again() -> Any:
                return waiting.pop() if waiting else await receive()

            await self._app(scope, again, send)
        else:
            await self._app(scope, receive, send)


class Room:
    """A folder with an account ``main`` of the strict sandbox, and one, ``machine``, that needs nobody."""

    def __init__(self, folder: Path, sandbox: Sandbox, tap: Tap) -> None:
        self.folder, self.sandbox, self.tap = folder, sandbox, tap
        self.person = Person()
        self.before: Host | None = None
        self.write()

    def account(self, **more: Any) -> dict[str, Any]:
        """Of the sandbox; what is said of ``endpoint`` is added to it part by part, None takes away."""
        root = f"{self.sandbox.url}/strict"
        endpoint: dict[str, Any] = {
            "grants": ["authorization_code", "client_credentials", "device_code"],
            "issuer": root,
            "authorize": {"url": f"{root}/authorize"},
            "token": {"url": f"{root}/token", "auth": "client_secret_basic"},
            "refresh": {"rotates": "always"},
            "device": {"url": f"{root}/device"},
            "api": {"base_url": root},
        }
        for name, part in more.pop("endpoint", {}).items():
            endpoint[name] = {**endpoint.get(name, {}), **part} if isinstance(part, dict) else part
        said = {
            "oauth2_endpoint": {name: part for name, part in endpoint.items() if part is not None},
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "scopes": ["items.read"],
            **more,
        }
        return {name: value for name, value in said.items() if value is not None}

    def write(self, **more: Any) -> None:
        """Write the manifest, with more said of ``main``; ORIGIN stands for the sandbox's."""
        accounts = {"main": self.account(**more), "machine": self.account(grant="client_credentials")}
        data = {"version": 1, "store": "sqlite:///tokens.db", "accounts": accounts}
        text = yaml.safe_dump(data, sort_keys=False).replace("ORIGIN", self.sandbox.url)
        (self.folder / "manifest.yaml").write_text(text, "utf-8")

    def open(self) -> Host:
        return connector.open(self.folder / "manifest.yaml")

    def begin(self) -> str:
        """Let there be a login, as if somebody had consented yesterday; the fingerprint of its token.

        Whoever did that, `before`, is still at work.
        """
        self.before = self.open()
        return self.before.adopt("main", self.sandbox.authorize("strict")).fingerprint

    def goes_on(self, fingerprint: str) -> None:
        """Assert that this login still works, in the process it began in and in the store, and renews."""
        assert self.before is not None
        with self.before.client("main") as http:
            assert self.before.token("main").fingerprint == fingerprint
            assert http.get("/api/items").status_code == 200
            assert self.before.status("main").fingerprint == fingerprint
            assert self.before.renew("main").fingerprint != fingerprint
            assert http.get("/api/items").status_code == 200
            assert self.before.status("main").state == "ready"
        assert max(self.sandbox.counts["strict"].presentations.values()) == 1

    def close(self) -> None:
        if self.before is not None:
            self.before.close()

    def secrets(self) -> set[str]:
        """What may be shown to nobody: of this login, and of the one that was there."""
        found = {CLIENT_SECRET, base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()}
        names = ("code", "code_verifier", "refresh_token", "device_code")
        found |= {form[name] for form in self.tap.forms for name in names if name in form}
        found |= {code for code in self.person.codes if code}
        with contextlib.ExitStack() as closing:
            host = self.before or closing.enter_context(self.open())
            if host.status("main").fingerprint:
                token = host.token("main")
                found.add(token.access_token.reveal())
                found |= {token.refresh_token.reveal()} if token.refresh_token else set()
        return found | {form(secret) for secret in found for form in (quote, quote_plus)}

    def leaks(self, *texts: str) -> list[str]:
        """Secrets that can be read in any of the texts, or on a page."""
        shown = [*texts, *(text for _, text in self.person.pages)]
        return [secret for secret in self.secrets() if any(secret in text for text in shown)]

    @contextmanager
    def started(self, *args: str, env: dict[str, str] | None = None) -> Iterator[Terminal]:
        """`connector ...` as a process, ended at the latest with the block."""
        with subprocess.Popen(
            [*CONNECTOR, *args],
            cwd=self.folder,
            env={**os.environ, **NO_BROWSER, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield Terminal(process)
            finally:
                if process.poll() is None:
                    process.kill()


class Terminal:
    """A command that talks: read what it says until something is there, answer, wait for its end."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.said = ""

    def reads(self, word: str) -> str:
        """The line that holds a word."""
        assert self._process.stderr is not None
        while line := self._process.stderr.readline():
            self.said += line
            if word in line:
                return line.strip()
        raise AssertionError(f"it ended without {word!r}:\n{self.said}")

    def interrupt(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def ends(self, typed: str | None = None) -> tuple[int, str, str]:
        """Exit code, standard output and all of standard error, after `typed` and the end of input."""
        out, rest = self._process.communicate(typed, timeout=BOUND_S)
        self.said += rest
        return self._process.returncode, out, self.said
