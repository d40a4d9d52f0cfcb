"""From SnapLogic's account definitions to accounts of a manifest: what comes over, and what never does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from manifest_world import everything
from snaplogic_room import export, row, v

from connector.errors import ConnectorError
from connector.manifestwriter import Entry, write
from connector.snapexport import MAX_BYTES, MAX_DEPTH, find, parse
from connector.snapguard import Names
from connector.snaplogic import Imported, import_accounts
from connector.yamlfile import read_text

EXPORTS = Path(__file__).parent / "exports"


def one(**changed: Any) -> Entry:
    """The account that becomes of `export`."""
    (entry,) = import_accounts(export(**changed)).accounts
    return entry


def load(name: str) -> Imported:
    return import_accounts(parse((EXPORTS / f"{name}.json").read_bytes()))


def test_the_five_fields() -> None:
    """Client, URLs and grant come over under our names; the secret becomes a reference."""
    entry = one(auto_refresh_token=v(True))
    assert entry.name == "orders"
    assert entry.fields == {
        "label": "Orders",
        "client_id": "orders",
        "client_secret": "${env:ORDERS_CLIENT_SECRET}",
        "oauth2_endpoint": "https://login.example.com/authorize",
        "oauth2_token": "https://login.example.com/token",
        "auto_refresh": True,
        "grant": "authorization_code",
    }
    assert any("connector adopt orders" in note and "connector login orders" in note for note in entry.notes)


@pytest.mark.parametrize(
    ("token", "authorize", "endpoint", "settings"),
    [
        ("https://acme.coupahost.com/oauth2/token", "", "coupa", {"host": "acme.coupahost.com"}),
        ("https://ACME.coupacloud.com:443/oauth2/token/", "", "coupa", {"host": "acme.coupacloud.com"}),
        (
            "https://acme.coupahost.com/oauth2/token",
            "https://acme.coupahost.com/oauth2/authorizations/new",
            "coupa",
            {"host": "acme.coupahost.com"},
        ),
        (
            "https://dev12345.service-now.com/oauth_token.do",
            "https://dev12345.service-now.com/oauth_auth.do",
            "servicenow",
            {"instance": "dev12345"},
        ),
    ],
)
def test_known_urls(token: str, authorize: str, endpoint: str, settings: dict[str, str]) -> None:
    """Coupa and ServiceNow are known by their URLs."""
    rows = v([row("scope", "core.invoice.read")])
    entry = one(oauth2_token=v(token), oauth2_endpoint=v(authorize), token_endpoint_config=rows)
    assert (entry.fields["oauth2_endpoint"], entry.fields["settings"]) == (endpoint, settings)
    assert "oauth2_token" not in entry.fields
    assert not everything(write([entry]))[1]


@pytest.mark.parametrize(
    "token",
    [
        "https://acme.coupahost.com.example.com/oauth2/token",
        "https://coupahost.com/oauth2/token",
        "https://acme.coupahost.com/oauth2/token2",
        "https://a.b.service-now.com/oauth_token.do",
        "https://acme.coupahost.com:8443/oauth2/token",
    ],
)
def test_urls_that_only_look_known(token: str) -> None:
    """A neighbour of a known URL stays a URL."""
    assert one(oauth2_token=v(token)).fields["oauth2_token"] == token


def test_another_login_page_keeps_the_urls() -> None:
    """Where people log in elsewhere than at the known path, both URLs stay as they were."""
    fields = one(
        oauth2_token=v("https://acme.coupahost.com/oauth2/token"),
        oauth2_endpoint=v("https://sso.example.com/authorize"),
    ).fields
    assert fields["oauth2_endpoint"] == "https://sso.example.com/authorize"
    assert "settings" not in fields


def test_rows() -> None:
    """Rows become scopes, redirect_uri and parameters; what may be a secret becomes a reference."""
    entry = one(
        token_endpoint_config=v(
            [
                row("scope", "a b"),
                row("audience", "https://api.example.com"),
                row("company_key", "CANARY-row"),
                row("resource", "_resource", True),
                row("client_id", "again"),
                row("", ""),
                "no row",
            ]
        ),
        auth_endpoint_config=v(
            [
                {"key": v("scope"), "value": v("b c")},
                {"key": v("redirect_uri"), "value": v("http://127.0.0.1:8765/callback")},
                {"key": v("max_age"), "value": v(60)},
            ]
        ),
    )
    assert entry.fields["scopes"] == ["a", "b", "c"]
    assert entry.fields["redirect_uri"] == "http://127.0.0.1:8765/callback"
    assert entry.fields["auth_endpoint_config"] == {"max_age": 60}
    assert entry.fields["token_endpoint_config"] == {
        "audience": "https://api.example.com",
        "company_key": "${env:ORDERS_COMPANY_KEY}",
        "resource": "${env:ORDERS_RESOURCE}",
    }
    assert not everything(write([entry]))[1]


def test_snaplogics_own_redirect_stays_behind() -> None:
    """A login that ends at SnapLogic never reaches us, and the note says what to register instead."""
    own = v([row("redirect_uri", "https://emea.snaplogic.com/api/1/rest/admin/oauth2callback/rest")])
    entry = one(auth_endpoint_config=own)
    assert "redirect_uri" not in entry.fields
    assert any("loopback" in note for note in entry.notes)


def test_expressions_are_replaced_or_left_out() -> None:
    """A reference stands in where the field takes one; elsewhere a note says what is missing."""
    entry = one(
        client_id=v("pipe.args.id", True),
        client_secret=v("_clientSecret", True),
        oauth2_endpoint=v("_auth", True),
        grant_type=v("client_credentials"),
        auto_refresh_token=v("_auto", True),
        auth_endpoint_config=v([row("scope", "_scope", True)]),
        header_authenticated=v("true", True),
    )
    assert entry.fields["client_id"] == "${env:ORDERS_CLIENT_ID}"
    assert entry.fields.keys() == {"label", "client_id", "client_secret", "oauth2_token", "grant"}
    assert sum("expression" in note for note in entry.notes) == 5
    assert not entry.lacks


def test_boxes() -> None:
    """Boxes keep their meaning where our default is another one."""
    off = one(
        header_authenticated=v(False), auto_refresh_token=v("false"), client_data_as_basic_auth=v(False)
    )
    assert (off.fields["header_authenticated"], off.fields["auto_refresh"]) == (False, False)
    on = one(headerAuthenticated=v(True), autoRefreshToken=v("true"), clientDataAsBasicAuth=v(True))
    assert on.fields["auto_refresh"] is on.fields["send_client_data_as_basic_auth_header"] is True
    assert "header_authenticated" not in on.fields


@pytest.mark.parametrize("authorize", ["https://login.example.com/authorize", ""])
def test_password_grant(authorize: str) -> None:
    """No username and password come over; the account can still begin from a login or a token reply."""
    entry = one(
        grant_type=v("password"),
        username=v("CANARY-user"),
        password=v("CANARY-pass"),
        oauth2_endpoint=v(authorize),
    )
    text = write([entry])
    assert "CANARY" not in text
    accounts, problems = everything(text)
    assert not problems
    assert accounts["orders"].grant == ("authorization_code" if authorize else "refresh_token")
    assert any("password" in note for note in entry.notes)


def test_what_cannot_be_used_is_a_comment() -> None:
    """Without a token URL an account is there to read and to complete, and does not spoil the others."""
    entry = one(oauth2_token=v("_tokenUrl", True))
    assert entry.lacks == ("add oauth2_token: the token URL.",)
    text = write([entry])
    assert "\n  # orders:\n" in text
    assert read_text(text).data == {"version": 1, "accounts": {}}


@pytest.mark.parametrize(
    "url",
    [
        "http://login.example.com/token",
        "https://user:CANARY@login.example.com/token",
        "https://login.example.com/token#CANARY",
        "https://{{HOST}}/token",
        "https://login.example.com/CANARY-secret",
        "https://login.example.com/CANARY%2Dsecret",
        "eyJCANARY",
        "login.example.com/token",
        "https://[CANARY/",
    ],
)
def test_urls_that_do_not_come_over(url: str) -> None:
    """A URL that holds a secret, or may not be shown one, is not written down."""
    entry = one(oauth2_token=v(url))
    assert entry.lacks
    assert "CANARY" not in f"{write([entry])}{entry.notes}"


def test_queries() -> None:
    """Of a query only well-known parameters come over."""
    url = "https://login.example.com/token?p=b2c&api_key=CANARY"
    entry = one(oauth2_token=v(url))
    assert entry.fields["oauth2_token"] == "https://login.example.com/token?p=b2c"
    assert any("api_key" in note for note in entry.notes)


def test_a_secret_in_the_wrong_field_stays_behind() -> None:
    """A text that holds one of the account's secrets is written nowhere."""
    secret = "s3cr3t-s3cr3t"
    entry = one(
        label=f"Orders ({secret})",
        client_id=v(secret),
        client_secret=v(secret),
        token_endpoint_config=v([row("audience", f"x{secret}"), row("scope", secret), row(secret, "x")]),
        **{secret: v("x")},
    )
    assert secret not in f"{write([entry])}{entry.notes}{entry.name}".lower()
    assert entry.fields["client_id"] == "${env:OAUTH2ACCOUNT_CLIENT_ID}"


