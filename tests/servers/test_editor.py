"""The schema for editors, in a real editor's language server: yaml-language-server from its registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from editor_server import Editor

from connector.cli import cli

ROOT = Path(__file__).parents[2]
MODELINE = "# yaml-language-server: $schema=.connector/schema.json\n"
ACCOUNT = MODELINE + "version: 1\naccounts:\n  acme:\n    client_id: abc\n    oauth2_endpoint: coupa\n"
STEP = MODELINE + "version: 1\npipelines:\n  rows:\n    snaps:\n"
ENDPOINT = MODELINE + "schema: 1\nendpoint: acme\n"
OWN = "version: 1\nendpoints: {mine: {extends: coupa}}\naccounts: {bank: {oauth2_endpoint: mine, client_id: x}}\n"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest in a folder that has the schema, as the command writes it."""
    manifest = tmp_path_factory.mktemp("editor") / "manifest.yaml"
    manifest.write_text(OWN)
    schema = manifest.parent / ".connector" / "schema.json"
    done = CliRunner().invoke(
        cli, ["schema", "--bundle", str(manifest), "-o", str(schema)], catch_exceptions=False
    )
    assert done.exit_code == 0
    assert MODELINE.strip() in done.stderr
    return manifest


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    """One language server for all tests."""
    with Editor(log=tmp_path_factory.mktemp("server") / "stderr.log") as server:
        yield server


def test_the_shipped_manifest_is_right(editor: Editor, file: Path) -> None:
    """Nothing is underlined, and its first line is the one that makes the editor look."""
    text = (ROOT / "manifest.yaml").read_text("utf-8")
    assert text.startswith(MODELINE)
    assert editor.problems(file, text) == []


def test_endpoints_are_offered_by_name(editor: Editor, file: Path) -> None:
    """What is installed and what the manifest declares, each with its title and the vendor's page."""
    offered = editor.completions(file, ACCOUNT.replace("coupa", "|"))
    assert {"coupa", "servicenow", "mine"} <= offered.keys()
    assert offered["servicenow"].startswith("ServiceNow")
    assert "https://docs.coupa.com/" in offered["coupa"]


def test_a_field_is_explained(editor: Editor, file: Path) -> None:
    """Under the pointer stands what the field is."""
    assert "RFC 6749 section 2.2" in editor.hover(file, ACCOUNT.replace("client_id", "clie|nt_id"))
    shown = editor.hover(file, ACCOUNT + "    settings:\n      ho|st: acme.coupahost.com\n")
    assert "Host name of your Coupa instance." in shown


def test_settings_are_those_of_the_endpoint(editor: Editor, file: Path) -> None:
    """They are offered by the endpoint that the account names, and so are scopes and grants."""
    assert {"host", "device_url"} <= editor.completions(file, ACCOUNT + "    settings:\n      |\n").keys()
    other = ACCOUNT.replace("coupa", "servicenow")
    offered = editor.completions(file, other + "    settings:\n      |\n")
    assert "instance" in offered
    assert "device_url" not in offered
    scopes = editor.completions(file, ACCOUNT + "    scopes:\n      - |\n")
    assert scopes["core.invoice.read"] == "Read invoices"
    grants = editor.completions(file, ACCOUNT + "    grant: |\n")
    assert set(grants) == {"client_credentials", "authorization_code", "device_code"}


@pytest.mark.parametrize(
    ("lines", "line", "words"),
    [
        ("    settings: {host: a.example}\n    clientid: x\n", 8, "Property clientid is not allowed."),
        ("    settings:\n      hots: a.example\n", 8, "Property hots is not allowed."),
        ("    settings:\n      host: https://a.example\n", 8, "Expected a host name, without https://"),
        ("    settings: {host: a.example}\n    grant: passwort\n", 8, "coupa allows client_credentials,"),
        ("    label: x\n", 4, 'Missing property "settings".'),
    ],
)
def test_mistakes_are_underlined(editor: Editor, file: Path, lines: str, line: int, words: str) -> None:
    """A misspelt key and a wrong setting, each in its line."""
    found = editor.problems(file, ACCOUNT + lines)
    assert any(at == line and said.startswith(words) for at, said in found), found


def test_a_misspelt_endpoint_is_underlined(editor: Editor, file: Path) -> None:
    """With what to do when it is none of those that were there; addresses are no names."""
    [(line, said)] = editor.problems(file, ACCOUNT.replace("coupa", "cuopa"))
    assert line == 6
    assert "No endpoint of this name is installed." in said
    url = ACCOUNT.replace(
        "coupa", "https://login.example.com/authorize\n    oauth2_token: https://a.example/t"
    )
    assert editor.problems(file, url) == []


def test_references_and_removed_parts_are_right(editor: Editor, file: Path) -> None:
    """What `connector check` takes is not underlined: a reference as a setting, a null beside extends."""
    lines = "    settings: {host: '${env:HOST}'}\n    scopes: [any.other]\n    client_secret: ${env:SECRET}\n"
    assert editor.problems(file, ACCOUNT + lines) == []
    inline = "{extends: coupa, device: null, token: {auth: null}}"
    assert editor.problems(file, ACCOUNT.replace("coupa", inline)) == []
    assert editor.problems(file, ACCOUNT.replace("coupa", "{token: {url: null}}")) != []


def test_steps_are_known_by_their_snap(editor: Editor, file: Path) -> None:
    """Snaps with what they do, their options, values that do not fit, and the manifest's accounts."""
    assert "Read the records" in editor.completions(file, STEP + "      - snap: |\n")["http.read"]
    assert "bank" in editor.completions(file, STEP + "      - snap: http.read\n        account: |\n")
    options = editor.completions(file, STEP + "      - snap: file.write\n        with:\n          |\n")
    assert {"path", "format"} <= options.keys()
    wrong = STEP + "      - snap: http.read\n        with:\n          path: /x\n          paginate: offest\n"
    [(line, said)] = editor.problems(file, wrong)
    assert (line, '"offset"' in said) == (9, True)
    assert editor.problems(file, wrong.replace("offest", "${param:how}")) == []


def test_endpoint_files_too(editor: Editor, file: Path) -> None:
    """The same schema serves files that begin with ``schema: 1``."""
    acme = file.with_name("acme.yaml")
    assert {"url", "auth"} <= editor.completions(acme, ENDPOINT + "token:\n  |\n").keys()
    assert "coupa" in editor.completions(acme, ENDPOINT + "extends: |\n")
    [(line, said)] = editor.problems(acme, ENDPOINT + "token: {urk: https://a.example/t}\n")
    assert (line, said) == (4, "Property urk is not allowed.")
