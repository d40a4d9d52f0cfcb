"""Exit codes, and which of the two outputs gets what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from jsonschema import Draft202012Validator


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        ([], 2),
        (["nope"], 2),
        (["run", "--nope"], 2),
        (["run", "--jobs", "0"], 2),
        (["run", "--preview=0"], 2),
        (["run", "nope"], 2),
        (["run", "invoices", "-p", "page"], 2),
        (["run", "invoices", "-p", "pagge=3"], 2),
        (["-m", "gone.yaml", "run"], 2),
        (["run", "-m", "gone.yaml"], 2),
        (["run", "-m", "."], 2),
        (["check"], 0),
        (["check", "gone.yaml"], 2),
        (["check", "--secrets"], 2),
        (["accounts"], 0),
        (["token", "nope"], 2),
        (["token", "far"], 2),
        (["token", "person"], 4),
        (["refresh", "person"], 4),
        (["run", "needs"], 4),
        (["run", "needs", "invoices"], 4),
        (["adopt", "nope"], 2),
        (["adopt", "person"], 1),
        (["schema", "nope"], 2),
        (["key", "new"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_exit_codes(call: Any, args: list[str], code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each situation has the exit code that the help promises; failures are words, never data."""
    monkeypatch.setenv("DOORS_PERSON_SECRET", "secret")
    done = call(*args)
    assert done.code == code, done.err
    if code:
        assert done.out == ""
        assert done.err.strip()


def test_token_prints_only_the_token(call: Any) -> None:
    """Standard output of `token` is one line to put into a variable; with --json it says when it ends."""
    done = call("token", "buy")
    assert (done.code, done.err) == (0, "")
    assert len(done.out.splitlines()) == 1
    assert " " not in done.out.strip()
    told = call("token", "buy", "--json").json
    assert told["token_type"].lower() == "bearer"
    assert told["access_token"]
    assert told["expires_at"] > 0


def test_run_tells_on_stderr_and_writes_files(call: Any, folder: Path) -> None:
    """A run says what happened in words, writes its file, and nothing to standard output."""
    done = call("run", "invoices")
    assert (done.code, done.out) == (0, "")
    assert "buy" in done.err.split("accounts")[1], "an account of the whole pipeline counts as used"
    lines = (folder / "out/invoices.jsonl").read_text("utf-8").splitlines()
    assert f"{len(lines):,}" in done.err
    assert len({json.loads(line)["id"] for line in lines}) == len(lines)


def test_plain_progress_repeats_no_line(call: Any) -> None:
    """Where there is no terminal, progress is lines, and the last one is not said twice."""
    told = [line for line in call("run", "invoices").err.splitlines() if line.startswith("invoices:")]
    assert len(told) == len(set(told))
    assert told[-1].startswith("invoices: 3,000 documents")


def test_run_json(call: Any) -> None:
    """--json is one JSON value on standard output, for good and for bad runs, also with --quiet."""
    told = call("run", "--json", "--quiet", "invoices", "needs")
    assert told.code == 2  # a reference of `needs` leads to nothing
    assert told.json["pipelines"]["invoices"]["ok"] is True
    assert told.json["pipelines"]["needs"]["code"] == "secret_missing"
    assert told.json["accounts"]["buy"]["token_calls"] == 1
    assert told.err.count("\n") == 1


