"""The record of an account: its token, its journal, its failures. What a store keeps, sealed.

The journal makes a crash readable: *about to spend* is written before a single-use refresh token is shown,
and cleared by the save that brings its successor. A record found with it still set is **in doubt**.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, replace
from typing import Any

from connector.token import Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """A single-use refresh token that was about to be shown.

    Attributes:
        presents: its fingerprint.
        holder: who was about to show it.
        at: when it was shown first, seconds since the epoch.
        attempts: how often it was shown in all, the first time included.
        last: when it was shown last; 0: by an older connector, which did not write it.
    """

    presents: str
    holder: str
    at: float
    attempts: int = 1
    last: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """The server refused a refresh token for good; a person must authorize.

    Attributes:
        presents: fingerprint of the refused refresh token; another one brings the account back to life.
        at: when, seconds since the epoch.
        words: what the server said, cleaned.
    """

    presents: str
    at: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one attempt to renew ended.

    Attributes:
        at: when, seconds since the epoch.
        what: ``began`` (a login), ``renewed``, ``failed``, ``in_doubt`` or ``refused``.
        words: what the server said, or what went wrong, cleaned; empty for what went well.
    """

    at: float
    what: str
    words: str = ""


_KEPT = 10
_LIVES = 5
_TRIED = 8
# What is shorter is no lifetime but an API that refuses.
SHORTEST_LIFE_S = 2.0
# Of a record without a pause: one further off than any was written by a clock that was wrong.
_LONGEST_PAUSE_S = 86_400.0
_ROUNDING_S = 0.01


