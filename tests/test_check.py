"""Schema errors in plain words, and schemas that forms and editors can use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from connector import check, yamlfile
from connector.yamlfile import Document


def test_the_five_fields_in_their_order() -> None:
    """The account schema has the five fields of the dialog, in this order, under these titles."""
    properties = check.schema("account")["properties"]
    ordered = sorted((p for p in properties.values() if 1 <= p["x-order"] <= 5), key=lambda p: p["x-order"])
    titles = ["Client ID", "Client Secret", "OAuth2 Endpoint", "OAuth2 Token", "Auto-refresh"]
    assert [p["title"] for p in ordered] == titles
    assert [p["title"] for p in properties.values()][:5] == titles


def test_secrets_are_marked() -> None:
    """client_secret is marked for forms (writeOnly) and for messages (x-secret)."""
    secret = check.schema("account")["properties"]["client_secret"]
    assert secret["writeOnly"] is True
    assert secret["x-secret"] is True


def _properties(spec: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(spec, dict):
        for key, value in spec.items():
            if key == "properties":
                yield from value.items()
            yield from _properties(value)


@pytest.mark.parametrize("name", check.NAMES)
def test_each_schema_is_one(name: str) -> None:
    """Each schema is valid JSON Schema 2020-12, and what a person fills in says what it is."""
    Draft202012Validator.check_schema(check.schema(name))
    for key, spec in _properties(check.schema(name)):
        if spec is not True and "$ref" not in spec:
            assert spec.get("title") or key in ("endpoint",), key
            assert spec.get("description"), key


@pytest.mark.parametrize("name", check.NAMES)
def test_a_bundle_stands_alone(name: str) -> None:
    """A bundled schema validates with no registry at all."""
    bundled = json.loads(json.dumps(check.bundle(name)))
    text = "version: 1\naccounts: {a: {client_id: x, oauth2_endpoint: {token: {url: u}}}}"
    text += "\nendpoints: {e: {token: {}}}"
    good = {
        "manifest": yamlfile.read_text(text).data,
        "account": {"client_id": "x"},
        "endpoint": {"endpoint": "e"},
    }
    assert list(Draft202012Validator(bundled).iter_errors(good[name])) == []
    assert list(Draft202012Validator(bundled).iter_errors({"x": 1}))


def test_no_reference_leaves_the_house() -> None:
    """No schema refers to anything but these schemas, so nothing could be fetched."""
    ids = {check.schema(name)["$id"] for name in check.NAMES}
    for name in check.NAMES:
        for line in json.dumps(check.schema(name)).split('"$ref": "')[1:]:
            target = line.split('"')[0].split("#")[0]
            assert target == "" or target in ids


def test_a_schema_written_into_a_manifest_is_not_followed() -> None:
    """$schema, $id and $ref in a person's file are unknown keys like any other."""
    document = yamlfile.read_text(
        "version: 1\n$ref: https://127.0.0.1:1/x.json\n$schema: https://127.0.0.1:1/y\n"
    )
    assert [p.pointer for p in check.check(document, "manifest")] == ["/$ref", "/$schema"]


def test_there_are_only_three_schemas() -> None:
    """A schema's name cannot become a path."""
    with pytest.raises(LookupError):
        check.schema("../account")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Client ID", "client_id"),
        ("clientSecret", "client_secret"),
        ("OAuth2 Endpoint", "oauth2_endpoint"),
        ("Auto-refresh", "auto_refresh"),
        ("scope", "scopes"),
        ("hunter", ""),
    ],
)
def test_near_misses(written: str, meant: str) -> None:
    """Labels of the dialog, camel case and slips of the finger lead to the key."""
    assert check.near_miss(written, check.schema("account")["properties"]) == meant


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
)


@settings(deadline=None)
@given(st.sampled_from(check.NAMES), st.sampled_from([*check.schema("account")["properties"]]), JSON)
def test_any_value_gets_words(name: str, key: str, value: Any) -> None:
    """Whatever stands there, the check ends in problems that have words."""
    for data in (value, {key: value}, {"accounts": {"a": {key: value}}}):
        for problem in check.check(Document(file="f", data=data), name):
            assert problem.message.isprintable()
