"""The schema for editors: it takes all that `connector check` takes, and knows what is installed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from jsonschema import Draft202012Validator

from connector.editorparts import of_annotation
from connector.editorschema import editor_schema
from connector.endpoint import merge
from connector.plugins.endpoints import connector_endpoints
from connector.registry import collect
from connector.testing.sampled import Given, sampled

ROOT = Path(__file__).parents[1]
SHIPPED = [Path(file) for file in connector_endpoints()]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    """One for everything installed; the endpoints that pages declare themselves are known too."""
    schema = editor_schema(collect(), ["bank"])
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def told(validator: Draft202012Validator, data: Any) -> list[str]:
    """What the schema says of a document."""
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(data)]


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_shipped_endpoints_are_right(validator: Draft202012Validator, file: Path) -> None:
    """Nothing in a file of ours would be underlined."""
    for data in yaml.safe_load_all(file.read_text("utf-8")):
        assert told(validator, data) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_pages_show_is_right(validator: Draft202012Validator, page: Path) -> None:
    """Manifests and endpoint files of the documentation, but for names that they declare themselves."""
    for text in _BLOCK.findall(page.read_text("utf-8")):
        data = yaml.safe_load(text)
        if isinstance(data, dict) and {"version", "schema"} & set(data):
            own = {*data.get("endpoints", {}), "number", "acme"}
            wrong = [said for said in told(validator, data) if not any(f"'{name}'" in said for name in own)]
            assert wrong == [], f"{page.name}: {text}"


@pytest.mark.parametrize(
    ("account", "right"),
    [
        ({"oauth2_endpoint": "coupa", "settings": {"host": "a.example"}}, True),
        ({"oauth2_endpoint": "coupa", "settings": {"host": "${env:HOST}"}}, True),
        ({"oauth2_endpoint": "coupa", "settings": {"host": "a.example", "x": "y"}}, False),
        ({"oauth2_endpoint": "coupa", "settings": {}}, False),
        ({"oauth2_endpoint": "coupa"}, False),
        ({"oauth2_endpoint": "servicenow", "settings": {"instance": 12}}, True),
        ({"oauth2_endpoint": "servicenow", "settings": {"instance": "${env:INSTANCE}"}}, True),
        ({"oauth2_endpoint": "servicenow", "settings": {"instance": "a/b"}}, False),
        ({"oauth2_endpoint": "servicenow", "settings": {"instance": True}}, False),
        ({"oauth2_endpoint": "nobody"}, False),
        ({"oauth2_endpoint": "https://a.example/authorize", "oauth2_token": "https://a.example/token"}, True),
        ({"oauth2_token": "https://a.example/token", "grant": "client_credentials"}, True),
        ({"oauth2_token": "https://a.example/token", "grant": "clairvoyance"}, False),
        ({"oauth2_endpoint": {"extends": "coupa", "test": None, "api": {"headers": None}}}, True),
        ({"oauth2_endpoint": {"token": {"url": None}}}, False),
        ({"oauth2_endpoint": {"extends": "coupa", "tset": None}}, False),
    ],
)
def test_accounts_by_their_endpoint(
    validator: Draft202012Validator, account: Mapping[str, Any], right: bool
) -> None:
    """Settings, grants and names are checked as far as JSON Schema can."""
    data = {"version": 1, "accounts": {"a": {"client_id": "x", **account}}}
    assert (told(validator, data) == []) is right


@pytest.mark.parametrize(
    ("step", "right"),
    [
        ({"snap": "http.read", "with": {"path": "/x", "page_size": 50}}, True),
        ({"snap": "http.read", "with": {"path": "/x", "page_size": "${param:size}"}}, True),
        ({"snap": "http.read", "with": {"path": "/x", "page_size": "many"}}, False),
        ({"snap": "http.read", "with": {"path": "/x", "paginate": "offest"}}, False),
        ({"snap": "http.read", "with": {"pth": "/x"}}, False),
        ({"snap": "file.read"}, False),
        ({"snap": "file.raed"}, False),
        ({"snap": "file.read", "account": "new", "with": {"path": "x"}}, True),
    ],
)
def test_steps_by_their_snap(validator: Draft202012Validator, step: Mapping[str, Any], right: bool) -> None:
    """Options by name and kind; a parameter may stand for any of them."""
    assert (told(validator, {"version": 1, "pipelines": {"p": {"snaps": [step]}}}) == []) is right


@pytest.mark.parametrize(
    ("wanted", "good", "bad"),
    [
        (bool, [True], ["true", 1]),
        (int, [3], ["3", 3.5]),
        (float, [3, 3.5], ["3"]),
        (str | None, ["a", None], [3]),
        (Literal["a", 1], ["a", 1], ["b"]),
        (list[int], [[1]], [["a"], 1]),
        (Mapping[str, bool], [{"a": True}], [{"a": 1}]),
        (Any, ["a", 1, None], []),
        (Path, ["a"], []),
    ],
    ids=str,
)
def test_options_by_their_annotation(wanted: Any, good: list[Any], bad: list[Any]) -> None:
    """The annotations that the check understands; others take everything, as they do there."""
    validator = Draft202012Validator(of_annotation(wanted))
    assert all(validator.is_valid(value) for value in good)
    assert not any(validator.is_valid(value) for value in bad)


def test_nothing_is_fetched() -> None:
    """Every reference leads into the schema itself."""
    schema = editor_schema(collect())

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            target = value.get("$ref")
            if isinstance(target, str):
                assert target.removeprefix("#/$defs/") in schema["$defs"], target
            value = list(value.values())
        for each in value if isinstance(value, list) else ():
            walk(each)

    walk(schema)


REGISTRY = collect()
ENDPOINTS = REGISTRY.endpoints
GRANTS = [(name, grant) for name in sorted(ENDPOINTS) for grant in ENDPOINTS[name].grants]


@pytest.mark.parametrize(("name", "grant"), GRANTS)
def test_an_account_of_each_endpoint_is_right(validator: Draft202012Validator, name: str, grant: str) -> None:
    """What the check takes: an account for each grant of each endpoint that is shipped, as the tests make them."""
    endpoint = ENDPOINTS[name]
    assert grant in REGISTRY.grants
    spec = merge(endpoint.spec, endpoint.grants.get(grant) or {})
    sample = sampled(endpoint, spec, grant, REGISTRY, Given())
    assert told(validator, {"version": 1, **sample.opening.manifest.document.data}) == []
