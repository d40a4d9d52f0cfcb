"""`connector plugin new`: what it writes is right as it stands, and nothing is written over."""

from __future__ import annotations

import ast
import json
import socket
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connector.endpointfile import build, load
from connector.registry import collect
from connector.sandbox.serving import Listening


def test_one_file(call: Any, folder: Path) -> None:
    """It can be checked as it is, says what comes next, and its first line is for editors."""
    told = call("plugin", "new", "acme")
    assert told.code == 0
    assert "connector plugin check acme.yaml" in told.err
    assert call("check", "acme.yaml").code == 0
    assert call("plugin", "check", "acme.yaml").code == 0
    text = (folder / "acme.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=.connector/schema.json\n")
    [raw] = load(folder / "acme.yaml")
    built, problems = build([raw])
    assert problems == []
    assert built["acme"].token.url == ("https://{host}/oauth/token",)


def test_what_its_comments_offer_is_right(call: Any, folder: Path) -> None:
    """Each key that stands there as a comment may be taken as it is."""
    call("plugin", "new", "acme")
    lines = (folder / "acme.yaml").read_text().splitlines()
    begin = lines.index("schema: 1")
    keys = ("params", "body", "offline", "revoke", "response", "hosts", "headers", "test")
    offered = [line.replace("# ", "", 1) for line in lines[begin:] if line.lstrip("# ").startswith(keys)]
    assert len(offered) == len(keys)
    taken = "\n".join(
        line.replace("# ", "", 1) if line.lstrip("# ").startswith(keys) else line for line in lines[begin:]
    )
    (folder / "taken.yaml").write_text(taken)
    assert call("check", "taken.yaml").code == 0, taken


