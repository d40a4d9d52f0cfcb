"""The servers themselves, by hand over HTTP: what they promise to the tests that sign in to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from byhand import Ask, get, post
from landing import Landing
from oidc_server import OidcServer, secret_of
from people import browser_person, plain_person

OFFLINE = "openid offline_access read"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture
def landing() -> Iterator[Landing]:
    with Landing() as landing:
        yield landing


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
    calls = "token", "calls", "authorization_code"
    assert after[calls[0]][calls[1]][calls[2]] == before[calls[0]][calls[1]].get(calls[2], 0) + 1


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
    oidc = make_oidc(deviceInterval=1)
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


def test_a_setting_that_does_not_exist_is_named(make_oidc: Callable[..., OidcServer]) -> None:
    """A rig that cannot start says why."""
    with pytest.raises(AssertionError, match="unknown settings: rotation"):
        make_oidc(rotation=True)
