"""From a declared account to one that can be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from manifest_world import GRANTS, shipped

from connector import bind, endpointfile, manifest
from connector.account import Account
from connector.endpoint import Endpoint
from connector.errors import ManifestError, SecretMissingError
from connector.resolve import Resolver, resolve_with
from connector.secret import Secret, SecretRef

BOX = {
    "endpoint": "box",
    "settings": {"origin": {"x-filled-by": "service"}, "fast": {"type": "boolean", "default": False}},
    "grants": {"client_credentials": {"token": {"auth": "client_secret_basic"}}, "authorization_code": {}},
    "authorize": {"url": "{origin}/authorize"},
    "token": {"url": "{origin}/token"},
    "api": {"base_url": "{origin}/api"},
    "service": "sandbox",
}


def endpoints() -> dict[str, Endpoint]:
    """The shipped ones and one with a local service."""
    built, problems = endpointfile.build([endpointfile.from_mapping(BOX, origin="box")])
    assert not problems
    return {**shipped(), **built}


def bound(lines: str, resolve: Resolver | None = None) -> Account:
    """The account of these lines, bound."""
    text = "version: 1\naccounts:\n  a:\n" + "".join(f"    {line}\n" for line in lines.strip().split("\n"))
    return bind.bind_account(manifest.loads(text).accounts["a"], endpoints(), GRANTS, resolve=resolve)


COUPA = """\
client_id: ${env:ID}
client_secret: ${env:SECRET}
oauth2_endpoint: coupa
settings: {host: acme.coupahost.com}
scopes: core.invoice.read core.supplier.read
"""


def env(**values: str) -> Resolver:
    """A resolver over these variables and files that do not exist."""
    return resolve_with(
        {"env": lambda ref, _: values[ref], "file": lambda ref, _: Path(ref).read_text()}, Path(".")
    )


def test_an_account_of_a_registered_endpoint() -> None:
    """URLs, scopes and habits come from the endpoint; the first grant is the default."""
    account = bound(COUPA, env(ID="me"))
    assert account.client_id == "me"
    assert account.grant == "client_credentials"
    assert account.token_url() == "https://acme.coupahost.com/oauth2/token"
    assert account.base_url() == "https://acme.coupahost.com"
    assert account.hosts() == {"acme.coupahost.com"}
    assert account.scopes == ("core.invoice.read", "core.supplier.read")
    assert account.scope_text(refreshable=True).endswith(" offline_access")
    assert account.origin == "manifest.yaml:3"
    assert account.unresolved == ()


def test_the_secret_itself_is_not_fetched() -> None:
    """client_secret stays a reference, with its place, until a token call is built."""
    secret = bound(COUPA, env(ID="me")).client_secret
    assert secret == SecretRef(
        scheme="env",
        ref="SECRET",
        file="manifest.yaml",
        line=5,
        column=20,
        pointer="/accounts/a/client_secret",
    )


def test_checking_needs_no_environment() -> None:
    """Without a resolver references stay as text, are listed, and are not mistaken for wrong values."""
    account = bound(COUPA.replace("acme.coupahost.com", '"${env:HOST}"'))
    assert [str(ref) for ref in account.unresolved] == ["${env:HOST}", "${env:ID}"]
    assert account.client_id == "${env:ID}"


def test_all_that_is_missing_is_told() -> None:
    """Each reference that leads to nothing is one problem, with its place."""
    with pytest.raises(SecretMissingError) as caught:
        bound(COUPA.replace("acme.coupahost.com", '"${file:/nowhere}"'), env())
    assert [(p.line, p.column) for p in caught.value.problems] == [(7, 22), (4, 16)]
    assert "set the environment variable ID" in str(caught.value)


def test_a_missing_reference_hides_no_mistake() -> None:
    """Other problems come along, and then it is a ManifestError like any other."""
    with pytest.raises(ManifestError) as caught:
        bound(COUPA.replace("core.invoice.read core.supplier.read", "[]"), env())
    assert not isinstance(caught.value, SecretMissingError)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("value", ["https://acme.coupahost.com", "a b", "x\ny"])
def test_what_a_reference_leads_to_is_checked_and_not_shown(value: str) -> None:
    """A resolved setting meets the same rules as a written one."""
    with pytest.raises(ManifestError) as caught:
        bound(COUPA.replace("acme.coupahost.com", '"${env:HOST}"'), env(ID="me", HOST=value))
    assert value not in str(caught.value)


def test_an_unknown_scheme_names_the_known_ones() -> None:
    """A resolver knows its sources and suggests one."""
    with pytest.raises(ManifestError, match=r"no secret source is called vault.*known: env, file"):
        bound(COUPA.replace("env:ID", "vault:ID"), env())


def test_bare_urls() -> None:
    """Two URLs are enough: a login by default, and the token stays with their hosts."""
    account = bound(
        "client_id: x\nclient_secret: ${env:S}\noauth2_endpoint: https://a.example/o\noauth2_token: https://b.example/t"
    )
    assert account.grant == "authorization_code"
    assert account.endpoint.authorize.url == ("https://a.example/o",)
    assert account.hosts() == {"a.example", "b.example"}
    assert account.base_url() == ""


def test_a_token_url_alone() -> None:
    """Without an authorization URL the grant is client_credentials; api says where the token may go."""
    account = bound(
        """\
