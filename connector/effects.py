"""What a flow may ask of the world, one value per wish; `connector.drive` grants them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from connector.account import Account
from connector.credentials import Credentials
from connector.record import Record
from connector.tokenrequest import TokenRequest


@dataclass(frozen=True, slots=True)
class Now:
    """Effect: the time by both clocks. Result: `connector.moment.Moment`."""


@dataclass(frozen=True, slots=True)
class Load:
    """Effect: read the record. Result: Record (version 0 when there is none)."""


@dataclass(frozen=True, slots=True)
class Save:
    """Effect: save `record` as its version plus one. Result: the Record with that version."""

    record: Record


@dataclass(frozen=True, slots=True)
class Acquire:
    """Effect: take or extend the lease. Result: the Lease in force."""

    ttl_s: float


@dataclass(frozen=True, slots=True)
class Release:
    """Effect: give the lease back. Result: None."""


@dataclass(frozen=True, slots=True)
class Reveal:
    """Effect: find out what a call needs: secrets, the server's metadata, the moment. Result: Ready.

    Attributes:
        spares: raises RenewalError ``endpoint_resting`` while the token endpoint is to be left alone.
    """

    spares: bool = False


@dataclass(frozen=True, slots=True)
class Post:
    """Effect: make the token call, unless it is later than `until` by the steady clock.

    Result: Reply, or NoReply without one.
    """

    request: TokenRequest
    until: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Effect: let time pass. Result: None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Await:
    """Effect: wait until the account's record was saved or its lease released. Result: the seconds it took.

    Attributes:
        pause_s: how long at most where the store wakes nobody.
        woken_s: how long at most where it does.
    """

    pause_s: float
    woken_s: float


@dataclass(frozen=True, slots=True)
class Delete:
    """Effect: forget the record. Result: None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What the calls of one flow are made of.

    Attributes:
        account: with the URLs that its server's metadata tells (RFC 8414), where it is asked for them.
        credentials: for the first call; ``credentials.again()`` for each further one.
        machine: whose wall clock their moment is of.
    """

    account: Account
    credentials: Credentials
    machine: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoReply:
    """The token call brought no reply.

    Attributes:
        sent: False only when the request provably never reached the server.
        words: what happened, without secrets.
    """

    sent: bool
    words: str


Effect: TypeAlias = Now | Load | Save | Delete | Acquire | Release | Reveal | Post | Wait | Await
