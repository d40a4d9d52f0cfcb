"""The servers themselves, by hand over HTTP: what they promise to the tests that sign in to them."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from byhand import Ask, get, post, proof
from chromium import browser_person
from cryptography.hazmat.primitives.asymmetric import ec
from django_server import DjangoServer, toolkit_secret_of
from landing import Landing
from oidc_server import OidcServer, secret_of
from people import plain_person

OFFLINE = "openid offline_access read"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


def basic(client_id: str) -> tuple[str, str]:
    return client_id, secret_of(client_id)


def signed_in(oidc: OidcServer, landing: Landing, client_id: str = "basic") -> dict[str, str]:
    """The token reply of a whole login."""
    ask = Ask(client_id, landing.url, OFFLINE, {"prompt": "consent"})
    plain_person(ask.url(f"{oidc.url}/auth"))
    answer = landing.landed[-1]
    assert answer["state"] == ask.state
    assert answer["iss"] == oidc.url
    reply = post(f"{oidc.url}/token", ask.exchange(answer["code"]), auth=basic(client_id))
    assert reply.status_code == 200, reply.text
    tokens: dict[str, str] = reply.json()
    return tokens


def renewed(oidc: OidcServer, refresh_token: str) -> httpx.Response:
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    return post(f"{oidc.url}/token", form, auth=basic("basic"))


def test_a_login_by_hand(oidc: OidcServer, landing: Landing) -> None:
    """Code with PKCE, a person who consents, tokens, the API, and what was counted."""
    before = oidc.stats()
    tokens = signed_in(oidc, landing)
    who = get(f"{oidc.url}/api/whoami", tokens["access_token"])
    assert (who.status_code, who.json()["sub"], who.json()["client_id"]) == (200, "ada", "basic")
    assert get(f"{oidc.url}/api/whoami", "nonsense").status_code == 401
    after = oidc.stats()
    assert after["api"]["calls"] == before["api"]["calls"] + 2
    assert after["api"]["unauthorized"] == before["api"]["unauthorized"] + 1
    grant = "authorization_code"
    assert after["token"]["calls"][grant] == before["token"]["calls"].get(grant, 0) + 1


def test_no_is_an_answer(oidc: OidcServer, landing: Landing) -> None:
    """A person who denies is sent back with access_denied."""
    ask = Ask("public", landing.url, OFFLINE, {"prompt": "consent"})
    page = plain_person(ask.url(f"{oidc.url}/auth"), deny=True)
    assert str(page.url).startswith(landing.url)
    assert landing.landed[-1]["error"] == "access_denied"


def test_a_refresh_token_shown_twice_ends_its_family(oidc: OidcServer, landing: Landing) -> None:
    """The second showing is refused, and takes the successor and the access tokens with it."""
    first = signed_in(oidc, landing)["refresh_token"]
    second = renewed(oidc, first).json()
    assert second["refresh_token"] != first
    assert renewed(oidc, first).json()["error"] == "invalid_grant"
    assert renewed(oidc, second["refresh_token"]).json()["error"] == "invalid_grant"
    assert get(f"{oidc.url}/api/whoami", second["access_token"]).status_code == 401
    assert (oidc.shown(first), oidc.shown(second["refresh_token"])) == (2, 1)


def test_a_device(make_oidc: Callable[..., OidcServer]) -> None:
    """Pending until somebody enters the code, then a token."""
    oidc = make_oidc(device_interval=1)
    asked = post(f"{oidc.url}/device/auth", {"scope": "openid offline_access"}, auth="device").json()
    assert asked["interval"] == 1
    form = {"grant_type": DEVICE, "device_code": asked["device_code"]}
    assert post(f"{oidc.url}/token", form, auth="device").json()["error"] == "authorization_pending"
    page = plain_person(asked["verification_uri"], user_code=asked["user_code"])
    assert "Signed in" in page.text
    assert "refresh_token" in post(f"{oidc.url}/token", form, auth="device").json()


def test_chromium_clicks_through(oidc: OidcServer, landing: Landing) -> None:
    """A real browser ends at the redirect URI with a code."""
    ask = Ask("public", landing.url, OFFLINE, {"prompt": "consent"})
    assert "Landed" in browser_person(ask.url(f"{oidc.url}/auth"))
    code = landing.landed[-1]["code"]
    assert post(f"{oidc.url}/token", ask.exchange(code), auth="public").status_code == 200


def test_a_proof_of_possession(make_oidc: Callable[..., OidcServer], landing: Landing) -> None:
    """The token is worth nothing without a fresh proof by its key, with the server's nonce in it."""
    oidc = make_oidc(dpop_nonce="required")
    endpoint, api = f"{oidc.url}/token", f"{oidc.url}/api/whoami"
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ask = Ask("dpop", landing.url, OFFLINE, {"prompt": "consent"})
    plain_person(ask.url(f"{oidc.url}/auth"))
    form = ask.exchange(landing.landed[-1]["code"])
    asked = post(endpoint, form, auth="dpop", headers=proof(key, "POST", endpoint))
    assert asked.json()["error"] == "use_dpop_nonce"
    nonce = asked.headers["dpop-nonce"]
    reply = post(endpoint, form, auth="dpop", headers=proof(key, "POST", endpoint, nonce=nonce)).json()
    token = reply["access_token"]
    assert reply["token_type"] == "DPoP"
    good = proof(key, "GET", api, token=token, nonce=nonce)
    assert get(api, headers=good).json()["sub"] == "ada"
    for refused, error in (
        (good, "invalid_token"),
        (proof(key, "GET", api, token=token), "use_dpop_nonce"),
        (proof(key, "POST", api, token=token, nonce=nonce), "invalid_dpop_proof"),
        (proof(other, "GET", api, token=token, nonce=nonce), "invalid_token"),
        ({"Authorization": f"Bearer {token}"}, "invalid_token"),
    ):
        answer = get(api, headers=refused)
        assert answer.status_code == 401
        assert f'error="{error}"' in answer.headers["www-authenticate"]


