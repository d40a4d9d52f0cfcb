"""`connector login` as it goes well: in a browser, on a device, with nobody, and with a stronger proof."""

from __future__ import annotations

import re
import shlex
import socket
import threading
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
from login_room import DESK, SOON, Room, asked_in, fetch
from ports import port_ahead

from connector import NotAuthorizedError


def works(room: Room) -> bool:
    """Whether the account is logged in, renews, and gets data."""
    with room.open() as host, host.client("main") as http:
        before = host.token("main").fingerprint
        first = http.get("/api/items").status_code
        return host.renew("main").fingerprint != before and first == http.get("/api/items").status_code == 200


def test_in_a_browser(call: Any, room: Room) -> None:
    """The address is shown and opened, the browser comes back, and both sides say so."""
    urls: list[str] = []
    DESK.sent = lambda url: (urls.append(url), room.person.allows(url))
    done = call("login", "main", *SOON)
    assert (done.code, done.out) == (0, "")
    assert urls[0] in done.err.splitlines()[2], "in one line, to be clicked or copied"
    assert done.err.splitlines()[-1].startswith("Account main is logged in, with token ")
    assert "ends in 5 min." in done.err
    [(status, page)] = room.person.pages
    assert status == 200
    assert "You are logged in to main" in page
    asked = asked_in(urls[0])
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert len(asked["state"]) >= 32
    back = urlsplit(asked["redirect_uri"])
    assert (back.scheme, back.hostname, back.path) == ("http", "127.0.0.1", "/callback")
    assert room.leaks(done.err) == []
    assert works(room)


def test_what_comes_in_between(call: Any, room: Room) -> None:
    """An icon, other paths, a wrong state, another method, an idle connection: the login goes on."""
    seen: list[tuple[str, int]] = []
    idle: list[socket.socket] = []

    def sent(url: str) -> None:
        back = asked_in(url)["redirect_uri"]
        host = urlsplit(back).netloc
        # Browsers open connections ahead that they never use.
        idle.extend(socket.create_connection(("127.0.0.1", urlsplit(back).port or 0)) for _ in range(3))
        state = asked_in(url)["state"]
        paths = ("/favicon.ico", "/", "/callback/more?state=" + state, "/" + "x" * 20_000)
        seen.extend((path[:12], fetch(f"http://{host}{path}").status_code) for path in paths)
        queries = ("", "?code=abc&state=wrong", "?error=access_denied", f"?state={state}x&code=abc")
        seen.extend((query[:12], fetch(back + query).status_code) for query in queries)
        seen.append(("POST", httpx.post(f"{back}?code=abc&state={state}", trust_env=False).status_code))
        room.person.allows(url)

    DESK.sent = sent
    done = call("login", "main", *SOON)
    assert done.code == 0, done.err
    assert [status for _, status in seen] == [404] * 4 + [400] * 5, seen
    assert room.person.pages[-1][0] == 200
    assert [form["grant_type"] for form in room.tap.forms] == ["authorization_code"]
    for connection in idle:
        connection.close()
    assert works(room)


def test_a_second_callback(call: Any, room: Room) -> None:
    """While the first answer is being redeemed a second one is told so, and its code goes nowhere."""
    room.tap.opened.clear()

    def sent(url: str) -> None:
        location = room.person.consents(url)
        first = threading.Thread(target=room.person.comes_back, args=(location,))
        first.start()
        assert room.tap.arrived.wait(10)
        room.person.comes_back(location)
        room.tap.opened.set()
        first.join(10)

    DESK.sent = sent
    done = call("login", "main", *SOON)
    assert done.code == 0, done.err
    second, first = room.person.pages
    assert second[0] == 400
    assert "This login has been answered already" in second[1]
    assert first[0] == 200
    assert len(room.tap.forms) == 1


def test_a_port_of_ones_own(call: Any, room: Room) -> None:
    """--port, or a redirect URI that a server compares to the letter."""
    urls: list[str] = []
    DESK.sent = lambda url: (urls.append(url), room.person.allows(url))
    one, other = port_ahead(), port_ahead()
    assert call("login", "main", *SOON, "--port", str(one)).code == 0
    room.write(redirect_uri=f"http://localhost:{other}/back/here")
    assert call("login", "main", *SOON).code == 0
    assert [asked_in(url)["redirect_uri"] for url in urls] == [
        f"http://127.0.0.1:{one}/callback",
        f"http://localhost:{other}/back/here",
    ]
    assert works(room)


