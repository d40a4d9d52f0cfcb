"""The endpoints we ship: known by name at once, read when one is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.catalogue import Catalogue, Endpoints, names_in
from connector.endpointfile import build, load
from connector.errors import ManifestError
from connector.opening import open_manifest
from connector.plugins.endpoints import connector_endpoints
from connector.registry import collect

SHIPPED = [Path(file) for file in connector_endpoints()]
ACME = """\
# What is said before the name does not count: endpoint: other
schema: 1
endpoint: acme
description: |
  endpoint: not-me
token: {url: "https://acme.example.com/token"}
---
schema: 1
endpoint: acme.second
extends: acme
title: Second
"""
BROKEN = "schema: 1\nendpoint: broken\ntoken: {urk: [\n"
CIRCLE = "schema: 1\nendpoint: one\nextends: two\n---\nschema: 1\nendpoint: two\nextends: one\n"
LOST = "schema: 1\nendpoint: lost\nextends: acne\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, ...]:
    """Four files; only the first is right."""
    texts = {"acme": ACME, "broken": BROKEN, "circle": CIRCLE, "lost": LOST}
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tuple(tmp_path / f"{name}.yaml" for name in texts)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_the_names_that_a_look_finds_are_those_of_the_file(file: Path) -> None:
    """Whatever is shipped: no name is missed, and none is seen that is not there."""
    assert list(names_in(file)) == [raw.name for raw in load(file)]


def test_everything_shipped_is_right() -> None:
    """Read at once, as a stranger's would be, no file of ours has a problem; one by one they are the same."""
    built, problems = build(raw for file in SHIPPED for raw in load(file))
    assert problems == []
    endpoints = collect().endpoints
    assert endpoints.keys() == built.keys()
    assert {name: endpoints[name] for name in endpoints} == built


def test_one_is_read_when_it_is_asked_for(files: tuple[Path, ...]) -> None:
    """A file that is no YAML is among them, and nobody notices before asking for it; then it says where."""
    found = Catalogue(files)
    assert list(found) == ["acme", "acme.second", "broken", "one", "two", "lost"]
    assert len(found) == 6
    assert "broken" in found
    assert found["acme.second"].token.url == ("https://acme.example.com/token",)
    assert found["acme.second"] is found["acme.second"]
    with pytest.raises(ManifestError, match=r"broken\.yaml:4:1"):
        found["broken"]


def test_what_extends_says_is_followed_and_told(files: tuple[Path, ...]) -> None:
    """Circles and bases that are not there are mistakes of the file, and an unknown name is a KeyError."""
    found = Catalogue(files)
    with pytest.raises(ManifestError, match="circle: one -> two -> one"):
        found["one"]
    with pytest.raises(ManifestError, match="there is no endpoint acne to extend"):
        found["lost"]
    with pytest.raises(KeyError):
        found["nobody"]


def test_layers_hide_one_another(files: tuple[Path, ...]) -> None:
    """The first layer that has a name counts, names come once, and hidden ones are not there."""
    found = Catalogue(files)
    over = {"broken": found["acme"]}
    both = Endpoints(over, found, without={"one", "two"})
    assert list(both) == ["broken", "acme", "acme.second", "lost"]
    assert len(both) == 4
    assert both["broken"] is found["acme"]
    assert "one" not in both
    with pytest.raises(KeyError):
        both["one"]


def test_a_wrong_name_is_still_told_with_what_was_meant(tmp_path: Path) -> None:
    """Near misses are looked for among all names, read or not."""
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text("version: 1\naccounts:\n  a: {oauth2_endpoint: servisenow, client_id: x}\n")
    [problem] = open_manifest(manifest).problems
    assert problem.hint == "did you mean servicenow?"
