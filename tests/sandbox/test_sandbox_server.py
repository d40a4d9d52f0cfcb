"""The server: quick, quiet and clean; the other host; answers spoilt on purpose over a real connection."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import subprocess
import sys
import threading
import time
from email.utils import parsedate_to_datetime
from html import unescape

import httpx
import pytest
import trio

from connector.sandbox import Sandbox, create_app
from connector.sandbox.faults import schedule


@pytest.fixture(scope="module")
def served():
    """One sandbox on a real port."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def http(served):
    """A client that follows nothing."""
    with httpx.Client(base_url=served.url, timeout=10) as client:
        yield client


def bearer(sandbox: Sandbox, persona: str) -> dict[str, str]:
    return {"Authorization": "Bearer " + sandbox.authorize(persona)["access_token"]}


def test_start_and_stop_are_quick(capfd, caplog):
    """Up and down in well under a second, no thread left, no word said, and the port is free again."""
    caplog.set_level(logging.WARNING)
    begun = time.monotonic()
    with Sandbox() as sandbox:
        port = int(sandbox.url.rsplit(":", 1)[1])
        assert httpx.get(sandbox.url).status_code == 200
        threads = [thread for thread in threading.enumerate() if thread.name == "connector-sandbox"]
    assert time.monotonic() - begun < 2.0
    assert not any(thread.is_alive() for thread in threads[-1:])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_stop_gives_up_slow_answers():
    """A request that would take 20 s does not hold up the end."""
    sandbox = Sandbox()
    sandbox.start()
    arrived, ended = sandbox.counts, []

    def ask() -> None:
        ended.append(httpx.get(sandbox.url + "/strict/api/slow?seconds=20", headers=token, timeout=30))

    token = bearer(sandbox, "strict")
    asking = threading.Thread(target=ask)
    asking.start()
    while arrived["strict"].api_requests == 0 and asking.is_alive():
        arrived = sandbox.counts
    begun = time.monotonic()
    sandbox.stop()
    asking.join(5)
    assert time.monotonic() - begun < 2.0
    assert ended[0].status_code == 500


def test_taken_port_and_second_start(served):
    """A taken port is an OSError before anything runs; one object is started once at a time."""
    with pytest.raises(OSError, match="in use"):
        Sandbox(int(served.url.rsplit(":", 1)[1])).start()
    with pytest.raises(RuntimeError, match="started already"):
        served.start()
    with pytest.raises(RuntimeError, match="not been started"):
        _ = Sandbox().url


@pytest.mark.parametrize("run", [lambda program: asyncio.run(program()), trio.run], ids=["asyncio", "trio"])
def test_inside_a_running_loop(run):
    """It can be started by a program that runs an event loop of its own."""

    async def program() -> int:
        with Sandbox() as sandbox:
            async with httpx.AsyncClient() as http:
                return (await http.get(sandbox.url)).status_code

    assert run(program) == 200


def test_application_alone():
    """The factory gives the same personas without a socket, under asyncio and trio."""

    async def program() -> int:
        transport = httpx.ASGITransport(create_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox.test") as http:
            return (await http.get("/strict/api/slow")).status_code

    assert asyncio.run(program()) == trio.run(program) == 401


def test_answers_are_not_delayed(served, http):
    """Small answers do not wait for acknowledgements: 50 of them would take 2 s."""
    headers = bearer(served, "strict")
    begun = time.monotonic()
    for _ in range(50):
        http.get("/strict/api/items?limit=1", headers=headers)
    assert time.monotonic() - begun < 1.5


@pytest.mark.parametrize(
    ("path", "persona"),
    [
        ("/coupa/api/elsewhere", "coupa"),
        ("/servicenow/api/now/elsewhere", "servicenow"),
        ("/strict/api/elsewhere?status=302", "strict"),
        ("/flaky/api/items?fault=redirect", "flaky"),
    ],
)
def test_other_host(served, http, path, persona):
    """Each API redirects to another host, which keeps what it was sent and shows none of it in its repr."""
    reply = served.authorize(persona, scopes=["items.read"])
    headers = {"Authorization": "Bearer " + reply["access_token"]}
    answer = http.get(path, headers=headers)
    assert answer.is_redirect
    assert answer.headers["location"].startswith(served.foreign_url)
    httpx.post(answer.headers["location"], content=b"k=canary", headers={"Authorization": "Bearer canary"})
    seen = served.foreign_requests[-1]
    assert (seen.method, seen.headers["authorization"], seen.body) == ("POST", "Bearer canary", b"k=canary")
    assert "canary" not in repr(seen)


def test_api_faults(served, http):
    """Each fault can be forced, with both forms of Retry-After and with none."""
    headers = bearer(served, "flaky")

    def answer(fault: str) -> httpx.Response:
        return http.get("/flaky/api/items", params={"fault": fault}, headers=headers)

    assert (answer("429").status_code, answer("429").headers["retry-after"]) == (429, "1")
    assert parsedate_to_datetime(answer("429-date").headers["retry-after"]).tzinfo is not None
    assert (answer("503").status_code, answer("503").headers["retry-after"]) == (503, "1")
    assert "retry-after" not in answer("503-bare").headers
    assert answer("500").status_code == 500
    assert answer("slow").status_code == answer("none").status_code == 200
    with pytest.raises(httpx.RemoteProtocolError):
        answer("truncate")


def test_token_faults(served, http):
    """A token endpoint fails before it used the refresh token up, or after."""
    refresh_token = served.authorize("strict")["refresh_token"]

    def answer(fault: str) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "sandbox_fault": fault}
        return http.post("/strict/token", data=form, auth=("sandbox", "sandbox-secret"))

    assert answer("500").status_code == 500
    assert (answer("empty-400").status_code, answer("empty-400").content) == (400, b"")
    assert answer("redirect").headers["location"] == served.foreign_url + "/strict/token"
    assert answer("502-after").status_code == 502
    assert answer("").json()["error"] == "invalid_grant"
    refresh_token = served.authorize("strict")["refresh_token"]
    assert answer("html").headers["content-type"].startswith("text/html")
    refresh_token = served.authorize("strict")["refresh_token"]
    assert len(answer("huge").content) > 10_000_000
    refresh_token = served.authorize("strict")["refresh_token"]
    with pytest.raises(httpx.RemoteProtocolError):
        answer("truncate")
    assert answer("").json()["error"] == "invalid_grant"


