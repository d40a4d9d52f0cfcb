"""Whatever shape a SnapLogic export has: no secret comes over, and what is written can be read."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from manifest_world import everything
from snaplogic_room import export, row, v

from connector import manifest
from connector.manifestwriter import write
from connector.snaplogic import import_accounts

CANARY = "CANARY-5f2d9c"
KEYS = [
    *(
        "client_id",
        "clientSecret",
        "Client secret",
        "access_token",
        "refreshToken",
        "password",
        "oauth2_token",
    ),
    *("oauth2Endpoint", "grant_type", "token_endpoint_config", "authEndpointConfig", "auto_refresh_token"),
    *("header_authenticated", "client_data_as_basic_auth", "username", "scope", "keyStorePassword", "x", ""),
]
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            *("scope", "redirect_uri", "audience", "yes", "0123", "1e3", "client_credentials", "password"),
            *("authorization_code", "https://a.example.com/t?x=1", "https://acme.coupahost.com/oauth2/token"),
            *("https://d.service-now.com/oauth_token.do", "${env:X}", "{{X}}", "\ud800", "a\x00b", "1" * 50),
        ]
    ),
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS)


def enveloped(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    both = st.fixed_dictionaries({"value": inner, "expression": st.one_of(st.booleans(), LEAVES)})
    return st.one_of(both, both, inner, st.fixed_dictionaries({"expression": st.just(True)}))


ROWS = st.lists(
    st.dictionaries(
        st.sampled_from(["key", "value", "aParam", "aParamValue", "x"]), enveloped(LEAVES), max_size=3
    ),
    max_size=4,
)
ANYTHING = st.recursive(
    LEAVES, lambda i: st.one_of(st.lists(i, max_size=3), st.dictionaries(TEXTS, i, max_size=3)), max_leaves=6
)
SETTINGS = st.dictionaries(
    st.one_of(st.sampled_from(KEYS), TEXTS), enveloped(st.one_of(LEAVES, ROWS, ANYTHING)), max_size=12
)


@st.composite
def exports(draw: st.DrawFn) -> Any:
    """Exports of any shape whose secrets are canaries."""
    found = []
    for fields in draw(st.lists(SETTINGS, min_size=1, max_size=3)):
        for key in (
            "clientSecret",
            "access_token",
            "refreshToken",
            "password",
            "keyStorePassword",
            "username",
        ):
            if draw(st.booleans()):
                fields[key] = draw(enveloped(st.just(f"{CANARY}-{key}")))
        if draw(st.booleans()):
            fields["token_endpoint_config"] = v([row(draw(TEXTS), draw(LEAVES)), row("my_token", CANARY)])
        account = export()
        account["property_map"]["settings"] |= fields
        if draw(st.booleans()):
            account["property_map"]["settings"] = fields
        account["property_map"]["info"] = draw(
            st.one_of(LEAVES, st.fixed_dictionaries({"label": enveloped(LEAVES)}))
        )
        account["class_fqid"] = draw(st.one_of(LEAVES, st.just(account["class_fqid"])))
        found.append(account)
    return draw(st.sampled_from([found, {"accounts": found}, {"/a/b": found[0]}, {"account": found[0]}]))


@given(data=exports())
@settings(max_examples=150, deadline=None)
def test_any_envelopes(data: Any) -> None:
    """Never an untyped error, never a secret, and what is written our manifest reader takes."""
    found = import_accounts(json.loads(json.dumps(data)))
    text = write(found.accounts)
    assert manifest.loads(text).accounts.keys() == {e.name for e in found.accounts if not e.lacks}
    said = text + "".join(found.skipped) + "".join(n for e in found.accounts for n in (*e.notes, *e.lacks))
    assert CANARY not in said
    bound, problems = everything(text)
    assert not problems
    assert len(bound) == sum(not e.lacks for e in found.accounts)


@given(data=ANYTHING)
def test_any_json(data: Any) -> None:
    """JSON that is something else altogether has no accounts, and breaks nothing."""
    assert import_accounts(data).accounts == ()
