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
    """

    presents: str
    holder: str
    at: float
    attempts: int = 1


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Everything known of an account's login. Frozen; `version` is that of the store.

    Attributes:
        version: generation in the store, 0 before the first save.
        token: None before the first.
        spending: the journal, None when nothing is in doubt.
        death: set once the login is dead.
        failures: renewals that failed in a row.
        retry_at: no renewal before this moment; 0: at once.
        last_failure: the last one in words, for `status`.
        refused: code of a refusal that neither waiting nor a login cures (a wrong client secret, say); empty
            once something else came after it.
        renewals: successful ones since the token was first obtained or adopted.
        history: the last ten outcomes, the newest last.
        unsaved: lives in this process only, since the store failed after the server had answered.
    """

    version: int = 0
    token: Token | None = None
    spending: Spending | None = None
    death: Death | None = None
    failures: int = 0
    retry_at: float = 0.0
    last_failure: str = ""
    refused: str = ""
    renewals: int = 0
    history: tuple[Outcome, ...] = ()
    unsaved: bool = False

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

    def about_to_spend(self, *, holder: str, now: float) -> Record:
        """The journal entry before the refresh token at hand is shown."""
        before = self.spending
        again = before is not None and before.presents == self.presents
        spending = Spending(
            presents=self.presents,
            holder=holder,
            at=before.at if before and again else now,
            attempts=before.attempts + 1 if before and again else 1,
        )
        return replace(self, spending=spending)

    def renewed(self, token: Token) -> Record:
        """With a new token, all doubts and failures gone."""
        what = "renewed" if self.token else "began"
        return Record(
            version=self.version,
            token=token,
            renewals=self.renewals + (self.token is not None),
            history=self._and(what, token.obtained_at),
        )

    def _and(self, what: str, at: float, words: str = "") -> tuple[Outcome, ...]:
        return (*self.history, Outcome(at=at, what=what, words=words))[-_KEPT:]

    def failed(self, words: str, *, now: float, retry_at: float, in_doubt: bool, refused: str = "") -> Record:
        """After a failure: keeps the journal only when the refresh token may have been spent."""
        spending = self.spending
        if spending and not in_doubt:
            # This attempt never reached the server; an earlier one may have.
            spending = replace(spending, attempts=spending.attempts - 1) if spending.attempts > 1 else None
        return replace(
            self,
            spending=spending,
            failures=self.failures + 1,
            retry_at=retry_at,
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
            "last_failure": self.last_failure,
            "refused": self.refused,
            "renewals": self.renewals,
            "history": [[one.at, one.what, one.words] for one in self.history],
        }
        if self.spending:
            s = self.spending
            data["spending"] = {
                "presents": s.presents,
                "holder": s.holder,
                "at": s.at,
                "attempts": s.attempts,
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
            last_failure=str(fields.get("last_failure", "")),
            refused=str(fields.get("refused", "")),
            renewals=int(fields.get("renewals", 0)),
            history=tuple(
                Outcome(at=float(at), what=str(what), words=str(words))
                for at, what, words in fields.get("history", ())[-_KEPT:]
            ),
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
}
_DEFAULTS: dict[str, Any] = {"presents": "", "holder": "", "at": 0.0, "attempts": 1, "words": ""}


def _known(cls: type[Spending] | type[Death], data: dict[str, Any]) -> dict[str, Any]:
    """The fields of `data` that this version knows, and defaults for those that are missing."""
    return {field.name: data.get(field.name, _DEFAULTS[field.name]) for field in dataclasses.fields(cls)}
