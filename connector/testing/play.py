"""An endpoint played with one grant, from its beginning to its end, against a persona made from its file.

Rules of this room: no pytest, no waiting, no address but loopback. The host is that of production; only its
wires, its clock and its secrets are given.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx

from connector.endpoint import Endpoint, merge
from connector.endpointread import many
from connector.errors import ConnectorError, ManifestError, NotAuthorizedError, Problem
from connector.host import Host
from connector.post import Poster
from connector.registry import Registry
from connector.sandbox.persona import FRAGMENT, STATIC, Persona, own_hosts
from connector.store import MemoryStore
from connector.template import TemplateError
from connector.testing.report import GrantReport, Part
from connector.testing.sampled import NAME, Given, sampled
from connector.testing.wires import Clock, Stage
from connector.vault import Vault

PEOPLE = ("authorization_code", "device_code")
FOREIGN = "https://stranger.invalid/download"
_CALLBACK = "http://127.0.0.1:8765/callback"
Locate = Callable[[str, tuple[str | int, ...], str], Problem]


class Failed(Exception):
    """Something did not go as the file says.

    Attributes:
        steps: of the key to blame.
    """

    def __init__(self, words: str, *steps: str | int) -> None:
        super().__init__(words)
        self.words, self.steps = words, steps


class Play:
    """One endpoint with one grant.

    Args:
        stage: where its persona listens.
        locate: makes a Problem of a message, the steps of a key and the grant.
        lied: the mapping that the persona is made of; None: the endpoint's own.
    """

    def __init__(
        self,
        stage: Stage,
        endpoint: Endpoint,
        grant: str,
        registry: Registry,
        locate: Locate,
        *,
        given: Given | None = None,
        lied: Mapping[str, Any] | None = None,
    ) -> None:
        self.stage, self.endpoint, self.grant = stage, endpoint, grant
        self.registry, self.locate, self.given = registry, locate, given or Given()
        self.spec = merge(endpoint.spec, endpoint.grants.get(grant) or {})
        told = self.spec if lied is None else lied
        overrides = told.get("grants")
        self.told = merge(told, (overrides.get(grant) or {}) if isinstance(overrides, Mapping) else {})
        self.clock = Clock()
        self.report = GrantReport(grant=grant)

    def run(self) -> GrantReport:
        """Play everything; what cannot be played after a failure is left out."""
        with _listening() as lines:
            try:
                sample = sampled(self.endpoint, self.spec, self.grant, self.registry, self.given)
            except ManifestError as error:
                problems = tuple(self.locate(p.message, ("settings",), self.grant) for p in error.problems)
                self.report.parts.append(
                    Part(name="account", words="no account could be made", problems=problems)
                )
                return self.report
            self.persona = Persona(self.told, self.grant, sample.subject, clock=self.clock)
            way = self.stage.admit(self.persona)
            self.browser = way.wire()  # no client: that one logs
            self.host = Host(
                sample.opening,
                Vault(MemoryStore(clock=self.clock), url="memory:", sleep=self.clock.sleep),
                poster=Poster(lambda url: way.wire(), clock=self.clock),
                wire=way.wire,
                async_wire=way.async_wire,
                clock=self.clock,
                sleep=self.clock.sleep,
                async_sleep=self.clock.asleep,
            )
            try:
                with self.host, self.browser:
                    self._parts()
                    self._part("secrets", lambda: self._secrets(lines))
            finally:
                self.stage.dismiss(way)
        return self.report

    def _parts(self) -> None:
        if not (self._part("login", self._login) and self._part("request", self._request)):
            return
        if self.grant not in STATIC or self.grant == "signed_jwt":
            self._part("renewal by expiry", self._expiry)
            self._part("renewal after a refusal", self._refusal)
            self._part("rotation", self._rotation)
        self._part("waiting", self._waiting)
        self._part("fence", self._fence)
        if "test" in self.spec or "userinfo" in self.spec:
            self._part("test request", self._test)
        if "introspect" in self.spec and self.grant not in STATIC:
            self._part("introspection", self._introspection)
        if "revoke" in self.spec and self.grant not in STATIC:
            self._part("revocation", self._revocation)
        if self.grant in STATIC and self.grant != "signed_jwt":
            self._part("refused", self._locked)
        if self.grant in (*PEOPLE, "refresh_token"):
            self._part("a login that ended", self._ended)

    def _part(self, name: str, play: Callable[[], str]) -> bool:
        before = len(self.persona.complaints)
        words = ""
        steps: tuple[str | int, ...] = ()
        try:
            words = play()
        except Failed as failed:
            words, steps = failed.words, failed.steps
        except ConnectorError as error:
            words, steps = str(error), (_BLAME.get(name, "token"),)
        except httpx.HTTPError as error:
            words, steps = f"{type(error).__name__}: {error}", ("api",)
        except TemplateError as error:
            words, steps = str(error), (_BLAME.get(name, "token"),)
        complaints = self.persona.complaints[before:]
        said = {
            (c.steps, c.words): self.locate(f"{name}: {c.words}", c.steps, self.grant) for c in complaints
        }
        problems = tuple(said.values())
        if steps and not problems:
            problems = (self.locate(f"{name}: {words}", steps, self.grant),)
        self.report.parts.append(Part(name=name, words=words, problems=problems))
        return not problems

    # --- what is played ---

    def _login(self) -> str:
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

    def _request(self) -> str:
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

    def _expiry(self) -> str:
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

    def _refusal(self) -> str:
        for kind in ("sync", "asyncio"):
            before = self._renewals()
            self.clock.advance(2)
            self.persona.refuse_tokens()
            self._ask(kind)
            self._renewed(before)
        return "twice, each followed by a 200"

    def _locked(self) -> str:
        self.persona.locked = True
        try:
            status = self._get("sync", self._address()).status_code
            declared = many(self.spec.get("api", {}).get("expired", {}))
            if status < 400 and not any(status in signal.get("status", ()) for signal in declared):
                raise Failed(f"a refused key was answered {status}", "api", "expired")
        except NotAuthorizedError:
            pass
        finally:
            self.persona.locked = False
        return "a refused key is told"

    def _rotation(self) -> str:
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

    def _waiting(self) -> str:
        self.persona.slowed, slept = 1, self.clock.slept
        self._ask("sync")
        if self.persona.slowed:
            raise Failed("the request was not sent again", "api", "retry")
        waited = self.clock.slept - slept
        if abs(waited - self.persona.wait_s) > 1.5:
            raise Failed(f"it waited {waited:g} s, not {self.persona.wait_s}", "api", "retry")
        return "as long as the server asked for"

    def _fence(self) -> str:
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

    def _test(self) -> str:
        identity = self.host.identify(NAME)
        place = "test" if "test" in self.spec else "userinfo"
        if not identity.works:
            raise Failed(f"the answer was {identity.status}", place)
        wanted = self.persona.subject.person
        labelled = place == "userinfo" or self.spec["test"].get("label")
        if labelled and identity.person != wanted:
            raise Failed(f"it showed {identity.person!r} and not {wanted!r}", place, "label")
        return f"as {identity.person}" if labelled else "it works"

    def _introspection(self) -> str:
        if not self.host.introspect(NAME).active:
            raise Failed("the token was said to be good for nothing", "introspect")
        return "active"

    def _revocation(self) -> str:
        self.host.logout(NAME)
        if not self.persona.counts["revoke"]:
            raise Failed("no token was revoked", "revoke")
        self._login()
        self._ask("sync")
        return "revoked, and signed in again"

    def _ended(self) -> str:
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

    def _secrets(self, lines: list[str]) -> str:
        with contextlib.suppress(ConnectorError):
            lines.append(repr(self.host.token(NAME)))
        lines += [repr(self.host), repr(self.host.accounts[NAME]), repr(self.host.status(NAME))]
        lines += [part.words for part in self.report.parts] + [str(p) for p in self.report.problems]
        if any(secret in line for line in lines for secret in self.persona.secrets()):
            raise Failed("a secret was shown in a log, an error or a repr", "endpoint")
        return "none in a log, an error or a repr"


_BLAME = {
    "request": "api",
    "waiting": "api",
    "fence": "api",
    "renewal by expiry": "refresh",
    "renewal after a refusal": "refresh",
    "rotation": "refresh",
    "test request": "test",
    "introspection": "introspect",
    "revocation": "revoke",
}


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextlib.contextmanager
def _listening() -> Iterator[list[str]]:
    """Everything that is logged meanwhile, and shown to nobody else."""
    handler = _Lines()
    loggers = [logging.getLogger("connector"), logging.getLogger("httpx")]
    before = [(each.level, each.propagate, each.handlers) for each in loggers]
    for each in loggers:
        each.handlers = [handler]
        each.setLevel(logging.DEBUG)
        each.propagate = False
    try:
        yield handler.lines
    finally:
        for each, (level, propagate, handlers) in zip(loggers, before, strict=True):
            each.handlers = handlers
            each.setLevel(level)
            each.propagate = propagate
