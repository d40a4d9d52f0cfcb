"""`connector import snaplogic`: an export becomes a manifest that `connector check` takes."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.cli import cli

EXPORTS = Path(__file__).parents[1] / "exports"


@pytest.mark.parametrize(("name", "count"), [("one_coupa", 1), ("project", 3), ("by_path", 2)])
def test_round_trip(call: Any, folder: Path, name: str, count: int) -> None:
    """What is imported passes `connector check`, without any variable set, and holds no secret."""
    done = call("import", "snaplogic", str(EXPORTS / f"{name}.json"))
    assert done.code == 0, done.err
    assert "CANARY" not in done.out + done.err
    (folder / "imported.yaml").write_text(done.out, "utf-8")
    checked = call("check", "imported.yaml")
    assert checked.code == 0, checked.err
    assert checked.err.startswith(f"imported.yaml: {count} account")


def test_words_and_data(call: Any) -> None:
    """The manifest is on standard output, everything to be said on standard error."""
    done = call("import", "snaplogic", str(EXPORTS / "project.json"))
    assert done.out.startswith("# ")
    assert "\nversion: 1\naccounts:\n" in done.out
    lines = done.err.splitlines()
    assert lines[-1] == "4 accounts imported, 1 of them not usable yet, 2 skipped, 1 other object passed over"
    assert any(line.startswith("warning: 0123 is written as a comment: ") for line in lines)
    assert any(line.startswith("warning: Old basic (") for line in lines)


def test_a_file_is_never_overwritten(call: Any, folder: Path) -> None:
    """-o writes a new file that others may read, and leaves an old one, or a link, alone."""
    before = os.umask(0o022)
    try:
        assert call("import", "snaplogic", str(EXPORTS / "one_coupa.json"), "-o", "new.yaml").code == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "new.yaml").stat().st_mode) == 0o644
    text = (folder / "new.yaml").read_text("utf-8")
    (folder / "link.yaml").symlink_to("nowhere.yaml")
    for name in ("new.yaml", "link.yaml"):
        again = call("import", "snaplogic", str(EXPORTS / "one_coupa.json"), "-o", name)
        assert (again.code, again.out) == (1, "")
        assert f"error: {name} is there already" in again.err
    assert (folder / "new.yaml").read_text("utf-8") == text
    assert not (folder / "nowhere.yaml").exists()
    assert call("import", "snaplogic", str(EXPORTS / "one_coupa.json"), "-o", "no/where.yaml").code == 1


def test_name(call: Any) -> None:
    """--name names the account, and its variables; it is for one account, and a valid name."""
    done = call("import", "snaplogic", str(EXPORTS / "one_coupa.json"), "--name", "buy")
    assert "\n  buy:\n" in done.out
    assert "${env:BUY_CLIENT_SECRET}" in done.out
    for name, file in (("buy", "project"), ("Buy it", "one_coupa"), ("", "one_coupa")):
        refused = call("import", "snaplogic", str(EXPORTS / f"{file}.json"), "--name", name)
        assert (refused.code, refused.out) == (2, "")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is empty"),
        (b'{"CANARY', "it is no JSON"),
        (b"[" * 100_000, "levels deep"),
        (b" " * (8 << 20) + b"{}", "larger than 8 MiB"),
        (b"{}", "no account is in it"),
        (b'[{"secret": "CANARY"}]', "no account is in it"),
    ],
    ids=range(6),
)
def test_bad_input(call: Any, folder: Path, data: bytes, words: str) -> None:
    """A file that is no export is refused in words, and not repeated."""
    (folder / "export.json").write_bytes(data)
    done = call("import", "snaplogic", "export.json", "-o", "out.yaml")
    assert (done.code, done.out) == (1, "")
    assert words in done.err
    assert "CANARY" not in done.err
    assert not (folder / "out.yaml").exists()


def test_only_other_accounts(call: Any, folder: Path) -> None:
    """Where nothing is of OAuth2, what was skipped is said before it fails."""
    account = json.loads((EXPORTS / "project.json").read_text("utf-8"))["accounts"][3]
    (folder / "export.json").write_text(json.dumps(account), "utf-8")
    done = call("import", "snaplogic", "export.json")
    assert done.code == 1
    assert "Old basic" in done.err
    assert "it has no OAuth2 account" in done.err


def test_no_file(call: Any) -> None:
    """A file that is not there is wrong usage."""
    assert call("import", "snaplogic", "gone.json").code == 2
    assert call("import", "snaplogic", ".").code == 2


def test_output_is_utf8_everywhere(process: Any, folder: Path) -> None:
    """YAML is UTF-8, also where the terminal knows only ASCII."""
    done = process(
        "import", "snaplogic", str(EXPORTS / "one_coupa.json"), LC_ALL="C", PYTHONIOENCODING="ascii"
    )
    assert "label: Coupa Größe 1" in done.out


@given(data=st.binary(max_size=300))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes(folder: Path, data: bytes) -> None:
    """Whatever is in the file, no traceback comes of it."""
    (folder / "export.json").write_bytes(data)
    done = CliRunner().invoke(cli, ["import", "snaplogic", "export.json"])
    assert isinstance(done.exception, SystemExit)
    assert done.exit_code == 1
    assert "error: unexpected" not in done.stderr
