"""The catalogue: every file is right, says what a person needs, and stands in the table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from connector.endpoint import Endpoint
from connector.endpointfile import RawEndpoint, build, load

FOLDER = Path(__file__).parents[2] / "plugins" / "catalogue"
FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.fixture(scope="module")
def raws() -> dict[str, list[RawEndpoint]]:
    """What stands in each file, by its stem."""
    return {file.stem: load(file) for file in FILES}


@pytest.fixture(scope="module")
def built(raws: dict[str, list[RawEndpoint]]) -> dict[str, Endpoint]:
    """All endpoints; that there is no problem is shown by the first test."""
    return build([raw for several in raws.values() for raw in several])[0]


def test_every_endpoint_is_right(raws: dict[str, list[RawEndpoint]]) -> None:
    """Schema, templates, ``extends``; no name is taken twice, and a file is named after its first endpoint."""
    every = [raw for several in raws.values() for raw in several]
    endpoints, problems = build(every)
    assert problems == []
    assert len(endpoints) == len(every) > 0
    assert {stem: several[0].name for stem, several in raws.items()} == {stem: stem for stem in raws}


def test_every_endpoint_says_what_a_person_needs(built: dict[str, Endpoint]) -> None:
    """A title, the vendor's page, grants, where the API is, and a call that proves an account works."""
    lacking = {
        name: [key for key in ("title", "docs", "grants", "api") if not endpoint.spec.get(key)]
        for name, endpoint in built.items()
    }
    assert {name: keys for name, keys in lacking.items() if keys} == {}
    assert [name for name, endpoint in built.items() if not _tests(endpoint)] == []
    assert [
        name for name, endpoint in built.items() if not endpoint.spec["docs"].startswith("https://")
    ] == []
    assert [name for name, endpoint in built.items() if not endpoint.api.base_url] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_file_says_where_its_facts_are_from(file: Path) -> None:
    """The head links pages, and says when they were read or that they could not be."""
    head = "\n".join(line for line in file.read_text("utf-8").split("\nschema:")[0].splitlines())
    assert head.startswith("# ")
    assert "https://" in head
    assert re.search(r"20\d\d-\d\d-\d\d", head)


def test_tokens_go_to_few_hosts(built: dict[str, Endpoint]) -> None:
    """No wildcard over a whole top-level domain, or over hosts that other people's servers share."""
    wide = re.compile(r"\*\.([a-z]+|[a-z]+\.[a-z]{2}|googleapis\.com|amazonaws\.com|windows\.net)")
    hosts = {name: [host for host in e.api.hosts if wide.fullmatch(host)] for name, e in built.items()}
    assert {name: found for name, found in hosts.items() if found} == {}


def test_the_table_lists_every_endpoint(built: dict[str, Endpoint]) -> None:
    """One row per endpoint, sorted, so that the table can be searched and merged."""
    rows = re.findall(r"^\| `([^`]+)` \|", (FOLDER / "README.md").read_text("utf-8"), re.MULTILINE)
    assert rows == sorted(built)


def _tests(endpoint: Endpoint) -> bool:
    """Whether there is a test call, for all grants or for one."""
    grants = endpoint.spec["grants"]
    overrides = grants.values() if isinstance(grants, Mapping) else ()
    return bool(endpoint.spec.get("test")) or any(one.get("test") for one in overrides if one)