def test_schedule_is_the_seeds(sandbox, wire_to):
    """The same seed spoils the same requests: one in five, and never a token call."""
    assert schedule(sandbox._state.random("flaky")) == schedule(Sandbox()._state.random("flaky"))
    plan = schedule(Sandbox(seed=8)._state.random("flaky"))
    assert len(plan) == 60
    assert all(sum(map(bool, plan[at : at + 5])) == 1 for at in range(0, 60, 5))


def test_uploads_get_their_401(served, http):
    """A large body without a good token ends in the 401, not in a reset connection."""
    reply = http.post("/strict/api/upload", content=b"x" * 5_000_000)
    assert reply.status_code == 401
    reply = http.post("/strict/api/upload", content=b"x" * 5_000_000, headers=bearer(served, "strict"))
    assert reply.json()["length"] == 5_000_000


def test_rate_limit(wire_to, clock):
    """Off by default; when on, the burst passes, the next gets a 429, and time heals it."""
    wire = wire_to(Sandbox(rate_limit=True, clock=clock))
    token = wire.sandbox.authorize("coupa", scopes=["core.supplier.read"])["access_token"]
    statuses = [wire.get("/coupa/api/suppliers/1", token).status_code for _ in range(21)]
    assert statuses == [200] * 20 + [429]
    assert wire.get("/coupa/api/suppliers/1", token).headers["retry-after"] == "1"
    clock.now += 0.1
    assert wire.get("/coupa/api/suppliers/1", token).status_code == 200
    assert wire.sandbox.counts["coupa"].limited == 2


def test_welcome(http):
    """The root says where everything is, to people and to programs."""
    shown = http.get("/").json()
    assert set(shown["personas"]) == {"coupa", "servicenow", "strict", "flaky"}
    assert shown["personas"]["coupa"]["token"] in shown["manifest"]
    page = http.get("/", headers={"Accept": "text/html"})
    assert page.text.startswith("<!doctype html>")
    assert "client_id: sandbox" in page.text


def test_welcome_tells_addresses_that_answer(http):
    """Every address on the page is served, and the example ends on it again."""
    shown = http.get("/").json()
    for parts in shown["personas"].values():
        for name, told in parts.items():
            for url in [told] if isinstance(told, str) else told:
                if name != "habits":
                    assert {http.get(url).status_code, http.post(url).status_code} & {200, 400, 401}, url
                    assert http.get(url).status_code != 404, url
    page = http.get("/", headers={"Accept": "text/html"}).text
    example = http.get(unescape(re.search('href="([^"]*)"', page)[1]))
    assert (example.status_code, "offline_access" in example.text) == (200, True)


def test_welcome_manifest_is_good(http, tmp_path):
    """What one pastes passes `connector check`."""
    (tmp_path / "manifest.yaml").write_text(http.get("/").json()["manifest"], "utf-8")
    command = [sys.executable, "-m", "connector", "check"]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "5 accounts" in checked.stdout + checked.stderr


def test_nothing_is_printed(served):
    """No repr shows a token."""
    reply = served.authorize("strict")
    httpx.post(
        served.url + "/strict/token", data={"refresh_token": reply["refresh_token"], "grant_type": "x"}
    )
    assert reply["refresh_token"] not in repr(served) + repr(served.counts)