def test_what_was_left_behind_is_said() -> None:
    """Tokens, expiration, a vault, and fields nobody knows: by name."""
    entry = one(
        access_token=v("CANARY"),
        access_token_expiration=v(1),
        vaultPath=v("x"),
        keyStore=v("CANARY"),
        empty=v(""),
        off=v(False),
    )
    said = " ".join(entry.notes)
    for words in ("Access token:", "Access token expiration:", "vault", "keyStore"):
        assert words in said
    assert "empty" not in said
    assert "CANARY" not in said


@pytest.mark.parametrize("name", ["one_coupa", "project", "by_path"])
def test_exports(name: str) -> None:
    """Exports of several shapes become sound manifests, without a secret."""
    found = load(name)
    text = write(found.accounts)
    accounts, problems = everything(text)
    assert not problems
    assert len(accounts) == sum(not entry.lacks for entry in found.accounts) > 0
    assert "CANARY" not in f"{text}{found.accounts}{found.skipped}{[e.notes for e in found.accounts]}"


def test_a_project() -> None:
    """Accounts in order; those that are none of OAuth2 are skipped by name, a pipeline is passed over."""
    found = load("project")
    assert [entry.name for entry in found.accounts] == [
        "servicenow_dev_on",
        "billing_api",
        "billing_api-2",
        "0123",
    ]
    assert [sentence.partition(" (")[0] for sentence in found.skipped] == ["Old basic", "Dynamic"]
    assert found.others == 1


