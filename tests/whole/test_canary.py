"""The canary: every flow at DEBUG, and no secret in logs, reprs, errors, frames, pickles, files or argv."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import anyio
import httpx
import pytest
from canary import Canaries, texts_of_error
from canary_rig import CLIENT_ID, Rig
from plain_server import Answer, Asked

import connector
from connector import ConnectorError
from connector.hookspecs import hookimpl
from connector.snap import Snap
from connector.store import MemoryStore


def test_the_search_finds_what_is_there() -> None:
    """A canary is recognised whole, encoded, cut short, in a frame's variable, in a cause."""
    canaries = Canaries(CLIENT_ID)
    text = canaries.new("secret", length=20, odd=True)
    import base64

    basic = base64.b64encode(f"{CLIENT_ID}:{text}".encode()).decode()
    for leak in (text, quote_plus(text), json.dumps({"a": text}), basic, f"x{text[:12]}…", text.encode()):
        assert canaries.found_in(leak) == {"secret"}
    assert canaries.found_in("nothing here") == set()
    try:
        try:
            json.loads("{" + text)
        except ValueError as error:
            raise RuntimeError("hidden") from error
    except RuntimeError as error:
        places = {where for where, shown in texts_of_error(error) if canaries.found_in(shown)}
    assert "locals" in places


def test_obtain_renew_reject(rig: Rig) -> None:
    """The good days: adopt, obtain, renew, a refused token; sync, asyncio, trio; Basic and post."""
    rig.server.token, rig.server.api = rig.grants, rig.guarded
    host = rig.signed_in()
    rig.get(host)
    rig.current = "something else"  # the API forgets our token: 401, renewal, replay
    rig.get(host)
    rig.attempt(lambda: host.renew("main"))
    rig.attempt(lambda: anyio.run(host.atoken, "main"))
    for auth in ("client_secret_basic", "client_secret_post"):
        own = rig.open(grant="client_credentials", client_auth=auth)
        rig.get(own)
        rig.attempt(lambda own=own: own.renew("main"))
    assert rig.errors == []
    assert rig.verdict() == []


def test_a_token_in_the_query(rig: Rig) -> None:
    """Where the token travels in the URL: no log line, error or frame shows that URL."""
    rig.server.token, rig.server.api = rig.grants, rig.guarded
    endpoint = {
        "authorize": {"url": rig.server.url + "/authorize"},
        "token": {"url": rig.server.url + "/token"},
        "grants": ["authorization_code"],
        "api": {"base_url": rig.server.url + "/api", "token": {"in": "query", "name": "access_token"}},
    }
    del rig.account["oauth2_token"], rig.account["api"]
    host = rig.signed_in(oauth2_endpoint=endpoint)
    rig.get(host)
    assert rig.errors == []
    for cut in (-1, 3):
        rig.server.api = lambda asked, cut=cut: Answer(body={"ok": True, "pad": "x" * 100}, cut=cut)
        rig.get(host)
    assert all(issubclass(kind, httpx.TransportError) for kind in rig.failures())
    assert len(rig.errors) == 6
    assert rig.verdict() == []


def test_the_api_breaks_off(rig: Rig) -> None:
    """No answer, half an answer, a server that is gone: the error's frames show no Authorization header."""
    rig.server.token = rig.grants
    host = rig.signed_in()
    for cut in (-1, 3):
        rig.server.api = lambda asked, cut=cut: Answer(body={"ok": True, "pad": "x" * 100}, cut=cut)
        rig.get(host)
    assert len(rig.errors) == 6
    rig.get(host, "http://127.0.0.1:9/closed")
    assert rig.verdict() == []


@pytest.mark.parametrize("where", ["header", "query"])
def test_a_cancelled_request(rig: Rig, where: str) -> None:
    """A deadline or a cancellation in the middle of a request shows no header in its frames either."""
    reached, leave = threading.Event(), threading.Event()

    def hangs(asked: Asked) -> Answer:
        reached.set()
        leave.wait(10)
        return Answer(cut=-1)

    rig.server.token, rig.server.api = rig.grants, hangs
    more: dict[str, Any] = {}
    if where == "query":
        api = {"base_url": rig.server.url + "/api", "token": {"in": "query", "name": "key"}}
        token, authorize = {"url": rig.server.url + "/token"}, {"url": rig.server.url + "/authorize"}
        more["oauth2_endpoint"] = {"token": token, "authorize": authorize, "api": api}
        del rig.account["oauth2_token"], rig.account["api"]
    host = rig.signed_in(**more)

    async def cancelled() -> None:
        async with host.async_client("main") as http:
            task = asyncio.ensure_future(http.get("/slow"))
            await asyncio.to_thread(reached.wait, 10)
            task.cancel()
            await task

    async def too_long() -> None:
        async with host.async_client("main") as http:
            await asyncio.wait_for(http.get("/slow"), 0.2)

    async def in_trio() -> None:
        async with host.async_client("main") as http:
            with anyio.fail_after(0.2):
                await http.get("/slow")

    try:
        rig.attempt(lambda: asyncio.run(cancelled()), asyncio.CancelledError)
        rig.attempt(lambda: asyncio.run(too_long()))
        rig.attempt(lambda: anyio.run(in_trio, backend="trio"))
        with host.client("main", timeout=0.2) as http:
            rig.attempt(lambda: http.get("/slow"))
    finally:
        leave.set()
    assert len(rig.errors) == 4
    assert rig.verdict() == []


