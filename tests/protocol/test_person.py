"""The dialogs themselves, with a host that plays one login: what a person is shown, and what is opened."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from protocol_room import ISSUER, account

from connector.dialog.person import Manner, in_browser, on_device
from connector.errors import NotAuthorizedError

CODE = "WDJB-MJHT"


class Login:
    """A login under way."""

    url = f"{ISSUER}/authorize?x=1"
    user_code = CODE
    verification_uri = f"{ISSUER}/device"
    verification_uri_complete = f"{ISSUER}/device?user_code={CODE}"
    expires_at = 1000.0

    def __init__(self, redirect_uri: str = "") -> None:
        self.redirect_uri = redirect_uri

    def answered_by(self, redirected: str) -> bool:
        """Whether it is ours."""
        return "state=ours" in redirected

    def finish(self, redirected: str) -> Any:
        """The token, or a no."""
        if "error=" in redirected:
            raise NotAuthorizedError("it was denied", code="access_denied")
        return redirected

    def wait(self, **more: Any) -> str:
        """The token of a device."""
        return "device token"


class Stage:
    """A host with one account, and a browser that is a program."""

    def __init__(self, tail: str) -> None:
        self.accounts = {"acme": account()}
        self.opened: list[str] = []
        self.page = ""
        self.login = Login()
        self.tail = tail
        self.done: Callable[[], None] = lambda: None

    def authorization(self, name: str, *, redirect_uri: str, parameters: Any) -> Login:
        """Begin in a browser."""
        self.login.redirect_uri = redirect_uri
        return self.login

    def device(self, name: str) -> Login:
        """Begin on another device."""
        return self.login

    def open(self, url: str) -> bool:
        """The browser: it goes to the server and is sent back."""
        self.opened.append(url)
        self.page = httpx.get(self.login.redirect_uri + self.tail, trust_env=False, timeout=10).text
        return True


def run(stage: Any, **more: Any) -> Any:
    """A login in a browser."""
    return in_browser(stage, "acme", Manner(timeout_s=10, open=stage.open, **more))


def test_a_login_in_the_persons_own_browser(capsys: pytest.CaptureFixture[str]) -> None:
    """RFC 8252 section 6: the system's browser opens the server's page; its address is told as well."""
    stage = Stage("?code=c&state=ours")
    assert run(stage) == "/callback?code=c&state=ours"
    assert stage.opened == [Login.url]
    assert Login.url in capsys.readouterr().err
    assert stage.login.redirect_uri.startswith("http://127.0.0.1:")


def test_the_page_says_how_it_went() -> None:
    """A denied login is told in the browser too, and is the error of the command."""
    stage = Stage("?error=access_denied&state=ours")
    with pytest.raises(NotAuthorizedError, match="denied"):
        run(stage)


def test_nobody_comes() -> None:
    """The listener waits as long as it was told."""
    stage = Stage("?code=c&state=theirs")
    with pytest.raises(NotAuthorizedError) as caught:
        in_browser(stage, "acme", Manner(timeout_s=0.3, open=lambda url: False))  # type: ignore[arg-type]
    assert caught.value.code == "login_timeout"


def test_code_and_address_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """RFC 8628 section 3.3: both, as text, also where there is an address with the code in it."""
    stage: Any = SimpleNamespace(device=lambda name: Login())
    assert on_device(stage, "acme", clock=lambda: 940.0) == "device token"
    told = capsys.readouterr().err
    assert CODE in told.split()
    assert Login.verification_uri in told.split()
    assert "1 min 00 s" in told
