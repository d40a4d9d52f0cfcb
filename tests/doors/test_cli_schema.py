"""`connector schema`: one of three, or one for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def test_one_of_three(call: Any) -> None:
    """The manifest's unless another is named; anything else is wrong usage."""
    assert call("schema").json["$id"] == "urn:connector:schema:manifest:1"
    assert call("schema", "endpoint").json["$id"] == "urn:connector:schema:endpoint:1"
    wrong = call("schema", "manifest.yaml")
    assert wrong.code == 2
    assert "with --bundle a manifest is named" in wrong.err


def test_the_bundle_knows_the_manifest(call: Any, folder: Path) -> None:
    """Its endpoints and accounts are in it; broken plugins are told and the rest is there."""
    text = (folder / "manifest.yaml").read_text() + "endpoints: {own: {token: {url: https://b.example/t}}}\n"
    (folder / "manifest.yaml").write_text("plugins: [broken.py]\n" + text)
    (folder / "broken.py").write_text("raise ValueError\n")
    told = call("schema", "--bundle")
    assert "own" in told.json["$defs"]["endpoint.name-of-one"]["enum"]
    assert "far" in told.json["$defs"]["manifest.snap"]["properties"]["account"]["anyOf"][0]["enum"]
    assert "broken.py" in told.err
    (folder / "manifest.yaml").unlink()
    assert "own" not in call("schema", "--bundle").json["$defs"]["endpoint.name-of-one"]["enum"]
    assert call("schema", "--bundle", "gone.yaml").code == 2


def test_the_bundle_is_written_anew_and_nothing_else_is(call: Any, folder: Path) -> None:
    """Its own file is replaced; a file of another kind stays as it is."""
    for _ in range(2):
        told = call("schema", "--bundle", "-o", ".connector/schema.json")
        assert told.code == 0
        assert "# yaml-language-server: $schema=.connector/schema.json" in told.err
    assert json.loads((folder / ".connector/schema.json").read_text())["title"] == "Connector"
    before = (folder / "manifest.yaml").read_text()
    refused = call("schema", "--bundle", "-o", "manifest.yaml")
    assert refused.code == 1
    assert "stays as it is" in refused.err
    assert (folder / "manifest.yaml").read_text() == before