def said(rig: Rig, asked: Asked) -> str:
    """Everything the request held, as a careless server would repeat it."""
    form = asked.form
    words = [os.environ["CANARY"], form.get("refresh_token", ""), asked.headers.get("authorization", "")]
    return "refused: " + " ".join(words) + " body " + asked.body.decode()


REFUSALS: dict[str, Callable[[Rig, Asked], Answer]] = {
    "invalid_grant": lambda rig, asked: Answer(status=400, body={"error": "invalid_grant"}),
    "invalid_client": lambda rig, asked: Answer(status=401, body={"error": "invalid_client"}),
    "invalid_scope": lambda rig, asked: Answer(status=400, body={"error": "invalid_scope"}),
    "later": lambda rig, asked: Answer(status=503, headers={"retry-after": "9"}),
    "echo 400": lambda rig, asked: Answer(
        status=400, body={"error": "invalid_grant", "error_description": said(rig, asked)}
    ),
    "echo 401": lambda rig, asked: Answer(
        status=401, body={"error": "invalid_client", "error_description": said(rig, asked)}
    ),
    "echo 500": lambda rig, asked: Answer(
        status=500, body={"error": said(rig, asked), "error_description": said(rig, asked)}
    ),
    "echo in a header": lambda rig, asked: Answer(
        status=401, headers={"www-authenticate": f'Bearer error="{asked.form.get("refresh_token", "x")}"'}
    ),
    "echo as text": lambda rig, asked: Answer(status=400, body=said(rig, asked).encode()),
    "redirect": lambda rig, asked: Answer(
        status=307, headers={"location": rig.server.url + "/api/else?t=" + quote_plus(asked.body.decode())}
    ),
    "html": lambda rig, asked: Answer(body=f"<p>{said(rig, asked)}".encode()),
    "broken JSON": lambda rig, asked: Answer(body=json.dumps(rig.login(60)).encode()[:-1]),
    "dpop": lambda rig, asked: Answer(body={**rig.login(60), "token_type": "DPoP"}),
    "token with a space": lambda rig, asked: Answer(
        body={**rig.login(60), "access_token": rig.login()["access_token"] + " \x7f"}
    ),
    "token under another name": lambda rig, asked: Answer(body={"token": rig.login()["access_token"]}),
    "cut off": lambda rig, asked: Answer(body=rig.login(60), cut=20),
    "no answer": lambda rig, asked: Answer(cut=-1),
    "huge": lambda rig, asked: Answer(body={**rig.login(60), "pad": "x" * (2 << 20)}),
    "strange expiry": lambda rig, asked: Answer(
        body={**rig.login(60), "expires_in": rig.login()["access_token"], "scope": ["a", 1]}
    ),
    "error in 200": lambda rig, asked: Answer(body={"error": "x", "error_description": said(rig, asked)}),
}


@pytest.mark.parametrize("how", REFUSALS)
def test_the_token_endpoint_says_no(rig: Rig, how: str) -> None:
    """Refusals, echoes of all we sent, replies that are none: errors say what happened, never a secret."""
    rig.server.token = lambda asked: REFUSALS[how](rig, asked)
    rig.server.api = rig.guarded
    for auth in ("client_secret_post", "client_secret_basic"):
        host = rig.signed_in(client_auth=auth)
        rig.get(host)
        rig.attempt(lambda host=host: host.renew("main"))
        rig.attempt(lambda host=host: anyio.run(host.atoken, "main"))
    own = rig.open(grant="client_credentials", client_auth="client_secret_basic")
    rig.attempt(lambda: own.token("main"))
    assert all(issubclass(kind, ConnectorError) for kind in rig.failures())
    assert rig.errors or how == "strange expiry"
    assert rig.verdict() == []


