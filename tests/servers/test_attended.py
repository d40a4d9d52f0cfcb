"""The tests' own people: one who dies in front of a browser is heard at once, one whose pages are slow gets through."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from attended import attended
from chromium import browser_person
from home import Home
from landing import Landing

LOGIN = [sys.executable, "-m", "connector", "login", "main"]
# Nobody asks this server anything before a browser has come back.
ACCOUNT = {
    "oauth2_endpoint": "https://login.example.com/authorize",
    "oauth2_token": "https://login.example.com/token",
    "client_id": "of-nobody",
    "client_auth": "none",
}
DEATHS = {
    "a traceback": ("raise LookupError('no such button')", "LookupError: no such button"),
    "an import that fails": ("import no_such_module", "No module named 'no_such_module'"),
    "an exit code": ("import sys; print('I have had enough'); sys.exit(7)", "I have had enough"),
    "a signal": ("import os; os.kill(os.getpid(), 9)", "exit code -9"),
    "an exit without a word": ("import os; os._exit(3)", "exit code 3"),
}


@pytest.mark.parametrize("how", DEATHS)
def test_a_death_at_the_browser(tmp_path: Path, how: str) -> None:
    """The test fails right then, with what was said, although the command would wait on."""
    program, words = DEATHS[how]
    Home(tmp_path, {"main": ACCOUNT})
    began = time.monotonic()
    with pytest.raises(AssertionError, match="whoever sat at the browser died") as caught:
        attended(LOGIN, tmp_path, [sys.executable, "-c", program])
    assert words in str(caught.value)
    assert "Waiting for the login" in str(caught.value), "what the command said is told too"
    assert time.monotonic() - began < 20, "soon: most of this is the start of the command"


def test_a_death_in_the_test_itself(tmp_path: Path) -> None:
    """One who needs no process of their own is heard as well."""
    Home(tmp_path, {"main": ACCOUNT})
    with pytest.raises(AssertionError, match=r"(?s)whoever sat at the browser died.*ZeroDivisionError"):
        attended(LOGIN, tmp_path, lambda url: 1 / 0)


def test_leaving_the_browser_without_a_login(tmp_path: Path) -> None:
    """One who leaves in peace, and has not come to the end, is told of as well, with the last page."""
    Home(tmp_path, {"main": ACCOUNT})
    visitor = [sys.executable, "-c", "print('the last page was a strange one')"]
    with pytest.raises(AssertionError, match="the command waits on") as caught:
        attended(LOGIN, tmp_path, visitor, left_s=0.5)
    assert "the last page was a strange one" in str(caught.value)


PAUSE_S = 0.4
PAGES = {
    "/": ["<form method=post action=/consent>", "<input name=login>", "<button>Sign in</button></form>"],
    "/consent": ["<form method=post action=/itself>", "<p>May I?", "<button>Yes</button></form>"],
    "/itself": [
        "<form method=post action=/leaves><input type=hidden name=a></form>",
        "<script>setTimeout(() => document.forms[0].submit(), 400)</script>",
    ],
}


@pytest.fixture
def slow(landing: Landing) -> Iterator[str]:
    """A server whose pages come in pieces, and late."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Say nothing."""

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.do_GET()

        def do_GET(self) -> None:
            time.sleep(PAUSE_S)
            self.send_response(303 if self.path == "/leaves" else 200 if self.path in PAGES else 404)
            self.send_header("content-type", "text/html")
            if self.path == "/leaves":
                # Another site, and so another process of the browser.
                self.send_header("location", landing.url.replace("127.0.0.1", "localhost") + "?code=c")
            self.end_headers()
            for piece in PAGES.get(self.path, []):
                self.wfile.write(piece.encode())
                time.sleep(PAUSE_S)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join(10)
    server.server_close()


def test_slow_pages(slow: str, landing: Landing) -> None:
    """Half a page is no page: its button is waited for, each form is sent once, and the end is the end."""
    assert "Landed" in browser_person(slow)
    assert landing.landed == [{"code": "c"}]