def test_a_setting_that_does_not_exist_is_named(make_oidc: Callable[..., OidcServer]) -> None:
    """A rig that cannot start says why."""
    with pytest.raises(AssertionError, match="unknown settings: rotation"):
        make_oidc(rotation=True)


def toolkit_login(toolkit: DjangoServer, landing: Landing, client_id: str = "confidential") -> dict[str, str]:
    ask = Ask(client_id, landing.url, "read")
    plain_person(ask.url(f"{toolkit.issuer}/authorize/"))
    answer = landing.landed[-1]
    auth = client_id if client_id == "public" else (client_id, toolkit_secret_of(client_id))
    reply = post(f"{toolkit.issuer}/token/", ask.exchange(answer["code"]), auth=auth)
    assert reply.status_code == 200, reply.text
    tokens: dict[str, str] = reply.json()
    return tokens


def toolkit_renewed(toolkit: DjangoServer, refresh_token: str) -> httpx.Response:
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    auth = "confidential", toolkit_secret_of("confidential")
    return post(f"{toolkit.issuer}/token/", form, auth=auth)


def test_a_login_to_the_toolkit(toolkit: DjangoServer, landing: Landing) -> None:
    """The same person, other pages; reuse ends the family here too."""
    assert get(toolkit.discovery).json()["issuer"] == toolkit.issuer
    first = toolkit_login(toolkit, landing)
    assert get(f"{toolkit.url}/api/whoami", first["access_token"]).json()["sub"] == "ada"
    assert get(f"{toolkit.url}/api/whoami", "nonsense").status_code == 401
    second = toolkit_renewed(toolkit, first["refresh_token"]).json()
    assert toolkit_renewed(toolkit, first["refresh_token"]).json()["error"] == "invalid_grant"
    assert toolkit_renewed(toolkit, second["refresh_token"]).json()["error"] == "invalid_grant"
    assert toolkit.shown(first["refresh_token"]) == 2


def test_the_toolkit_takes_no(toolkit: DjangoServer, landing: Landing) -> None:
    """Cancel is the other button there, and the pages are theirs."""
    ask = Ask("public", landing.url, "read")
    assert "Landed" in browser_person(ask.url(f"{toolkit.issuer}/authorize/"), deny=True)
    assert landing.landed[-1]["error"] == "access_denied"


def test_the_grace_of_the_toolkit(make_toolkit: Callable[..., DjangoServer], landing: Landing) -> None:
    """Within it, a token shown again gets the same successor again."""
    toolkit = make_toolkit(grace=30)
    first = toolkit_login(toolkit, landing)["refresh_token"]
    replies = [toolkit_renewed(toolkit, first).json()["refresh_token"] for _ in range(2)]
    assert replies[0] == replies[1] != first


def test_a_device_at_the_toolkit(toolkit: DjangoServer) -> None:
    """A code to enter, on pages that ask for the login first."""
    asked = post(f"{toolkit.issuer}/device-authorization/", {"scope": "read"}, auth="device").json()
    form = {"grant_type": DEVICE, "device_code": asked["device_code"]}
    endpoint = f"{toolkit.issuer}/token/"
    assert post(endpoint, form, auth="device").json()["error"] == "authorization_pending"
    plain_person(asked["verification_uri"], user_code=asked["user_code"])
    assert "access_token" in post(endpoint, form, auth="device").json()


def test_both_go_when_their_input_closes(
    make_oidc: Callable[..., OidcServer], make_toolkit: Callable[..., DjangoServer]
) -> None:
    """Whoever starts one need not be there to stop it."""
    for server in (make_oidc(), make_toolkit()):
        process = server._process
        assert process is not None
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0