def _taught(token: Token, renewals: int, lifetimes: tuple[float, ...]) -> Token:
    """With what several refusals agree on: the second shortest life, since one may have been a revocation.

    Now and then a token is used until it is refused, so that what was learnt is tried again.
    """
    known = token.expires_at is None and renewals % _TRIED and len(lifetimes) > 1
    return replace(token, learnt_s=sorted(lifetimes)[1] if known else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Everything known of an account's login. Frozen; `version` is that of the store.

    Attributes:
        version: generation in the store, 0 before the first save.
        token: None before the first.
        spending: the journal, None when nothing is in doubt.
        death: set once the login is dead.
        failures: renewals that failed in a row.
        retry_at: no renewal before this moment, by the store's clock where there is a lease; 0: at once.
        pause_s: how long before `retry_at` it was written: whoever sees it further off than that knows that a
            clock was set, and that it is over. None: by an older connector, which did not write it.
        last_failure: the last one in words, for `status`.
        refused: code of a refusal that neither waiting nor a login cures (a wrong client secret, say); empty
            once something else came after it.
        renewals: successful ones since the token was first obtained or adopted.
        history: the last ten outcomes, the newest last.
        lifetimes: how old tokens were when the API refused them and a new one helped, the last five; only of
            tokens that had worked, and whose end the server did not tell.
        strikes: renewals in a row because of a refusal, of tokens that nobody has seen work.
        server_clock: what the server's clock was ahead of that of `clock_of`, seconds, where that mattered.
        clock_of: the machine whose clock that was; on another it means nothing.
        unsaved: lives in this process only, since the store failed after the server had answered.
        since: when the token came, by the steady clock of this process, where that is known; never saved.
    """

    version: int = 0
    token: Token | None = None
    spending: Spending | None = None
    death: Death | None = None
    failures: int = 0
    retry_at: float = 0.0
    pause_s: float | None = None
    last_failure: str = ""
    refused: str = ""
    renewals: int = 0
    history: tuple[Outcome, ...] = ()
    lifetimes: tuple[float, ...] = ()
    strikes: int = 0
    server_clock: float = 0.0
    clock_of: str = ""
    unsaved: bool = False
    since: float | None = None

    @property
    def presents(self) -> str:
        """Fingerprint of the refresh token at hand, empty when there is none."""
        return self.token.refresh_token.fingerprint if self.token and self.token.refresh_token else ""

    @property
    def login(self) -> str:
        """Tells one login from another: its refresh token, or where there is none its access token."""
        return self.presents or (self.token.fingerprint if self.token else "")

    @property
    def dead(self) -> Death | None:
        """The death of the login, as long as it speaks of the refresh token at hand."""
        return self.death if self.death and self.death.presents == self.presents else None

    def pause_left_s(self, now: float) -> float:
        """Seconds until a renewal may be tried again; 0: at once, also where `retry_at` cannot be true."""
        left = self.retry_at - now
        longest = _LONGEST_PAUSE_S if self.pause_s is None else self.pause_s
        return left if 0 < left <= longest + _ROUNDING_S else 0.0

    def about_to_spend(self, *, holder: str, now: float) -> Record:
        """The journal entry before the refresh token at hand is shown."""
        before = self.spending
        again = before is not None and before.presents == self.presents
        spending = Spending(
            presents=self.presents,
            holder=holder,
            at=before.at if before and again else now,
            attempts=before.attempts + 1 if before and again else 1,
            last=now,
        )
        return replace(self, spending=spending)

    @property
    def renewed_at(self) -> float:
        """When the token at hand came, by the store's clock; 0: nobody wrote it down."""
        came = [one.at for one in self.history if one.what in ("began", "renewed")]
        return came[-1] if came else 0.0

    def renewed(
        self, token: Token, *, now: float | None = None, worked_s: float = 0.0, unproven: bool = False
    ) -> Record:
        """With a new token, all doubts and failures gone.

        Args:
            now: by the store's clock; None: nobody knows it, so by ours.
            worked_s: how old the last one was when it was last seen to work.
            unproven: the API refused the last one, and nobody has seen it work.
        """
        what = "renewed" if self.token else "began"
        renewals = self.renewals + (self.token is not None)
        # One that worked for longer disproves what was learnt from shorter lives (of revoked tokens, say).
        lifetimes = tuple(life_s for life_s in self.lifetimes if life_s >= worked_s)
        token = _taught(token, renewals, lifetimes)
        return Record(
            version=self.version,
            token=token,
            renewals=renewals,
            history=self._and(what, token.obtained_at if now is None else now),
            lifetimes=lifetimes,
            strikes=self.strikes + unproven,
            server_clock=self.server_clock,
            clock_of=self.clock_of,
        )

    def proven(self, lived_s: float | None = None) -> Record:
        """After the API took the token at hand; `lived_s`: how old the last one was when it was refused."""
        lifetimes = self.lifetimes
        if lived_s is not None and lived_s >= SHORTEST_LIFE_S:
            lifetimes = (*lifetimes, lived_s)[-_LIVES:]
        token = _taught(self.token, self.renewals, lifetimes) if self.token else None
        return replace(self, token=token, strikes=0, lifetimes=lifetimes)

    def _and(self, what: str, at: float, words: str = "") -> tuple[Outcome, ...]:
        return (*self.history, Outcome(at=at, what=what, words=words))[-_KEPT:]

    def finished(self) -> Record:
        """After the last call that the token at hand needed before it can be used."""
        return replace(self, failures=0, retry_at=0.0, pause_s=None, last_failure="", refused="")

    def failed(self, words: str, *, now: float, pause_s: float, in_doubt: bool, refused: str = "") -> Record:
        """After a failure: keeps the journal only when the refresh token may have been spent.

        Args:
            now: by the store's clock.
        """
        spending = self.spending
        if spending and not in_doubt:
            # This attempt never reached the server; an earlier one may have.
            spending = replace(spending, attempts=spending.attempts - 1) if spending.attempts > 1 else None
        return replace(
            self,
            spending=spending,
            failures=self.failures + 1,
            retry_at=now + pause_s if pause_s else 0.0,
            pause_s=pause_s,
            last_failure=words,
            refused=refused,
            history=self._and("in_doubt" if spending else "failed", now, words),
        )

    def without_refresh_token(self) -> Record:
        """After the server refused the refresh token at hand, where a new login needs no person."""
        token = replace(self.token, refresh_token=None) if self.token else None
        return replace(self, token=token, spending=None)

    def died(self, words: str, *, now: float) -> Record:
        """After the server refused the refresh token at hand."""
        return replace(
            self,
            spending=None,
            death=Death(presents=self.presents, at=now, words=words),
            failures=self.failures + 1,
            last_failure=words,
            history=self._and("refused", now, words),
        )

    def to_bytes(self) -> bytes:
        """JSON, secrets included: for sealing only."""
        data: dict[str, Any] = {
            "token": self.token.to_dict() if self.token else None,
            "failures": self.failures,
            "retry_at": self.retry_at,
            "pause_s": self.pause_s,
            "last_failure": self.last_failure,
            "refused": self.refused,
            "renewals": self.renewals,
            "history": [[one.at, one.what, one.words] for one in self.history],
            "lifetimes": list(self.lifetimes),
            "strikes": self.strikes,
            "server_clock": self.server_clock,
            "clock_of": self.clock_of,
        }
        if self.spending:
            s = self.spending
            data["spending"] = {
                "presents": s.presents,
                "holder": s.holder,
                "at": s.at,
                "attempts": s.attempts,
                "last": s.last,
            }
        if self.death:
            data["death"] = {"presents": self.death.presents, "at": self.death.at, "words": self.death.words}
        return json.dumps(data, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes, *, version: int) -> Record:
        """The opposite of `to_bytes`, for records of older and newer versions of connector as well.

        Raises ValueError, KeyError, TypeError, AttributeError or OverflowError on anything else.
        """
        fields = json.loads(data)
        if not isinstance(fields, dict):
            raise ValueError("a record is an object")
        token, spending, death = fields.get("token"), fields.get("spending"), fields.get("death")
        return cls(
            version=version,
            token=Token.from_dict({**_TOKEN_DEFAULTS, **token}) if token else None,
            spending=Spending(**_known(Spending, spending)) if spending else None,
            death=Death(**_known(Death, death)) if death else None,
            failures=int(fields.get("failures", 0)),
            retry_at=float(fields.get("retry_at", 0.0)),
            pause_s=None if fields.get("pause_s") is None else float(fields["pause_s"]),
            last_failure=str(fields.get("last_failure", "")),
            refused=str(fields.get("refused", "")),
            renewals=int(fields.get("renewals", 0)),
            history=tuple(
                Outcome(at=float(at), what=str(what), words=str(words))
                for at, what, words in fields.get("history", ())[-_KEPT:]
            ),
            lifetimes=tuple(float(life_s) for life_s in fields.get("lifetimes", ())[-_LIVES:]),
            strikes=int(fields.get("strikes", 0)),
            server_clock=float(fields.get("server_clock", 0.0)),
            clock_of=str(fields.get("clock_of", "")),
        )


# A record may have been written by an older connector, which did not know a field yet, or by a newer one
# beside us on the same store. Neither must cost anybody a login.
_TOKEN_DEFAULTS: dict[str, Any] = {
    "access_token": "",
    "token_type": "Bearer",
    "obtained_at": 0.0,
    "expires_at": None,
    "refresh_token": None,
    "scopes": None,
    "captured": {},
    "dpop_key": None,
    "learnt_s": None,
}
_DEFAULTS: dict[str, Any] = {"presents": "", "holder": "", "at": 0.0, "attempts": 1, "last": 0.0, "words": ""}


def _known(cls: type[Spending] | type[Death], data: dict[str, Any]) -> dict[str, Any]:
    """The fields of `data` that this version knows, and defaults for those that are missing."""
    return {field.name: data.get(field.name, _DEFAULTS[field.name]) for field in dataclasses.fields(cls)}