@pytest.mark.parametrize(
    "wrap",
    [
        lambda a: a,
        lambda a: [a],
        lambda a: {"accounts": [a]},
        lambda a: {"entities": {"x": {"y": [a]}}},
        lambda a: {"/org/shared/Orders": a},
        lambda a: {"response_map": a},
        lambda a: {"path": "/org/shared", "account": a},
        lambda a: {"class_fqid": a["class_fqid"], "account": {"property_map": a["property_map"]}},
        lambda a: {
            "class_fqid": a["class_fqid"],
            "property_map": {"info": a["property_map"]["info"]},
            "account": {"property_map": {"settings": a["property_map"]["settings"]}},
        },
    ],
    ids=range(9),
)
def test_wrappers(wrap: Any) -> None:
    """Whatever stands around an account, it is found once, with its class and label."""
    accounts, others = find(wrap(export()))
    assert [(a.kind, a.label, others) for a in accounts] == [
        ("com-snaplogic-snaps-rest-oauth2account", "Orders", 0)
    ]
    (entry,) = import_accounts(wrap(export())).accounts
    assert entry.fields["client_id"] == "orders"


def test_names() -> None:
    """Names are valid, different, and so are the variables made of them."""
    names = Names()
    made = [names.account(label) for label in ("A b", "a-b", "", "0x", "Größe", "a b 2", "a b", "日本")]
    assert made == ["a_b", "a_b-2", "account", "0x", "grosse", "a_b_2-2", "a_b-3", "account-2"]
    variables = [names.variable(name, "client_secret") for name in made]
    assert len(set(variables)) == len(made)
    assert variables[3] == "ACCOUNT_0X_CLIENT_SECRET"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"{CANARY", "no JSON"),
        (b"\xff\xfe\xfd CANARY", "no JSON"),
        (b"PK\x03\x04CANARY", "ZIP"),
        (b"[" * 200_000, "deep"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "deep"),
        (b" " * (MAX_BYTES + 1), "larger than 8 MiB"),
        (b"9" * 5000, "no JSON"),
    ],
    ids=range(8),
)
def test_bad_files(data: bytes, reason: str) -> None:
    """What is no export is refused in words that hold nothing of it."""
    with pytest.raises(ConnectorError) as caught:
        parse(data)
    assert reason in str(caught.value)
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        "on",
        "yes",
        "0123",
        "1e3",
        "null",
        "~",
        "a: b",
        "a #b",
        "- a",
        "*x",
        "!x",
        "1_0",
        "2026-01-01",
        "'",
        '"',
        "\u2028",
        "x\ny",
        ".5",
        "<<",
        "",
        " a ",
    ],
)
def test_texts_read_back(value: str) -> None:
    """Whatever YAML would take for something else is quoted, as a value, in a list and as a key."""
    entry = Entry(
        name="a", fields={"label": value, "scopes": [value, "x"], "token_endpoint_config": {"k": value}}
    )
    assert read_text(write([entry])).data["accounts"]["a"] == dict(entry.fields)


def test_large_accounts_cost_little() -> None:
    """Fields, rows and scopes by the ten thousand are counted, not compared with each other."""
    many = {f"key{i}": v(f"secret-{i}") for i in range(20_000)}
    entry = one(scope=v(" ".join(f"s{i}" for i in range(50_000))), **many)
    assert "scopes" not in entry.fields
    assert any(note.endswith(" and more.") for note in entry.notes)
    with pytest.raises(ConnectorError, match="1000 rows"):
        one(token_endpoint_config=v([row("a", "b")] * 1_001))
    with pytest.raises(ConnectorError, match="1000 accounts"):
        import_accounts([export()] * 1_001)
