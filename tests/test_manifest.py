"""A manifest, from its text to what the host starts from."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from connector import manifest
from connector.errors import ManifestError
from connector.snap import StepSpec

TEXT = """\
version: 1
store: sqlite:///tokens.db
plugins: [plugins, extra.py]
endpoints:
  own: {extends: coupa, api: null}
accounts:
  a: {client_id: x, client_secret: "${env:X}", oauth2_endpoint: own}
pipelines:
  p:
    label: P
    parameters: {since: null, page: 5, deep: false, account: a}
    on_error: collect
    errors: out/errors.jsonl
    account: a
    snaps:
      - {snap: http.read, with: {since: "${param:since}"}}
      - {snap: http.read, on_error: skip}
      - {snap: map, id: http.read-2, account: "${param:account}"}
"""


def test_everything_in_its_place(tmp_path: Path) -> None:
    """A loaded manifest holds what was written, with its folder."""
    file = tmp_path / "manifest.yaml"
    file.write_text(TEXT)
    loaded = manifest.load(file)
    assert loaded.folder == tmp_path
    assert loaded.store == "sqlite:///tokens.db"
    assert [(p.path, p.pointer) for p in loaded.plugins] == [
        ("plugins", "/plugins/0"),
        ("extra.py", "/plugins/1"),
    ]
    assert [raw.name for raw in loaded.endpoints] == ["own"]
    assert loaded.accounts["a"].origin == f"{file}:7"
    pipeline = loaded.pipelines["p"]
    assert pipeline.parameters == {"since": None, "page": "5", "deep": "false", "account": "a"}
    assert (pipeline.label, pipeline.on_error, pipeline.errors) == ("P", "collect", "out/errors.jsonl")
    assert (pipeline.line, pipeline.column) == (9, 3)


def test_steps_get_ids_and_the_pipelines_account() -> None:
    """A step is named after its snap, with a number when that is taken, also by an id further down."""
    spec = manifest.loads(TEXT).pipelines["p"]
    steps = spec.steps
    assert [step.id for step in steps] == ["http.read", "http.read-3", "http.read-2"]
    assert spec.account == "a"
    assert [step.account for step in steps] == ["", "", "${param:account}"]
    assert steps[0] == StepSpec(
        id="http.read", snap="http.read", with_={"since": "${param:since}"}, line=16, column=9
    )


def test_the_smallest() -> None:
    """version is all a manifest needs; the store is the default one."""
    loaded = manifest.loads("version: 1")
    assert loaded.store == "sqlite:///~/.local/share/connector/tokens.db"
    assert not loaded.accounts
    assert not loaded.pipelines


def test_what_is_right_is_there_beside_what_is_wrong(tmp_path: Path) -> None:
    """`read` leaves out the broken parts and keeps the rest, so that checking can go on."""
    file = tmp_path / "m.yaml"
    file.write_text(TEXT.replace("accounts:\n", "accounts:\n  b: {client_id: 5}\n") + "  q: {snaps: []}\n")
    loaded, problems = manifest.read(file)
    assert [(p.line, p.pointer) for p in problems] == [
        (7, "/accounts/b/client_id"),
        (20, "/pipelines/q/snaps"),
    ]
    assert set(loaded.accounts) == {"a"}
    assert set(loaded.pipelines) == {"p"}


def test_a_broken_account_is_still_an_account() -> None:
    """A pipeline that names an account with a mistake of its own gets no second problem."""
    text = "version: 1\naccounts: {a: {client_id: 5}}\npipelines: {p: {snaps: [{snap: map, account: a}]}}"
    with pytest.raises(ManifestError) as caught:
        manifest.loads(text)
    assert len(caught.value.problems) == 1


def test_problems_can_be_told_with_their_place() -> None:
    """The host and the registry report at any pointer, and at its key."""
    loaded = manifest.loads(TEXT, file="m.yaml")
    assert str(loaded.problem("/plugins/1", "is not there")) == "m.yaml:3:20: /plugins/1: is not there"
    assert loaded.problem("/accounts/a", "x", key=True).column == 3


def test_a_missing_manifest_has_its_own_code(tmp_path: Path) -> None:
    """A tool can tell a missing file from a wrong one."""
    with pytest.raises(ManifestError) as caught:
        manifest.load(tmp_path / "nope.yaml")
    assert caught.value.code == "not_found"


def test_neither_print_nor_pickle_holds_a_literal_secret() -> None:
    """The sandbox's literal secret stays out of every repr; errors pickle."""
    text = (
        "version: 1\naccounts: {a: {client_id: x, client_secret: hunter2, oauth2_token: http://localhost/t}}"
    )
    loaded = manifest.loads(text)
    assert "hunter2" not in repr(loaded)
    with pytest.raises(ManifestError) as caught:
        manifest.loads(text.replace("client_id", "client_di"))
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.problems == caught.value.problems
    assert "hunter2" not in str(again)