def test_the_token_endpoint_is_gone(rig: Rig) -> None:
    """Nobody listens at the token URL."""
    host = rig.signed_in(
        oauth2_token="http://127.0.0.1:9/token", oauth2_endpoint="http://127.0.0.1:9/authorize"
    )
    rig.get(host)
    rig.attempt(lambda: host.renew("main"))
    assert len(rig.errors) == 4
    assert rig.verdict() == []


def test_adopting_what_is_no_token_reply(rig: Rig) -> None:
    """What a person pastes by mistake is not repeated."""
    host = rig.open()
    good = rig.login()
    wrong: list[Any] = [
        {**good, "access_token": good["access_token"] + "\n"},
        {**good, "refresh_token": [good["refresh_token"]]},
        {**good, "expires_in": good["access_token"]},
        {**good, "expires_at": good["access_token"]},
        {**good, "token_type": "DPoP"},
        {"token": good["access_token"]},
        good["access_token"],
        [good],
        {},
    ]
    for reply in wrong:
        rig.attempt(lambda reply=reply: host.adopt("main", reply))
    assert len(rig.errors) >= 8
    assert rig.verdict(frames=False) == []


def test_frames_of_a_failed_adoption(rig: Rig) -> None:
    """An error of `adopt` that a crash reporter gets shows no variable with the reply in it."""
    host = rig.open()
    rig.attempt(lambda: host.adopt("main", {**rig.login(), "expires_in": "soon"}))
    assert rig.verdict() == []


