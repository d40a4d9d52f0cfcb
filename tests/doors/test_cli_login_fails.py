"""`connector login` as it fails: one clear sentence, no secret, and the login that was there goes on."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from login_room import DESK, SOON, Person, Room

from connector.dialog import pages

NOBODY: Callable[[Person], Callable[[str], object]] = lambda person: len  # noqa: E731


def fault(name: str) -> dict[str, Any]:
    """What the token endpoint of the sandbox does instead of its work, or with its answer."""
    return {"token_endpoint_config": {"sandbox_fault": name}}


def device(**params: str) -> dict[str, Any]:
    named = {f"sandbox_{name}": text for name, text in params.items()}
    return {"endpoint": {"device": {"params": {"sandbox_interval": "0", **named}}}}


@dataclass(frozen=True)
class Failure:
    """One way to fail.

    Attributes:
        words: what the error says, in this order.
        person: what happens in the browser.
        account: what is said of the account for this login only.
        options: of the command.
        typed: into standard input.
        token_calls: how many calls reach the token endpoint.
    """

    words: tuple[str, ...]
    person: Callable[[Person], Callable[[str], object]] = lambda person: person.allows
    account: dict[str, Any] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    typed: str | None = None
    token_calls: int = 0


NOT_COMPLETED = "the login of account 'main' could not be completed"
NO_ANSWER = "this is no answer to the login of account 'main'"
GIVEN_UP = "the login of account 'main' was given up"
PASTE = ("--no-browser",)
STRANGER = "https://evil.example"
FAILURES = {
    # In the browser.
    "nobody comes": Failure(
        ("nobody logged in to account 'main' in time", "within 0.2 s", "--timeout"),
        person=NOBODY,
        options=("--timeout", "0.2"),
    ),
    "denied": Failure(("was denied", "access_denied", "allow it"), person=lambda who: who.denies),
    "refused": Failure(
        ("was refused", "server_error: the sky fell", "try again later"),
        person=lambda who: who.answers(error="server_error", error_description="the sky fell"),
    ),
    "another issuer": Failure(
        (NO_ANSWER, STRANGER), person=lambda who: who.answers(code="abc", iss=STRANGER)
    ),
    "an error of another issuer": Failure(
        (NO_ANSWER, STRANGER), person=lambda who: who.answers(error="access_denied", iss=STRANGER)
    ),
    "no issuer": Failure(
        (NO_ANSWER, "does not name its issuer"),
        person=lambda who: who.answers(code="abc", iss=""),
        account={"endpoint": {"authorize": {"iss": True}}},
    ),
    "no code": Failure((NO_ANSWER, "neither a code nor an error"), person=lambda who: who.answers()),
    "two codes": Failure(
        (NO_ANSWER, "names a parameter twice"),
        person=lambda who: who.answers(("code", "abc"), ("code", "abcd")),
    ),
    "an error that steers": Failure(
        ("was refused", "the server said"),
        person=lambda who: who.answers(error="\x1b[2Jowned", error_description="<b>\r\nHi</b>\x07"),
    ),
    # At the server.
    "a code of nobody": Failure(
        ("the server refused a token", "invalid_grant"),
        person=lambda who: who.answers(code="nobody-gave-this-code"),
        token_calls=1,
    ),
    "wrong secret": Failure(
        ("does not accept the client", "invalid_client", "Client Secret"),
        account={"client_secret": "wrong-secret-of-mine"},
        token_calls=1,
    ),
    "wrong scope": Failure(
        ("was refused", "invalid_scope", "scopes:"), person=lambda who: who.answers(error="invalid_scope")
    ),
    "500": Failure((NOT_COMPLETED, "HTTP 500"), account=fault("500"), token_calls=1),
    "503": Failure((NOT_COMPLETED, "HTTP 503"), account=fault("503"), token_calls=1),
    "502 after the work": Failure((NOT_COMPLETED, "HTTP 502"), account=fault("502-after"), token_calls=1),
    "lost answer": Failure((NOT_COMPLETED, "no whole answer"), account=fault("truncate"), token_calls=1),
    "a page": Failure((NOT_COMPLETED, "neither JSON nor a form"), account=fault("html"), token_calls=1),
    "endless": Failure((NOT_COMPLETED, "larger than"), account=fault("huge"), token_calls=1),
    "redirected": Failure((NOT_COMPLETED, "redirects are refused"), account=fault("redirect"), token_calls=1),
    "wordless": Failure(
        ("refused a token", "HTTP 400, without an explanation"), account=fault("empty-400"), token_calls=1
    ),
    "nothing to push to": Failure(
        (NOT_COMPLETED, "HTTP 404"), account={"endpoint": {"par": {"url": "ORIGIN/nothing"}}}
    ),
    "nobody to push to": Failure(
        (NOT_COMPLETED, "could not be reached"),
        account={"endpoint": {"par": {"url": "http://127.0.0.1:9/par"}}},
    ),
    # Pasted.
    "closed input": Failure((GIVEN_UP, "no address was pasted"), options=PASTE, typed=""),
    "empty lines": Failure((GIVEN_UP, "no address was pasted"), options=PASTE, typed="\n \n\t\n\n"),
    "garbage": Failure((NO_ANSWER, "there is no answer in it"), options=PASTE, typed="hello there\n"),
    "noise": Failure((NO_ANSWER,), options=PASTE, typed="http://[::bad]?\x1b[2J&%ff=%00&;;==\n"),
    "a long line": Failure((NO_ANSWER,), options=PASTE, typed="x" * 100_000 + "\n"),
    "another state": Failure(
        (NO_ANSWER, "another login than this one"),
        options=PASTE,
        typed="http://127.0.0.1:8765/callback?code=abc&state=wrong\n",
    ),
    "somewhere else": Failure(
        (GIVEN_UP,), account={"redirect_uri": "https://apps.example.com/back"}, typed=""
    ),
    # On another device.
    "device denied": Failure(
        ("was denied", "access_denied"), account=device(person="deny"), options=("--device",), token_calls=1
    ),
    "device too late by its own clock": Failure(
        ("nobody entered the code", "the code has ended"),
        account=device(expires="1.4"),
        options=("--device",),
        token_calls=1,
    ),
    "device too late by the server's": Failure(
        ("nobody entered the code", "the code has ended"),
        account=device(expires="0.1"),
        options=("--device",),
        token_calls=1,
    ),
    "no device endpoint": Failure(
        ("has no device authorization endpoint", "log in with a browser"),
        account={"endpoint": {"device": None, "grants": ["authorization_code"]}},
        options=("--device",),
    ),
    "device refused": Failure(
        ("does not accept the client",),
        account={"client_secret": "wrong-secret-of-mine", **device()},
        options=("--device",),
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_the_login_there_was_goes_on(call: Any, room: Room, name: str) -> None:
    """Whatever a login fails of: exit 1, one error in words, nothing secret, and the old login unharmed."""
    failure = FAILURES[name]
    before = room.begin()
    room.write(**failure.account)
    DESK.sent = failure.person(room.person)
    done = call("login", "main", *SOON, *failure.options, stdin=failure.typed)
    assert (done.code, done.out) == (1, ""), done.err
    [error] = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert done.err.splitlines()[-1] == error
    at = [error.find(word) for word in failure.words]
    assert -1 not in at, error
    assert at == sorted(at)
    for steering in ("\x1b", "\\x1b", "\\r"):  # not even as what is escaped at the last moment
        assert steering not in done.err
    assert "\x07" not in done.err
    assert room.leaks(done.err) == []
    assert "wrong-secret-of-mine" not in done.err
    for status, page in room.person.pages:
        assert status == 200
        assert "Not logged in: " in page
        assert "<b>" not in page
    assert len(room.tap.forms) == failure.token_calls
    room.goes_on(before)


@pytest.mark.parametrize("how", ["--port", "redirect_uri"])
def test_a_port_that_is_taken(call: Any, room: Room, how: str) -> None:
    """It is said which one, and nobody is sent anywhere."""
    before = room.begin()
    DESK.sent = lambda url: pytest.fail("a browser was opened")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if how == "redirect_uri":
            room.write(redirect_uri=f"http://127.0.0.1:{port}/back")
        done = call("login", "main", *SOON, *(["--port", str(port)] if how == "--port" else []))
    assert done.code == 1
    assert done.err.startswith(f"error: nothing can listen at 127.0.0.1:{port}.")
    assert done.err.endswith("or log in with --no-browser.\n")
    room.goes_on(before)


def test_a_redirect_to_another_host(call: Any, room: Room) -> None:
    """Where the browser cannot come back to this machine, the address is asked for instead."""
    DESK.sent = lambda url: pytest.fail("a browser was opened")
    room.write(redirect_uri="https://apps.example.com/back")
    done = call("login", "main", *SOON, stdin="")
    assert done.code == 1
    assert "The browser is sent to https://apps.example.com/back, which is not this machine." in done.err
    assert "redirect_uri=https%3A%2F%2Fapps.example.com%2Fback" in done.err
    assert "Copy its whole address and paste it here:" in done.err


def test_a_browser_that_fails(call: Any, room: Room) -> None:
    """One that cannot be opened is no end: the address was shown."""

    def sent(url: str) -> None:
        room.person.allows(url)
        raise OSError("no display")

    DESK.sent = sent
    assert call("login", "main", *SOON).code == 0


def test_a_page_of_words() -> None:
    """What a server or a manifest says becomes text on the page, never markup."""
    shown = pages.page("<script>a</script>", 'b" onload="c', good=False).decode()
    assert "<script" not in shown
    assert "&lt;script&gt;a&lt;/script&gt;" in shown
    assert 'b" onload' not in shown
