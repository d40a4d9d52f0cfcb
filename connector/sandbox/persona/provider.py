"""A persona made from an endpoint file: an authorization server and an API that behave as the file declares.

Rules of this room: what the file says is law, and every breach of it is a `Complaint` that names the key. No
request is answered well that breaks it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from connector.sandbox.persona import samples
from connector.sandbox.persona.seen import Complaint, Seen
from connector.sandbox.persona.signed import check_declared
from connector.sandbox.persona.standing import completed, issuer_of, metadata_urls, steps_of
from connector.sandbox.persona.subject import Subject
from connector.sandbox.persona.texts import Look, many, with_vars
from connector.sandbox.persona.tokens import Ledger

# Grants of an account whose tokens come from no call.
STATIC = ("api_key", "basic", "bearer", "none", "signed_jwt")
_PERSON_GRANTS = ("authorization_code", "device_code", "password", "refresh_token")


@dataclass(slots=True)
class Outcome:
    """What one kind of call makes of a request.

    Attributes:
        complaints: what is wrong with it as that kind of call.
        answer: makes the answer, and changes what is remembered.
    """

    name: str
    answer: Callable[[], Response]
    complaints: list[Complaint] = field(default_factory=list)


class Persona:
    """A provider with one registered account.

    Args:
        spec: an endpoint file's mapping, ``extends`` and what it says for the grant merged in.
        grant: how the account obtains its tokens.
        subject: the account as the provider knows it.
        clock: seconds since the epoch.
        lifetime_s: of access tokens, where the file does not say it.

    Attributes:
        complaints: everything that was wrong with a request.
        counts: well-made calls by name: ``authorize``, ``token``, ``refresh``, ``api``, ...
        foreign: requests to hosts that the file does not name.
        slowed: how many API requests are still to be told to wait.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        grant: str,
        subject: Subject,
        *,
        clock: Callable[[], float],
        lifetime_s: float = 3600.0,
    ) -> None:
        self.grant, self.subject, self.clock = grant, subject, clock
        self.lifetime_s = float(spec.get("response", {}).get("lifetime") or lifetime_s)
        self.base_values = with_vars(spec.get("vars", {}), subject.values())
        self.metadata_urls = metadata_urls(spec, self.base_values)
        self.spec, self.metadata = completed(spec, self.base_values)
        self.issuer = issuer_of(self.spec, self.base_values)
        self.exchange = steps_of(self.spec, "exchange") if grant not in STATIC else []
        self.discover = steps_of(self.spec, "discover")
        self.test = steps_of(self.spec, "test")
        self.captures = {name: samples.captured(name, self.spec) for name in self._captured("all")}
        self.captures |= {name: value for name, value in subject.settings.items() if name in self.captures}
        self.ledger = Ledger(clock)
        self.turn = 0
        self.pending = 1
        self.slowed = 0
        self.locked = False
        self.pushed_state = ""
        self.wait_s = 3
        self.complaints: list[Complaint] = []
        self.counts: Counter[str] = Counter()
        self.foreign: list[Seen] = []
        self.seen_jwts: set[str] = set()
        self.refused_jwts: set[str] = set()

    # --- what a test does to it ---

    def refuse_tokens(self) -> None:
        """Let the API take none of the tokens that are out there, as an administrator may."""
        self.ledger.refuse_all()
        self.refused_jwts |= self.seen_jwts

    def end_login(self) -> None:
        """End the login: refresh tokens are refused from now on."""
        self.ledger.end()

    def secrets(self) -> set[str]:
        """Return every text that nobody else may ever see."""
        own = [text for name, text in self.subject.secrets.items() if name != "username"]
        return {text for text in (*self.ledger.issued, *own, *self.seen_jwts) if len(text) >= 6}

    # --- what its rooms ask for ---

    def _captured(self, stage: str) -> list[str]:
        spec, names = self.spec, []
        if self.grant == "authorization_code":
            names += spec.get("authorize", {}).get("callback", {}).get("capture", {})
        if stage == "token" or self.grant in STATIC:
            return [] if self.grant in STATIC and stage != "all" else self._discovered(names, stage)
        names += spec.get("response", {}).get("capture", {})
        for call in self.exchange:
            names += call.spec.get("set", {})
            names += call.spec.get("response", {}).get("capture", {})
        return self._discovered(names, stage)

    def _discovered(self, names: list[str], stage: str) -> list[str]:
        if stage != "token":
            for call in self.discover:
                names += call.spec.get("set", {})
        return names

    def values(self, stage: str, more: Mapping[str, str | Look] | None = None) -> dict[str, str | Look]:
        """Return what templates may name.

        Args:
            stage: ``login`` (before any token), ``token`` (the redirect is known), ``all``.
            more: the tokens at hand, and the scopes.
        """
        known = {} if stage == "login" else {name: self.captures[name] for name in self._captured(stage)}
        closed = with_vars(self.spec.get("vars", {}), {**known, **self.subject.values()})
        opened: dict[str, str | Look] = {
            "now": lambda text: self._wrong_moment(text, 1.0),
            "now_ms": lambda text: self._wrong_moment(text, 1000.0),
            "unique": lambda text: "" if len(text) >= 8 else "a random text was expected",
            **(more or {}),
        }
        declared = self.spec.get("jwt")
        if declared is not None:
            whole: dict[str, str | Look] = {**opened, **closed}
            opened["jwt"] = lambda text: check_declared(text, declared, self.subject, whole, self.clock())
        return {**opened, **closed}

    def _wrong_moment(self, text: str, per_s: float) -> str:
        try:
            near = abs(float(text) / per_s - self.clock()) < 120
        except ValueError:
            near = False
        return "" if near else "this moment was expected"

    def scopes(self, *, refreshable: bool) -> list[str]:
        """Return the scopes that are to be asked for."""
        declared = self.spec.get("scopes", {})
        values = self.values("login")
        wanted = list(self.subject.scopes) or [
            scope.format(**{k: v for k, v in values.items() if isinstance(v, str)})
            for scope in declared.get("default", [])
        ]
        if refreshable:
            wanted += [scope for scope in declared.get("offline", []) if scope not in wanted]
        return wanted

    def scope_text(self, *, refreshable: bool) -> str:
        """Return the scopes as they are to be sent."""
        return str(self.spec.get("scopes", {}).get("separator", " ")).join(
            self.scopes(refreshable=refreshable)
        )

    def yields_refresh(self, scopes: tuple[str, ...]) -> bool:
        """Whether a token call brings a refresh token."""
        if self.spec.get("refresh", {}).get("with", "refresh_token") != "refresh_token":
            return False
        if self.grant not in _PERSON_GRANTS:
            return "refresh_token" in self.spec.get("response", {})
        return set(self.spec.get("scopes", {}).get("offline", [])) <= set(scopes)

    def rotates(self) -> bool:
        """Whether the next renewal brings a new refresh token."""
        match self.spec.get("refresh", {}).get("rotates", "maybe"):
            case "always":
                return True
            case "never":
                return False
        return self.turn % 2 == 0

    def api_hosts(self) -> list[str]:
        """Return the hosts that may see the token beside that of the base URL."""
        return many(self.spec.get("api", {}).get("hosts"))