def test_a_distribution(call: Any, folder: Path) -> None:
    """Entry point, package data, hooks and a test, each naming what is there."""
    told = call("plugin", "new", "acme.eu-west", "--package", "--dir", "made")
    assert told.code == 0
    made = folder / "made" / "connector-acme-eu-west"
    files = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    package = "src/connector_acme_eu_west"
    assert files == {
        "pyproject.toml",
        "README.md",
        f"{package}/__init__.py",
        f"{package}/hooks.py",
        f"{package}/acme.eu-west.yaml",
        "tests/test_connector_acme_eu_west.py",
    }
    project = tomllib.loads((made / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["connector"] == {"acme.eu-west": "connector_acme_eu_west"}
    for path in made.rglob("*.py"):
        ast.parse(path.read_text())
    assert "<" not in "".join(
        path.read_text() for path in made.rglob("*.*") if path.suffix in (".toml", ".md")
    )
    found = collect([made / package / "__init__.py"])
    assert found.problems == []
    assert "acme.eu-west" in found.endpoints
    assert str(made.name) in told.err


def test_its_hooks_can_be_switched_on(call: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line of the endpoint file that names them is right, and the class is one."""
    call("plugin", "new", "acme.on", "--package")
    source = folder / "connector-acme-on" / "src"
    file = source / "connector_acme_on" / "acme.on.yaml"
    text = file.read_text()
    assert "\n# plugin: connector_acme_on.hooks:AcmeOnHooks\n" in text
    file.write_text(text.replace("# plugin:", "plugin:"))
    monkeypatch.syspath_prepend(source)
    assert call("check", str(file)).code == 0


@pytest.mark.parametrize(
    ("name", "near"), [("Acme", "acme"), ("Acme Inc.", "acme-inc"), ("a/b", "a-b"), ("../x", "x"), ("", "")]
)
def test_names_are_checked(call: Any, folder: Path, name: str, near: str) -> None:
    """A name that no account could say is refused, with one that is like it."""
    before = sorted(folder.rglob("*"))
    told = call("plugin", "new", name)
    assert told.code == 2
    assert (f"for example {near}" in told.err) is bool(near)
    assert sorted(folder.rglob("*")) == before


def test_names_that_are_taken(call: Any) -> None:
    """Whose the other one is, and what to do."""
    told = call("plugin", "new", "coupa")
    assert told.code == 1
    assert "connector.plugins.endpoints" in told.err
    assert "extends: coupa" in told.err


@pytest.mark.parametrize("options", [(), ("--package",)], ids=["file", "distribution"])
def test_nothing_is_written_over(call: Any, folder: Path, options: tuple[str, ...]) -> None:
    """A second time it stays as it is, edited or not; so does what a link of that name leads to."""
    assert call("plugin", "new", "acme", *options).code == 0
    kept = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    told = call("plugin", "new", "acme", *options)
    assert told.code == 1
    assert "stays as it is" in told.err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == kept
    (folder / "other.yaml").symlink_to(folder / "elsewhere")
    assert call("plugin", "new", "other").code == 1
    assert not (folder / "elsewhere").exists()


METADATA: dict[str, Any] = {
    "issuer": "https://login.example.com",
    "authorization_endpoint": "https://login.example.com/authorize",
    "token_endpoint": "https://login.example.com/token",
    "pushed_authorization_request_endpoint": "https://login.example.com/par",
    "revocation_endpoint": "http://elsewhere.example.com/revoke",
    "grant_types_supported": ["refresh_token", "client_credentials", "authorization_code", "implicit"],
    "scopes_supported": ["read", 'a"b', "two\nlines", 5],
    "token_endpoint_auth_methods_supported": ["odd", "client_secret_post"],
}


@pytest.fixture
def told_by() -> Iterator[Any]:
    """``told_by(metadata)``: the URL of a server that describes itself so."""
    running: list[Listening] = []

    def begin(metadata: Any) -> str:
        async def answer(request: Request) -> Response:
            return JSONResponse(metadata, status_code=404 if metadata is None else 200)

        listener = socket.create_server(("127.0.0.1", 0))
        path = "/.well-known/oauth-authorization-server"
        running.append(Listening([(listener, Starlette(routes=[Route(path, answer)]))]))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield begin
    for listening in running:
        listening.close()


def test_a_server_that_describes_itself(call: Any, folder: Path, told_by: Any) -> None:
    """URLs, grants, client authentication and scopes come from it; what is odd or unsafe is left out."""
    assert call("plugin", "new", "acme", "--from-discovery", told_by(METADATA)).code == 0
    assert call("check", "acme.yaml").code == 0
    said = yaml.safe_load((folder / "acme.yaml").read_text())
    assert said["authorize"] == {"url": "https://login.example.com/authorize"}
    assert said["token"] == {"url": "https://login.example.com/token", "auth": "client_secret_post"}
    assert said["grants"] == ["authorization_code", "client_credentials"]
    assert said["scopes"] == {"known": {"read": "", 'a"b': ""}}
    assert "revoke" not in said
    assert "par" not in said


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (None, "does not describe itself"),
        ([], "does not describe itself"),
        ({**METADATA, "token_endpoint": "ftp://x"}, "names no token URL"),
    ],
)
def test_a_server_that_does_not(call: Any, folder: Path, told_by: Any, metadata: Any, words: str) -> None:
    """Nothing is written, and it says what to do instead."""
    told = call("plugin", "new", "acme", "--from-discovery", told_by(metadata))
    assert told.code == 1
    assert words in told.err
    assert "leave --from-discovery out" in told.err
    assert not (folder / "acme.yaml").exists()


def test_words_of_a_server_stay_texts(call: Any, folder: Path, told_by: Any) -> None:
    """Neither YAML nor a template comes in by a server's metadata."""
    url = "https://login.example.com/{client_id}/token"
    evil = {**METADATA, "issuer": 'https://x.example/"}\nplugin: a:B', "token_endpoint": url}
    assert call("plugin", "new", "acme", "--from-discovery", told_by(evil)).code == 0
    said = yaml.safe_load((folder / "acme.yaml").read_text())
    assert "plugin" not in said
    assert json.dumps(said["token"]["url"]) == '"https://login.example.com/{{client_id}}/token"'
