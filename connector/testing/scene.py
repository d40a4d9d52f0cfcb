"""What is played with one grant: each part says in words what happened, or raises `Failed`.

Rules of this room: the host is that of production. What goes wrong is told with the key of the file that is
to blame; what the persona complained of is not told again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx

from connector.endpointread import many, statuses
from connector.errors import ConnectorError, NotAuthorizedError
from connector.host import Host
from connector.sandbox.persona import FRAGMENT, STATIC, Persona, own_hosts
from connector.testing.sampled import NAME
from connector.testing.wires import Clock

FOREIGN = "https://stranger.invalid/download"
_CALLBACK = "http://127.0.0.1:8765/callback"


class Failed(Exception):
    """Something did not go as the file says.

    Attributes:
        steps: of the key to blame.
    """

    def __init__(self, words: str, *steps: str | int) -> None:
        super().__init__(words)
        self.words, self.steps = words, steps


class Scene:
    """A host and a persona that play together.

    Args:
        browser: the way to the persona of somebody who consents.
        spec: the endpoint's mapping, what it says for the grant merged in.
    """

    def __init__(
        self,
        host: Host,
        persona: Persona,
        clock: Clock,
        browser: httpx.BaseTransport,
        spec: Mapping[str, Any],
    ) -> None:
        self.host, self.persona, self.clock, self.browser = host, persona, clock, browser
        self.spec, self.grant = spec, persona.grant

    def login(self) -> str:
        """Sign in as this grant does."""
        match self.grant:
            case "authorization_code":
                target = self.host.accounts[NAME].endpoint.authorize.redirect_uri
                asked = self.host.authorization(NAME, redirect_uri="" if target else _CALLBACK)
                asked.finish(self._browse(asked.url))
                return "through the redirect"
            case "device_code":
                self.host.device(NAME).wait(sleep=self.clock.sleep)
                return "on another device"
            case "refresh_token":
                refresh = self.persona.ledger.new_refresh()
                self.host.adopt(NAME, {"refresh_token": refresh, "expires_in": 0})
                return "with a refresh token one holds"
        self.host.token(NAME)
        return "by itself"

    def _browse(self, url: str) -> str:
        """Be the browser of somebody who consents; where it was sent to."""
        address, _, fragment = url.partition("#")
        headers = {FRAGMENT: fragment} if fragment else {}
        response = self.browser.handle_request(httpx.Request("GET", address, headers=headers))
        response.read()
        if response.status_code != 302:
            raise Failed(f"the authorization page answered {response.status_code}", "authorize")
        return response.headers["location"]

    def request(self) -> str:
        """The token, headers and parameters are where the file says."""
        self._ask("sync")
        self._ask("asyncio")
        self._lifetime()
        return "200, sync and asyncio"

    def _ask(self, kind: str, url: str = "") -> httpx.Response:
        """One API request that must succeed."""
        response = self._get(kind, url or self._address())
        if response.status_code != 200:
            raise Failed(f"the API answered {response.status_code}", "api")
        return response

    def _get(self, kind: str, url: str) -> httpx.Response:
        if kind == "sync":
            with self.host.client(NAME) as http:
                return http.get(url)

        async def ask() -> httpx.Response:
            async with self.host.async_client(NAME) as http:
                return await http.get(url)

        return asyncio.run(ask())

    def _address(self) -> str:
        account = self.host.accounts[NAME]
        if account.endpoint.api.base_url:
            return "/connector/plugin/check"
        named = [host for host in self.persona.api_hosts() if "*" not in host and "{" not in host]
        return f"https://{(named or sorted(own_hosts(self.persona)))[0]}/connector/plugin/check"

    def _lifetime(self) -> None:
        """Whether the end of the token was understood."""
        ledger = self.persona.ledger
        if self.grant in STATIC or not ledger.current:
            return
        said = self.host.token(NAME).expires_at
        ends = ledger.access[ledger.current].expires_at
        if said is None and self.persona.tells_end():
            raise Failed("the reply says when the token ends, and that was not understood", "response")
        if said is not None and abs(said - ends) > 2:
            key = next(
                (k for k in ("expires_at", "expires_in") if k in self.spec.get("response", {})), "lifetime"
            )
            raise Failed(
                f"the token was taken to live for {said - self.clock():g} s, not {ends - self.clock():g}",
                "response",
                key,
            )

    def _renewals(self) -> int:
        return self.persona.turn + len(self.persona.seen_jwts)

    def expiry(self) -> str:
        """A token that ends is renewed."""
        for kind in ("asyncio", "sync"):
            before = self._renewals()
            self.clock.advance(self._left() + 1)
            self._ask(kind)
            self._renewed(before)
        return "twice, each followed by a 200"

    def _left(self) -> float:
        ledger = self.persona.ledger
        if ledger.current:
            return max(ledger.access[ledger.current].expires_at - self.clock(), 0.0)
        return float(self.spec.get("jwt", {}).get("lifetime", 300))

    def _renewed(self, before: int) -> None:
        if self._renewals() == before:
            raise Failed("nothing was renewed", "refresh")
        if self.grant not in STATIC and self._refreshes() and not self.persona.counts["refresh"]:
            raise Failed("it signed in anew instead of renewing", "refresh")

    def _refreshes(self) -> bool:
        return bool(self.persona.ledger.shown)

    def refusal(self) -> str:
        """A token that is refused before its end is renewed too."""
        for kind in ("sync", "asyncio"):
            before = self._renewals()
            self.clock.advance(2)
            self.persona.refuse_tokens()
            self._ask(kind)
            self._renewed(before)
        return "twice, each followed by a 200"

    def locked(self) -> str:
        """A key that is refused: whoever asked is told."""
        self.persona.locked = True
        try:
            status = self._get("sync", self._address()).status_code
            declared = many(self.spec.get("api", {}).get("expired", {}))
            if status < 400 and not any(status in statuses(signal.get("status", ())) for signal in declared):
                raise Failed(f"a refused key was answered {status}", "api", "expired")
        except NotAuthorizedError:
            pass
        finally:
            self.persona.locked = False
        return "a refused key is told"

    def rotation(self) -> str:
        """Refresh tokens change as often as the file says, and each is shown once."""
        rotates = self.spec.get("refresh", {}).get("rotates", "maybe")
        if not self._refreshes():
            return "there is no refresh token"
        for _ in range(2):
            self.clock.advance(2)
            self.host.renew(NAME)
        twice = [count for count in self.persona.ledger.shown.values() if count > 1]
        if rotates == "always" and twice:
            raise Failed("a refresh token was shown twice", "refresh", "rotates")
        return f"rotates: {rotates}"

    def waiting(self) -> str:
        """A limit is waited for, in whichever of the declared ways it is told."""
        ways = many(self.persona.spec.get("api", {}).get("retry", {}))
        for self.persona.limit in range(len(ways)):
            self.persona.slowed, slept = 1, self.clock.slept
            self._ask("sync" if self.persona.limit % 2 else "asyncio")
            if self.persona.slowed:
                raise Failed("the request was not sent again", "api", "retry")
            waited = self.clock.slept - slept
            if abs(waited - self.persona.wait_s) > 1.5:
                raise Failed(f"it waited {waited:g} s, not {self.persona.wait_s}", "api", "retry")
        return "as long as the server asked for"

    def fence(self) -> str:
        """A foreign host is shown no secret."""
        for kind in ("sync", "asyncio"):
            self._get(kind, FOREIGN)
        told = [seen for seen in self.persona.foreign if seen.host == urlsplit(FOREIGN).netloc]
        if len(told) < 2:
            raise Failed("the request to a foreign host did not arrive", "api", "hosts")
        for seen in self.persona.foreign:
            text = unquote("\n".join([seen.raw_path, seen.raw_query, *map(str, seen.headers.items())]))
            if any(secret in text for secret in self.persona.secrets()):
                raise Failed(f"{seen.host} was shown a secret", "api", "hosts")
        return "a foreign host saw no secret"

    def test(self) -> str:
        """The test request works, and its label names who one is."""
        identity = self.host.identify(NAME)
        place = "test" if "test" in self.spec else "userinfo"
        if not identity.works:
            raise Failed(f"the answer was {identity.status}", place)
        wanted = self.persona.subject.person
        labelled = place == "userinfo" or self.spec["test"].get("label")
        if labelled and identity.person != wanted:
            raise Failed(f"it showed {identity.person!r} and not {wanted!r}", place, "label")
        return f"as {identity.person}" if labelled else "it works"

    def introspection(self) -> str:
        """The server says what the token is worth."""
        if not self.host.introspect(NAME).active:
            raise Failed("the token was said to be good for nothing", "introspect")
        return "active"

    def revocation(self) -> str:
        """Revoked, and signed in again."""
        self.host.logout(NAME)
        if not self.persona.counts["revoke"]:
            raise Failed("no token was revoked", "revoke")
        self.login()
        self._ask("sync")
        return "revoked, and signed in again"

    def ended(self) -> str:
        """A login that has ended needs a person."""
        if not self._refreshes():
            return "there is no refresh token that could end"
        self.persona.end_login()
        try:
            self.host.renew(NAME)
        except NotAuthorizedError as error:
            if error.code == "needs_authorization":
                return "a person is asked to log in"
            raise Failed(f"it was taken for {error.code}: {error}", "errors") from None
        except ConnectorError as error:
            raise Failed(f"it was taken for {error.code}: {error}", "errors") from None
        raise Failed("a dead login was renewed", "errors")

    def secrets(self, lines: list[str]) -> str:
        """No secret in logs, errors and reprs; `lines`: what was said until now."""
        with contextlib.suppress(ConnectorError):
            lines.append(repr(self.host.token(NAME)))
        lines += [repr(self.host), repr(self.host.accounts[NAME]), repr(self.host.status(NAME))]
        if any(secret in line for line in lines for secret in self.persona.secrets()):
            raise Failed("a secret was shown in a log, an error or a repr", "endpoint")
        return "none in a log, an error or a repr"
