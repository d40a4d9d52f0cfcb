"""References in ``store:``: followed like any other, and what they lead to is shown nowhere."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

import connector
from connector import storeurl
from connector.errors import ConnectorError, ManifestError, SecretMissingError
from connector.manifest import loads
from connector.opening import Opening, open_manifest
from connector.resolve import resolve_with

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a manifest with this store."""

    def made(store: str) -> Path:
        path = tmp_path / "manifest.yaml"
        path.write_text(f"version: 1\nstore: {store}\n")
        return path

    return made


def opened(path: Path) -> Opening:
    """A manifest that is right as far as it goes."""
    opening = open_manifest(path)
    assert opening.everything_wrong() == []
    return opening


def test_all_of_it(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole URL from the environment, or from a file; relative paths are relative to the manifest."""
    monkeypatch.setenv("TOKEN_STORE", "sqlite:///elsewhere.db")
    assert opened(write("${env:TOKEN_STORE}")).store_url() == "sqlite:///elsewhere.db"
    path = write("${file:where}")
    path.with_name("where").write_text("memory://\n")
    assert opened(path).store_url() == "memory://"
    with connector.open(path) as host:
        assert host.accounts == {}


@given(password=st.text(min_size=1).filter(str.strip), user=st.text(min_size=1))
def test_a_user_and_a_password(password: str, user: str) -> None:
    """Whatever they are, they arrive as they are and change nothing else of the URL."""
    url = "redis://${env:USER}:${file:/run/secrets/p@ss}@host:6379/0?prefix=x"
    loaded = loads(f"version: 1\nstore: {url}\n")
    sources = {"env": lambda ref, folder: user, "file": lambda ref, folder: password}
    try:
        found = storeurl.filled(loaded.document, loaded.store, resolve_with(sources, Path()))
    except SecretMissingError:
        assert any("\ud800" <= c <= "\udfff" for c in user + password)
        return
    parts = urlsplit(found)
    assert (unquote(parts.username or ""), unquote(parts.password or "")) == (user, password)
    assert (parts.hostname, parts.port, parts.path, parts.query) == ("host", 6379, "/0", "prefix=x")


@pytest.mark.parametrize(
    "url",
    [
        "redis://${env:HOST}:6379/0",
        "redis://u:p@${env:HOST}/0",
        "sqlite:///${env:NAME}.db",
        "sqlite:${env:PATH}",
        "${env:SCHEME}://host",
        "${env:A}${env:B}",
        "redis://u:${env:OPEN@host/0",
        "postgresql://u@host/db?password=${env:X}",
    ],
)
def test_references_elsewhere_are_refused(url: str) -> None:
    """Before anything is read, and with what to write."""
    with pytest.raises(ManifestError) as caught:
        loads(f"version: 1\nstore: '{url}'\n")
    [problem] = caught.value.problems
    assert (problem.pointer, problem.line) == ("/store", 2)
    assert "the whole URL, or the user or the password" in problem.message


@pytest.mark.parametrize(
    ("url", "said", "words"),
    [
        ("redis://:${env:STORE_X}@host/0", None, "STORE_X is not set"),
        ("${env:STORE_X}", None, "STORE_X is not set"),
        ("${env:STORE_X}", "CANARY", "not the URL of a token store"),
        ("${env:STORE_X}", "CANARY:secret", "no token store that is known"),
        ("${env:STORE_X}", "redis://CANARY\t@host", "not the URL of a token store"),
        ("${env:STORE_X}", "sqlite://CANARY", "names no file"),
        ("${env:STORE_X}", "redis://u:CANARY@host:no/0", "cannot be used"),
        ("${env:STORE_X}", "postgresql://u:CANARY@/@host/0", "cannot be used"),
        ("${env:STORE_X}", "${env:CANARY}", "not the URL of a token store"),
        ("${vault:STORE_X}", None, "no secret source is called vault"),
    ],
)
def test_what_leads_nowhere(
    write: Write, monkeypatch: pytest.MonkeyPatch, url: str, said: str | None, words: str
) -> None:
    """Told when the manifest is opened, without what was found."""
    monkeypatch.delenv("STORE_X", raising=False)
    if said is not None:
        monkeypatch.setenv("STORE_X", said)
    path = write(f"'{url}'")
    with pytest.raises(ConnectorError, match=words) as caught:
        connector.open(path)
    assert "CANARY" not in "".join(traceback.format_exception(caught.value))
    if isinstance(caught.value, ManifestError):
        found = open_manifest(path).everything_wrong(secrets=True)
        assert [problem.line for problem in found] == [2]
        assert "CANARY" not in repr(found)


def test_a_store_given_in_python_needs_none(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest's is not even read."""
    monkeypatch.delenv("STORE_X", raising=False)
    with connector.open(write("${env:STORE_X}"), store="memory:") as host:
        assert host.accounts == {}