client_id: x
client_secret: ${env:S}
oauth2_token: https://b.example/t
api: {base_url: "https://c.example", hosts: ["*.d.example"], headers: {Accept: "a/{b}"}}"""
    )
    assert account.grant == "client_credentials"
    assert account.hosts() == {"c.example", "*.d.example"}
    assert account.api_headers() == {"Accept": "a/{b}"}


def test_authorization_code_needs_where_to_go() -> None:
    """Asking for a login without an authorization URL is told."""
    with pytest.raises(ManifestError, match="needs an authorization URL"):
        bound(
            "client_id: x\nclient_secret: ${env:S}\n"
            "oauth2_token: https://b.example/t\ngrant: authorization_code"
        )


def test_an_endpoint_written_in_the_account() -> None:
    """It may extend a registered one, or be whole."""
    extended = bound(
        COUPA.replace("coupa\n", '{extends: coupa, token: {url: "https://{host}/t", auth: none}}\n', 1)
    )
    assert extended.token_url() == "https://acme.coupahost.com/t"
    assert extended.endpoint.token.auth == "none"
    whole = bound(
        "client_id: x\nclient_auth: none\noauth2_endpoint: {grants: [client_credentials], token: {url: https://x.example/t}}"
    )
    assert whole.token_url() == "https://x.example/t"


def test_a_service_fills_its_own_settings() -> None:
    """The sandbox's origin is not asked of the person, and its secret may be written down."""
    account = bound("client_id: x\nclient_secret: hunter2\noauth2_endpoint: box\nsettings: {fast: true}")
    assert account.client_secret == Secret("hunter2")
    assert account.settings == {"fast": "true"}
    assert account.endpoint.token.auth == "client_secret_basic"
    assert "hunter2" not in repr(account)


def test_a_service_elsewhere_gets_no_literal_secret() -> None:
    """`service` in an endpoint is no way around the rule: a URL off this machine wants a reference."""
    with pytest.raises(ManifestError, match="may not stand in the manifest"):
        bound(
            "client_id: x\nclient_secret: hunter2\noauth2_endpoint: box\nsettings: {origin: https://evil.example}"
        )


def test_rows_in_order_and_secrets_among_them() -> None:
    """Rows keep their order; what came from a reference prints nowhere."""
    account = bound(
        COUPA + "token_endpoint_config: [{name: b, value: 1}, {name: a, value: '${env:PW}'}]\n"
        "auth_endpoint_config: {prompt: login, force: true}",
        env(ID="me", PW="hunter2"),
    )
    assert account.token_params == (("b", "1"), ("a", Secret("hunter2")))
    assert account.authorize_params == (("prompt", "login"), ("force", "true"))
    assert "hunter2" not in repr(account)


def test_the_switches_of_the_dialog() -> None:
    """Send client data as Basic Auth header, Header authenticated and the rest arrive in the account."""
    account = bound(
        COUPA + "send_client_data_as_basic_auth_header: true\nbasic: raw\nheader_authenticated: false\n"
        "auto_refresh: false\nforeign_hosts: refuse\ncookies: true\nretry_budget: 5\nlabel: L\n"
        "redirect_uri: http://127.0.0.1:8765/callback"
    )
    assert (account.client_auth, account.basic) == ("client_secret_basic", "raw")
    assert (account.header_authenticated, account.auto_refresh, account.cookies) == (False, False, True)
    assert (account.foreign_hosts, account.retry_budget_s, account.label) == ("refuse", 5.0, "L")
    assert account.redirect_uri == "http://127.0.0.1:8765/callback"
    plain = bound(COUPA)
    assert (plain.client_auth, plain.header_authenticated, plain.auto_refresh) == (None, True, True)


def test_servicenow_by_name_or_by_host() -> None:
    """The instance's name is enough; a host of its own wins."""
    lines = "client_id: x\nclient_secret: ${env:S}\noauth2_endpoint: servicenow\nsettings: "
    assert bound(lines + "{instance: dev1}").token_url() == "https://dev1.service-now.com/oauth_token.do"
    assert bound(lines + "{host: support.example.com}").base_url() == "https://support.example.com"
    assert bound(lines + "{instance: dev1}").endpoint.refresh.before_s == 0


def test_a_broken_account_hides_no_other() -> None:
    """bind_all gives the accounts that are right and every problem of the others."""
    text = "version: 1\naccounts:\n" + "".join(
        f"  {name}: {{client_id: x, client_auth: none, oauth2_token: https://x.example/t, grant: {grant}}}\n"
        for name, grant in (("a", "client_credentials"), ("b", "kerberos"), ("c", "clientcredentials"))
    )
    accounts, problems = bind.bind_all(manifest.loads(text), {}, GRANTS)
    assert set(accounts) == {"a"}
    assert [(p.line, p.hint) for p in problems] == [
        (4, f"allowed here: {', '.join(grant for grant in GRANTS if grant != 'refresh_token')}"),
        (5, "did you mean client_credentials?"),
    ]


def test_a_secret_setting_is_never_shown() -> None:
    """Messages about a setting marked x-secret give only its kind."""
    spec = {
        "endpoint": "keyed",
        "settings": {"key": {"x-secret": True, "pattern": "[0-9a-f]{32}"}},
        "grants": ["client_credentials"],
        "token": {"url": "https://x.example/t"},
    }
    built, _ = endpointfile.build([endpointfile.from_mapping(spec, origin="x")])
    account = "{client_id: x, client_auth: none, oauth2_endpoint: keyed, settings: {key: hunter2}}"
    text = f"version: 1\naccounts: {{a: {account}}}"
    _, problems = bind.bind_all(manifest.loads(text), built, GRANTS)
    assert len(problems) == 2  # its form, and that it stands there at all
    assert "hunter" not in str(problems[0])


def test_an_endpoint_with_problems_is_not_called_unknown() -> None:
    """An account of a broken endpoint of this manifest is sent there."""
    text = "version: 1\nendpoints: {e: {extends: x}}\naccounts: {a: {client_id: x, oauth2_endpoint: e}}"
    _, problems = bind.bind_all(manifest.loads(text), {}, GRANTS)
    assert [p.hint for p in problems] == ["solve those first"]
