"""An endpoint played with one grant, from its beginning to its end, against a persona made from its file.

Rules of this room: no pytest, no waiting, no address but loopback. The host is that of production; only its
wires, its clock and its secrets are given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import httpx

from connector.accountspec import text
from connector.endpoint import Endpoint, merge
from connector.errors import ConnectorError, ManifestError, Problem
from connector.host import Host
from connector.opening import Opening
from connector.post import Poster
from connector.registry import Registry
from connector.sandbox.persona import STATIC, Persona
from connector.store import MemoryStore
from connector.template import TemplateError
from connector.testing.lines import listening
from connector.testing.report import GrantReport, Part
from connector.testing.sampled import Given, sampled
from connector.testing.scene import Failed, Scene
from connector.testing.wires import Clock, Stage, Way
from connector.vault import Vault

PEOPLE = ("authorization_code", "device_code")
Locate = Callable[[str, tuple[str | int, ...], str], Problem]


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
        if self.spec.get("plugin"):
            self.report.unplayed = "its Python hooks do what is in no file that a server could be made from"
            return self.report
        with listening() as lines:
            try:
                sample = sampled(
                    self.endpoint, self.spec, self.grant, self.registry, self.given, told=self.told
                )
            except ManifestError as error:
                problems = tuple(self.locate(p.message, ("settings",), self.grant) for p in error.problems)
                self.report.parts.append(
                    Part(name="account", words="no account could be made", problems=problems)
                )
                return self.report
            self._choices()
            self.persona = Persona(self.told, self.grant, sample.subject, clock=self.clock)
            way = self.stage.admit(self.persona)
            try:
                with self._host(sample.opening, way) as host:
                    scene = Scene(host, self.persona, self.clock, way.wire(), self.spec)
                    self._parts(scene)
                    said = [p.words for p in self.report.parts] + [str(p) for p in self.report.problems]
                    self._part("secrets", lambda: scene.secrets([*lines, *said]))
                    scene.browser.close()
            finally:
                self.stage.dismiss(way)
        return self.report

    def _choices(self) -> None:
        """Whether every choice of every setting makes an account: a table may lack one of them."""
        problems, count = [], 0
        for name, setting in self.spec.get("settings", {}).items():
            for choice in setting.get("enum", ()):
                count += 1
                given = replace(self.given, settings={**self.given.settings, name: text(choice)})
                try:
                    sampled(self.endpoint, self.spec, self.grant, self.registry, given)
                except ManifestError as error:
                    words = f"{name}: {choice}: {error.problems[0].message}"
                    problems.append(self.locate(words, ("settings", name, "enum"), self.grant))
        if count:
            self.report.parts.append(Part(name="choices", words=f"{count} of them", problems=tuple(problems)))

    def _host(self, opening: Opening, way: Way) -> Host:
        return Host(
            opening,
            Vault(MemoryStore(clock=self.clock), url="memory:", sleep=self.clock.sleep),
            poster=Poster(lambda url: way.wire(), clock=self.clock),
            wire=way.wire,
            async_wire=way.async_wire,
            clock=self.clock,
            sleep=self.clock.sleep,
            async_sleep=self.clock.asleep,
        )

    def _parts(self, scene: Scene) -> None:
        static = self.grant in STATIC
        if not (self._part("login", scene.login) and self._part("request", scene.request)):
            return
        if not static or self.grant == "signed_jwt":
            self._part("renewal by expiry", scene.expiry)
            self._part("renewal after a refusal", scene.refusal)
            self._part("rotation", scene.rotation)
        self._part("waiting", scene.waiting)
        self._part("fence", scene.fence)
        if "test" in self.spec or "userinfo" in self.spec:
            self._part("test request", scene.test)
        if "introspect" in self.spec and not static:
            self._part("introspection", scene.introspection)
        if "revoke" in self.spec and not static:
            self._part("revocation", scene.revocation)
        if static and self.grant != "signed_jwt":
            self._part("refused", scene.locked)
        if self.grant in (*PEOPLE, "refresh_token"):
            self._part("a login that ended", scene.ended)

    def _part(self, name: str, play: Callable[[], str]) -> bool:
        before = len(self.persona.complaints)
        words = ""
        steps: tuple[str | int, ...] = ()
        try:
            words = play()
        except Failed as failed:
            words, steps = failed.words, failed.steps
        except ConnectorError as error:
            words, steps = str(error), (_blamed(name, error),)
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


def _blamed(name: str, error: ConnectorError) -> str:
    """The key of the file that an error in a part of the play is about."""
    if error.code == "step_failed":
        return "exchange" if error.reason.startswith("exchanging") else "discover"
    return _BLAME.get(name, "token")


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