@pytest.mark.parametrize(
    ("args", "count"),
    [
        (["--preview", "invoices"], 50),
        (["invoices", "--preview"], 50),
        (["--preview", "3", "invoices"], 3),
        (["invoices", "--preview=2", "--quiet"], 2),
        (["--preview", "--quiet", "invoices"], 50),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_preview(call: Any, folder: Path, args: list[str], count: int) -> None:
    """A preview prints JSON lines and writes nothing; a pipeline may follow the bare option."""
    done = call("run", *args)
    assert done.code == 0, done.err
    assert [json.loads(line)["id"] for line in done.out.splitlines()] == list(range(1, count + 1))
    assert not (folder / "out").exists()


def test_parameters(call: Any, folder: Path) -> None:
    """--param sets a parameter of those pipelines that have it; one that is missing is wrong usage."""
    text = (folder / "manifest.yaml").read_text("utf-8")
    text = text.replace("out/invoices.jsonl", '"${param:page}"').replace('{page: "50"}', "{page: null}")
    (folder / "manifest.yaml").write_text(text, "utf-8")
    missing = call("run", "invoices")
    assert missing.code == 2, missing.err
    assert "page" in missing.err
    assert call("run", "invoices", "-p", "page=a=b.jsonl").code == 0
    assert (folder / "a=b.jsonl").exists()


def test_near_misses(call: Any) -> None:
    """An unknown pipeline or account brings the name that was meant, with the place to look at."""
    assert "invoices" in call("run", "invoice").err
    far = call("token", "persn").err
    assert far.startswith("error: manifest.yaml:")
    assert "did you mean person?" in far


def test_manifest_before_and_after(call: Any, folder: Path) -> None:
    """-m is understood before and after the command; the nearer one wins."""
    (folder / "manifest.yaml").rename(folder / "other.yaml")
    assert call("-m", "other.yaml", "check").code == 0
    assert call("check", "-m", "other.yaml").code == 0
    assert call("-m", "gone.yaml", "check", "-m", "other.yaml").code == 0
    assert call("-m", "gone.yaml", "check", "other.yaml").code == 0
    assert call("accounts").code == 2


def test_accounts_table_and_json(call: Any) -> None:
    """Nothing is cut where there is no terminal, and text of the manifest is never taken as markup."""
    done = call("accounts")
    assert done.code == 0
    assert "Ein[kauf] [/] :smile: Größe" in done.out
    assert "needs_authorization" in done.out
    assert "https://login.example.com/authorize" in done.out
    assert "warning: manifest.yaml:13:" in done.err
    rows = {row["account"]: row for row in call("accounts", "--json").json}
    assert rows["person"]["state"] == "needs_authorization"
    assert rows["buy"]["state"] == "expired"
    assert rows["far"]["code"] == "secret_missing"


@pytest.mark.parametrize("name", ["manifest", "account", "endpoint"])
def test_schemas(call: Any, name: str) -> None:
    """`schema` prints a valid schema of draft 2020-12."""
    schema = call("schema", name).json
    assert schema["$schema"].endswith("2020-12/schema")
    Draft202012Validator.check_schema(schema)


def test_keys(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new key fits CONNECTOR_KEY, and rotating it keeps the logins."""
    first, second = (call("key", "new").out.strip() for _ in range(2))
    monkeypatch.setenv("CONNECTOR_KEY", first)
    assert call("adopt", "person", stdin='{"refresh_token": "r"}').code == 0
    alone = call("key", "rotate")
    assert alone.code == 1
    assert "CONNECTOR_KEY" in alone.err
    monkeypatch.setenv("CONNECTOR_KEY", f"{second} {first}")
    assert call("key", "rotate").err == "1 record sealed with a new key, which is in CONNECTOR_KEY\n"
    monkeypatch.setenv("CONNECTOR_KEY", second)
    assert json.loads(call("accounts", "--json").out)[2]["refreshable"] is True
    monkeypatch.setenv("CONNECTOR_KEY", "garbage!")
    assert call("token", "person").code == 1


ELSEWHERE = """\
from connector.hookspecs import hookimpl
from connector.store import SqliteStore

class Elsewhere:
    def __init__(self, path):
        self._inner = SqliteStore(path)

    def __getattr__(self, name):
        return getattr(self._inner, name)

@hookimpl
def connector_stores():
    return {"elsewhere": lambda url, folder: Elsewhere(folder / "elsewhere.db")}
"""


def test_rotating_says_where_the_key_is(call: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of a SQLite store is its own; that of others is shared, and keeps what they may need."""
    monkeypatch.delenv("CONNECTOR_KEY")
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "home"))
    (folder / "elsewhere.py").write_text(ELSEWHERE)
    (folder / "other.yaml").write_text("version: 1\nplugins: [elsewhere.py]\nstore: elsewhere://x\n")
    own, shared = folder / "tokens.db.key", folder / "home" / "connector" / "key"
    shared.parent.mkdir(parents=True)
    for file in (own, shared):
        file.write_text(call("key", "new").out)
        file.chmod(0o600)
    for _ in range(2):
        done = call("key", "rotate")
        assert (done.out, done.err) == ("", f"0 records sealed with a new key, which is in {own}\n")
        done = call("key", "rotate", "-m", "other.yaml")
        said, kept = done.err.splitlines()
        assert (done.out, said) == ("", f"0 records sealed with a new key, which is in {shared}")
        assert kept == "the keys before it are kept there: what other stores hold may be sealed with them"
    assert [len(file.read_text().split()) for file in (own, shared)] == [2, 3]


def test_help_names_every_command_and_option(call: Any) -> None:
    """Every command has a summary that is not cut, and every option a help text."""
    from connector.cli import cli

    told = call("--help").out
    assert "..." not in told.split("Commands:")[1]
    for name, command in cli.commands.items():
        assert f"  {name} " in told
        assert command.help
        for parameter in command.params:
            if parameter.param_type_name == "option" and "--help" not in parameter.opts:
                assert getattr(parameter, "help", "") or name == "sandbox", f"{name} {parameter.name}"


def leaves(command: click.Command) -> Iterator[click.Command]:
    """The commands that do something, those of groups included."""
    for each in command.commands.values() if isinstance(command, click.Group) else ():
        yield from leaves(each)
    if not isinstance(command, click.Group):
        yield command


def test_every_command_says_more_when_asked() -> None:
    """-v stands after a command as well as before it."""
    from connector.cli import cli

    for command in [cli, *leaves(cli)]:
        assert [p.opts for p in command.params if p.name == "verbose"] == [["-v", "--verbose"]], command.name


@pytest.mark.parametrize(
    ("words", "level"),
    [
        (["status", "one"], 0),
        (["-v", "status", "one"], 1),
        (["status", "one", "-v"], 1),
        (["-vv", "status", "one"], 2),
        (["status", "-vv", "one"], 2),
        (["-v", "status", "one", "-v"], 2),
    ],
)
def test_how_much_is_said(call: Any, folder: Path, words: list[str], level: int) -> None:
    """The same before and after the command, both together counted; each event is told once."""
    (folder / "says.py").write_text(SAYS)
    (folder / "manifest.yaml").write_text("version: 1\nstore: 'says:'\nplugins: [says.py]\naccounts:\n" + ONE)
    told = [line for line in call(*words).err.splitlines() if "says" in line]
    assert [line.rpartition(" ")[2] for line in told] == ["warning", "info", "debug"][: level + 1]


SAYS = """\
import logging
from connector.hookspecs import hookimpl
from connector.store import MemoryStore

class Store(MemoryStore):
    def load(self, account):
        for level in ("warning", "info", "debug"):
            getattr(logging.getLogger("connector.says"), level)("says %s", level)
        return super().load(account)

@hookimpl
def connector_stores():
    return {"says": lambda url, folder: Store()}
"""
ONE = "  one: {oauth2_token: 'https://login.example.com/t', client_id: x, client_secret: '${env:X}'}\n"


def test_a_refusal_for_good_shows_in_the_status(call: Any, folder: Path) -> None:
    """A wrong client secret is nothing that waiting cures: monitoring sees it, with exit code 1."""
    (folder / "manifest.yaml").write_text(
        "version: 1\nstore: sqlite:///refused.db\naccounts:\n  m: {oauth2_endpoint: sandbox.strict, client_id: sandbox,"
        " client_secret: wrong, grant: client_credentials}\n"
    )
    assert call("status").code == 0
    assert call("token", "m").code == 1
    done = call("status", "m", "--json")
    assert (done.code, done.json["refused"], done.json["renews"]) == (1, "client_refused", False)


def test_status_and_explain_tell_the_same_facts(call: Any) -> None:
    """One object for each account, whichever command is asked; an account that cannot be used says why."""
    assert call("token", "buy").code == 0
    rows = {row["account"]: row for row in call("status", "--json").json}
    alone, explained = call("status", "buy", "--json").json, call("explain", "buy", "--json").json
    assert alone == explained == rows["buy"]
    assert (alone["state"], alone["because"]) == ("ready", "its token is fresh")
    assert [outcome["what"] for outcome in alone["history"]] == ["began"]
    assert rows["person"]["because"] == "nobody has logged in yet"
    assert set(rows["far"]) == {"account", "state", "code", "error"}
    shown = call("explain", "buy").out
    assert alone["because"] in shown
    assert "began" in shown