def test_frames_of_a_bad_key(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error about the key shows no variable with the environment, and so every secret, in it."""
    monkeypatch.setenv("CONNECTOR_KEY", "this is no key")
    host = rig.open()
    rig.attempt(lambda: host.adopt("main", {"access_token": "x"}))
    assert len(rig.errors) == 1
    assert rig.verdict() == []


def test_secrets_in_the_wrong_place(rig: Rig) -> None:
    """A literal secret, a broken file around it, a password in a store URL: refused, never repeated."""
    secret = os.environ["CANARY"]
    plain = rig.canaries.new("client secret", length=rig.size)
    outside = {
        "oauth2_endpoint": "https://login.example.com/authorize",
        "oauth2_token": "https://login.example.com/token",
    }
    del rig.account["api"]
    for literal in (secret, plain):
        rig.attempt(lambda literal=literal: rig.open(client_secret=literal, **outside), ConnectorError)
        rig.attempt(
            lambda literal=literal: rig.open(
                oauth2_endpoint=outside["oauth2_endpoint"], oauth2_token=literal
            ),
            ConnectorError,
        )
    path = rig.folder / "broken.yaml"
    texts = [
        f"version: 1\naccounts:\n  main:\n    client_secret: {plain}: {plain}\n",
        f"version: 1\naccounts:\n  main:\n    client_secret: '{plain}\n",
        f"version: 1\naccounts:\n  main: {{client_secret: {plain}, client_secret: {plain}}}\n",
        f"version: 1\naccounts:\n  main: {{client_secret: [{plain}]}}\n",
    ]
    for text in texts:
        path.write_text(text)
        rig.attempt(lambda: connector.open(path), ConnectorError)
        path.unlink()
    password = rig.canaries.new("store password", length=rig.size)

    class Fails:
        @hookimpl
        def connector_stores(self) -> Any:
            def opener(url: str, folder: Path) -> Any:
                raise RuntimeError(f"cannot reach {url}")

            return {"failing": opener, "works": lambda url, folder: MemoryStore()}

    for url in ("nobody", "failing", "works"):
        rig.attempt(
            lambda url=url: rig.open(
                client_secret="${env:CANARY}",
                store=f"{url}://user:{password}@localhost/db",
                plugins=[Fails()],
            )
        )
    (rig.folder / "manifest.yaml").unlink()  # holds what a person wrote into it
    assert len(rig.errors) == 10
    # Whoever reads such a text has it in a variable; what is shown of the error has not.
    assert rig.verdict(frames=False) == []


def test_plugins_that_fail(rig: Rig) -> None:
    """A secret source that fails while it holds the secret becomes an error of ours, without that."""
    rig.server.token, rig.server.api = rig.grants, rig.guarded

    class Source:
        @hookimpl
        def connector_secret_sources(self) -> Any:
            def source(ref: str, folder: Path) -> str:
                found = os.environ["CANARY"]
                raise {"lookup": LookupError, "os": OSError, "key": RuntimeError}[ref](
                    f"no {ref} " + found[:0]
                )

            return {"safe": source}

    for ref in ("lookup", "os", "key"):
        host = rig.signed_in(plugins=[Source()], client_secret=f"${{safe:{ref}}}")
        rig.attempt(lambda host=host: host.token("main"))
    kinds = [connector.SecretMissingError, connector.SecretMissingError, connector.PluginError]
    assert rig.failures() == kinds
    assert rig.verdict() == []


def test_pipelines(rig: Rig) -> None:
    """Runs that go well, that collect errors, that stop: results, error views and files hold no secret."""
    rig.server.token = rig.grants

    def api(asked: Asked) -> Answer:
        if rig.guarded(asked).status != 200:
            return rig.guarded(asked)
        if "/list" in asked.path:
            return Answer(body={"items": [{"id": n} for n in range(20)]})
        return Answer(status=422 if b"3" in asked.body else 200, body={"error": "no threes"})

    rig.server.api = api

    def failing(documents: Any, context: Any) -> Any:
        for document in documents:
            if document["id"] == 5:
                context.fail(document, ValueError("five"))
            yield {**document, "client": repr(context.client), "headers": repr(context.client.headers)}

    class Plugin:
        @hookimpl
        def connector_snaps(self) -> Any:
            return [Snap(name="test.failing", run=failing, account="optional", summary="Fails at five.")]

    steps = [
        {"snap": "http.read", "account": "main", "with": {"path": "/list", "records": "items"}},
        {"snap": "test.failing", "account": "main"},
        {"snap": "http.write", "account": "main", "with": {"path": "/thing"}},
        {"snap": "file.write", "with": {"path": "out/things.jsonl"}},
    ]
    pipelines = {
        "collects": {"snaps": steps, "on_error": "collect", "errors": "out/errors.jsonl"},
        "stops": {"snaps": steps, "on_error": "stop"},
    }
    host = rig.signed_in(pipelines=pipelines, plugins=[Plugin()])
    for name in pipelines:
        rig.attempt(lambda name=name: host.run(name, progress=rig.shown.append))
    assert (rig.folder / "out/errors.jsonl").stat().st_size > 0
    rig.attempt(lambda: host.run("collects", preview=3))
    assert [type(error).__name__ for error in rig.errors] == ["StepError"]
    rig.server.token = lambda asked: REFUSALS["echo 400"](rig, asked)
    rig.current = "something else"
    rig.attempt(lambda: host.run("collects"))
    assert rig.verdict() == []


def test_the_command_line(rig: Rig) -> None:
    """Every command with -vv: only `token` prints a secret; nothing stands in a process list or a file."""
    rig.server.token, rig.server.api = rig.grants, rig.guarded
    steps = [{"snap": "http.read", "account": "main", "with": {"path": "/list"}}]
    rig.manifest(
        pipelines={"reads": {"snaps": [*steps, {"snap": "file.write", "with": {"path": "out/x.jsonl"}}]}}
    )
    environment = {**os.environ, "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring", "COLUMNS": "200"}

    def command(*words: str, stdin: str = "") -> tuple[int, str, str]:
        done = subprocess.Popen(
            [sys.executable, "-m", "connector", "-vv", *words],
            cwd=rig.folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with contextlib.suppress(OSError):  # no /proc here, or it has ended
            assert not rig.canaries.found_in(Path(f"/proc/{done.pid}/cmdline").read_bytes())
        out, err = done.communicate(stdin, timeout=30)
        return done.returncode, out, err

    adopted = command("adopt", "main", stdin=json.dumps(rig.login(0)))
    misread = command("adopt", "main", stdin=rig.login(0)["access_token"])
    told = command("token", "main", "--json")
    assert told[0] == 0, told[2]
    assert json.loads(told[1])["access_token"] == rig.current
    ran = command("run")
    refreshed = command("refresh", "main")
    listed = command("accounts", "--json")
    checked = command("check", "--secrets")
    rig.server.token = lambda asked: REFUSALS["echo 400"](rig, asked)
    refused = command("refresh", "main")
    last = command("run", "--json")
    codes = [done[0] for done in (adopted, misread, told, ran, refreshed, listed, checked, refused, last)]
    # The last run goes on with the access token, which outlives the refused refresh token.
    assert codes == [0, 1, 0, 0, 0, 0, 0, 4, 0], refused[2] + last[2]
    rig.printed += [told[2]]
    for done in (adopted, misread, ran, refreshed, listed, checked, refused, last):
        rig.printed += done[1:]
    assert rig.verdict() == []
