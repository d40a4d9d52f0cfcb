"""`connector check`: everything at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

WRONG = """\
version: 1
store: nowhere://x
plugins: [mine, gone]
accounts:
  a: {oauth2_endpoint: acme, client_id: x, client_secret: "${env:X}"}
  b: {oauth2_endpoint: coupa, client_id: x, wrong: 2}
  c: {oauth2_endpoint: coupaa, client_id: x, client_secret: "${env:X}"}
pipelines:
  p:
    snaps:
      - {snap: http.raed, account: c}
      - {snap: file.write, with: {pth: x}}
"""


def test_everything_at_once(call: Any, folder: Path) -> None:
    """Problems of accounts, store, pipelines and plugins in one go, each line with its place."""
    (folder / "mine").mkdir()
    (folder / "mine/bad.py").write_text("import nothing_like_this\n")
    (folder / "mine/acme.yaml").write_text("schema: 1\nendpoint: acme\ntoken: {url: 3}\n")
    (folder / "manifest.yaml").write_text(WRONG)
    done = call("check")
    assert (done.code, done.out) == (2, "")
    lines = done.err.splitlines()
    for words in (
        r"acme\.yaml:3:\d+: ",
        r"manifest\.yaml:2:8: /store: no token store is known for nowhere:",
        r"manifest\.yaml:3:17: /plugins/1: there is no plugin at gone",
        r"^warning: account a can be judged only when that plugin is mended",
        r"manifest\.yaml:6:\d+: /accounts/b/wrong: ",
        r"manifest\.yaml:7:\d+: /accounts/c/oauth2_endpoint: .*did you mean coupa\?",
        r"manifest\.yaml:11:\d+: /pipelines/p/snaps/0/snap: ",
        r"manifest\.yaml:12:\d+: /pipelines/p/snaps/1/with/pth: ",
        r"the plugin .*bad\.py failed while loading\. ModuleNotFoundError",
    ):
        assert any(re.search(words, line) for line in lines), (words, done.err)
    count = sum(line.startswith("error: ") for line in lines)
    assert lines[-1] == f"{count} problems in manifest.yaml"
    told = call("check", "--json")
    assert told.code == 2
    assert told.json["ok"] is False
    assert len(told.json["problems"]) + len(told.json["plugins"]) == count
    assert all(row["line"] > 0 and row["column"] > 0 for row in told.json["problems"])


def test_a_broken_plugin_alone(call: Any, folder: Path) -> None:
    """Where only a plugin is broken, the manifest is right: exit code 1, and the rest works."""
    (folder / "bad.py").write_text("1 / 0\n")
    text = (folder / "manifest.yaml").read_text("utf-8")
    (folder / "manifest.yaml").write_text(text + "plugins: [bad.py]\n", "utf-8")
    assert call("check").code == 1
    done = call("token", "buy")
    assert done.code == 0
    assert done.err.startswith("warning: ")
    assert "ZeroDivisionError" in done.err


def test_a_parameter_that_nothing_uses(call: Any, folder: Path) -> None:
    """It is a problem with the line and column of its name."""
    text = (folder / "manifest.yaml").read_text("utf-8")
    (folder / "manifest.yaml").write_text(text.replace('{page: "50"}', '{page: "50", least: "7"}'), "utf-8")
    [line, _] = call("check").err.splitlines()
    assert re.match(r"error: manifest\.yaml:\d+:30: /pipelines/invoices/parameters/least: no step uses", line)


def test_right(call: Any) -> None:
    """A sound manifest is said to be one, without looking at any secret."""
    assert call("check").err == "manifest.yaml: 3 accounts, 2 pipelines, no problems\n"
    assert call("check", "--json").json == {"ok": True, "problems": [], "plugins": []}


def test_secrets(call: Any) -> None:
    """--secrets follows the references, and tells those that lead to nothing with their places."""
    done = call("check", "--secrets")
    assert done.code == 2
    assert "manifest.yaml:13:" in done.err
    assert "manifest.yaml:22:" in done.err


def test_an_endpoint_file_alone(call: Any, folder: Path) -> None:
    """An endpoint file is checked as one: its own mistakes, and nothing about manifests."""
    right = "schema: 1\nendpoint: acme\ntoken: {url: https://a.example/t}\n"
    (folder / "acme.yaml").write_text(right + "grants: [authorization_code]\n")
    done = call("check", "acme.yaml")
    assert done.code == 2
    assert "authorization_code needs an authorization URL" in done.err
    (folder / "acme.yaml").write_text(right)
    assert call("check", "acme.yaml").err == "acme.yaml: 1 endpoint, no problems\n"
    (folder / "acme.yaml").write_text(right + "apii: {}\n")
    wrong = call("check", "acme.yaml")
    assert wrong.code == 2
    assert "did you mean api?" in wrong.err


def test_an_account_waits_for_its_endpoint_file(call: Any, folder: Path) -> None:
    """A mistake in an endpoint file is told once, where it is; the account that uses it only waits."""
    (folder / "acme.yaml").write_text(
        "schema: 1\nendpoint: acme\napii: {}\ntoken: {url: https://a.example/t}\n"
    )
    (folder / "manifest.yaml").write_text(
        "version: 1\nplugins: [acme.yaml]\naccounts:\n  a: {client_id: x, client_auth: none, oauth2_endpoint: acme}\n"
    )
    done = call("check")
    assert done.code == 1
    assert "did you mean api?" in done.err
    assert "no endpoint acme" not in done.err
    assert "account a can be judged only when that plugin is mended" in done.err


def test_what_is_left_out_proves_nothing(call: Any, folder: Path) -> None:
    """Beside a mistake the rest is checked, but not for what that mistake may have been about."""
    text = (folder / "manifest.yaml").read_text("utf-8")
    text += (
        "  more:\n    parameters: {who: buy, at: /x}\n    snaps:\n"
        "      - {snap: http.read, account: nobody, with: {path: /x}}\n"
        "      - {snap: http.read, acount: buy, with: {path: '${param:at}', headers: {a: '${param:wo}'}}}\n"
    )
    (folder / "manifest.yaml").write_text(text, "utf-8")
    said = call("check").err
    assert "account nobody" in said
    assert "acount" in said
    assert "no step uses" not in said
    assert "no whole URL" not in said


ACME = """\
schema: 1
endpoint: acme
token: {url: https://login.example.com/token}
"""


@pytest.mark.parametrize(
    ("file", "plugins", "hint"),
    [
        ("acme.yaml", "", "acme.yaml is there, and is read once it is named: plugins: [acme.yaml]"),
        (
            "acme.yml",
            "more.yaml",
            "acme.yml is there, and is read once it is named: plugins: [more.yaml, acme.yml]",
        ),
        (
            "plugins/acme.yaml",
            "",
            "plugins/acme.yaml is there, and is read once it is named: plugins: [plugins/acme.yaml]",
        ),
        (
            "mine/acme.yaml",
            "mine",
            "mine/acme.yaml is read, and what it brings has another name: see its endpoint:",
        ),
    ],
)
def test_an_endpoint_whose_file_is_not_read(
    call: Any, folder: Path, file: str, plugins: str, hint: str
) -> None:
    """The file of that name lies where it was probably meant to be found: it is told how it is named."""
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text(ACME.replace("endpoint: acme", "endpoint: other"))
    (folder / "more.yaml").write_text(ACME.replace("endpoint: acme", "endpoint: more"))
    (folder / "manifest.yaml").write_text(
        f"version: 1\nplugins: [{plugins}]\naccounts:\n  a: {{oauth2_endpoint: acme, client_id: x}}\n"
    )
    done = call("check")
    assert done.code == 2
    assert (
        f"error: manifest.yaml:4:24: /accounts/a/oauth2_endpoint: no endpoint acme is registered ({hint})"
        in done.err
    )


def test_a_grant_that_nobody_knows(call: Any, folder: Path) -> None:
    """It is told at its place among the grants of an endpoint of the manifest, in a list and in a mapping."""
    (folder / "manifest.yaml").write_text(
        "version: 1\nendpoints:\n"
        "  e:\n    token: {url: https://x.example/t}\n    grants: [client_credentials, devicecode]\n"
        "  f:\n    token: {url: https://x.example/t}\n    grants: {client_credential: {}}\n"
    )
    first, second, _ = call("check").err.splitlines()
    assert first == (
        "error: manifest.yaml:5:34: /endpoints/e/grants/1: there is no grant devicecode (did you mean device_code?)"
    )
    assert second == (
        "error: manifest.yaml:8:14: /endpoints/f/grants/client_credential:"
        " there is no grant client_credential (did you mean client_credentials?)"
    )