def test_both_addresses_of_localhost(call: Any, room: Room) -> None:
    """A browser may take either address for the name, and finds the same page at both."""
    port = port_ahead()
    try:
        socket.create_server(("::1", port), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no ::1")
    room.write(redirect_uri=f"http://localhost:{port}/callback")

    def sent(url: str) -> None:
        for address in ("127.0.0.1", "[::1]"):
            room.person.comes_back(f"http://{address}:{port}/callback?code=abc&state=wrong")
        room.person.comes_back(room.person.consents(url).replace("localhost", "[::1]"))

    DESK.sent = sent
    assert call("login", "main", *SOON).code == 0
    assert [status for status, _ in room.person.pages] == [400, 400, 200]


def test_parameters(call: Any, room: Room) -> None:
    """--param, --acr-values and --max-age reach the server, once each; nonsense is wrong usage."""
    urls: list[str] = []
    DESK.sent = lambda url: (urls.append(url), room.person.allows(url))
    room.write(auth_endpoint_config={"prompt": "consent", "login_hint": "bob"})
    options = ("-p", "login_hint=ada=1", "--acr-values", "a b", "--max-age", "0")
    assert call("login", "main", *SOON, *options).code == 0
    asked = asked_in(urls[0])
    assert (asked["prompt"], asked["login_hint"]) == ("consent", "ada=1")
    assert (asked["acr_values"], asked["max_age"]) == ("a b", "0")
    assert urls[0].count("login_hint=") == 1
    for wrong in (("-p", "hint"), ("-p", "=x"), ("--timeout", "0"), ("--port", "70000"), ("--max-age", "-1")):
        assert call("login", "main", *SOON, *wrong).code == 2
    assert call("login", "nobody").code == 2
    assert len(urls) == 1


def test_pushed_first(call: Any, room: Room) -> None:
    """With pushed requests the address holds nothing but a name for them (RFC 9126)."""
    urls: list[str] = []
    DESK.sent = lambda url: (urls.append(url), room.person.comes_back(room.person.consents(url)))
    room.write(endpoint={"par": {"url": f"{room.sandbox.url}/strict/par"}})
    done = call("login", "main", *SOON)
    assert done.code == 0, done.err
    assert set(asked_in(urls[0])) == {"client_id", "request_uri"}
    assert room.leaks(done.err) == []
    assert works(room)


def test_on_a_device(call: Any, room: Room) -> None:
    """A code and an address for any other device; nothing is opened here."""
    DESK.sent = lambda url: pytest.fail("a browser was opened")
    room.write(endpoint={"device": {"params": {"sandbox_person": "allow", "sandbox_interval": "0"}}})
    done = call("login", "main", *SOON, "--device")
    assert (done.code, done.out) == (0, ""), done.err
    assert f"{room.sandbox.url}/strict/activate" in done.err
    assert re.search(r"\n    [A-Z]{4}-[A-Z]{4}\n\nWaiting for \d+ s at most \.\.\.\n", done.err)
    assert "Account main is logged in" in done.err
    assert room.leaks(done.err) == []
    assert works(room)


def test_with_nobody(call: Any, room: Room) -> None:
    """An account that needs no person signs in by itself; ways of asking one are wrong usage there."""
    DESK.sent = lambda url: pytest.fail("a browser was opened")
    done = call("login", "machine")
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("Account machine signs in by itself (client_credentials).\n")
    for option in ("--device", "--no-browser"):
        refused = call("login", "machine", option)
        assert refused.code == 2
        assert "signs in by itself" in refused.err


def test_without_a_refresh_token(call: Any, room: Room) -> None:
    """Where the server gives none, it is said what that means."""
    room.write(endpoint={"response": {"refresh_token": "/none"}})
    done = call("login", "main", *SOON)
    assert done.code == 0
    assert "warning: the server gave no refresh token, so you will have to log in again then" in done.err
    assert "offline_access" in done.err


@pytest.mark.parametrize("way", ["sync", "asyncio", "trio"])
def test_a_stronger_login(call: Any, room: Room, way: str) -> None:
    """An API that wants a stronger login is an error with the very command that helps (RFC 9470)."""
    assert call("login", "main", *SOON).code == 0

    def get() -> httpx.Response:
        with room.open() as host:
            if way == "sync":
                with host.client("main") as http:
                    return http.get("/api/secure")

            async def ask() -> httpx.Response:
                async with host.async_client("main") as http:
                    return await http.get("/api/secure")

            return anyio.run(ask, backend=way)

    with pytest.raises(NotAuthorizedError) as caught:
        get()
    assert caught.value.code == "step_up_required"
    assert len(room.tap.forms) == 1, "no renewal helps, and none is tried"
    command = shlex.split(caught.value.resolution.partition("`")[2].rstrip("`"))
    assert command[0] == "connector"
    assert call(*command[1:]).code == 0
    assert get().json()["acr"] == "urn:sandbox:two-factors"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (("-p", "state=x"), "state is set by connector"),
        (("-p", "client_id=x"), "client_id is set by connector"),
        (("-p", "nothing"), "is not NAME=VALUE"),
        (("--device", "--no-browser"), "two ways"),
    ],
)
def test_what_cannot_be_asked_for(call: Any, room: Room, wrong: tuple[str, ...], words: str) -> None:
    """Parameters that are connector's own, and ways that exclude each other, are wrong usage; nothing is opened."""
    done = call("login", "main", *wrong)
    assert done.code == 2
    assert words in done.err


def test_the_device_is_not_waited_for_longer_than_asked(call: Any, room: Room) -> None:
    """--timeout ends a device login too, in one sentence."""
    done = call("login", "main", "--device", "--timeout", "0.5")
    assert done.code == 1
    assert "nobody entered the code for account 'main' in time" in done.err
