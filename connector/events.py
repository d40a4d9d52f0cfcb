"""Everything that connector tells of itself while it works, as data.

Names and fields are stable: programs match on them. docs/observing.md shows the same table, and a test
compares it with this file in both directions. `connector.observe` tells the events; `connector.measures`
says what is measured of them.

Rules of this room: no field holds a secret. Tokens appear as fingerprints, servers as host and port, and what
a server said in words that were cleaned where they were read.
"""

from __future__ import annotations

from logging import DEBUG, ERROR, INFO, WARNING
from typing import NamedTuple


class Event(NamedTuple):
    """A line of the log: its name, then its fields as ``key=value``.

    Attributes:
        name: what happened; stable.
        level: of the logger ``connector``.
        fields: in the order in which they are shown; one that is unknown is left out.
        says: what it means, for docs/observing.md.
        outcome: how a renewal ended, where it is one's end.
        on_span: whether it is also an event of the OpenTelemetry span that is current.
    """

    name: str
    level: int
    fields: tuple[str, ...]
    says: str
    outcome: str = ""
    on_span: bool = False


_WHO = ("account", "endpoint")
_TOKEN = (*_WHO, "token", "expires_in_s")

_EVENTS = (
    Event(
        name="renewal.started",
        level=DEBUG,
        fields=(*_WHO, "early", "rejected"),
        says="a renewal begins: `early`, while the token still works; `rejected`, since the API refused it",
    ),
    Event(
        name="renewal.waits",
        level=DEBUG,
        fields=(*_WHO, "holder", "lease_ends_in_s"),
        says="somebody else has the lease: it waits for what they bring; told at each look",
        on_span=True,
    ),
    Event(
        name="renewal.done",
        level=INFO,
        fields=(*_TOKEN, "next_renewal_in_s", "renewals", "seconds"),
        says="the server gave a new token, and it is saved",
        outcome="done",
    ),
    Event(
        name="renewal.same",
        level=INFO,
        fields=(*_TOKEN, "seconds"),
        says="the server gave the token that was there already; it is not asked again at once",
        outcome="same",
    ),
    Event(
        name="renewal.failed",
        level=ERROR,
        fields=(*_WHO, "code", "reason", "resolution", "retry_in_s", "final", "seconds"),
        says="no token; `final`: waiting does not cure it. WARNING while the token at hand still works",
        outcome="failed",
    ),
    Event(
        name="login.needed",
        level=ERROR,
        fields=(*_WHO, "code", "reason", "resolution", "seconds"),
        says="a person must log in: `connector login`. WARNING while the token at hand still works",
        outcome="login_needed",
    ),
    Event(
        name="login.done",
        level=INFO,
        fields=(*_TOKEN, "next_renewal_in_s", "refreshable"),
        says="a login, or a token reply that was adopted, is the account's from now on",
    ),
    Event(name="login.ended", level=INFO, fields=_WHO, says="an account's tokens were forgotten: a logout"),
    Event(
        name="token.loaded",
        level=INFO,
        fields=(*_TOKEN, "next_renewal_in_s", "seconds"),
        says="a token came from the store: the first look, or somebody else renewed",
        outcome="loaded",
    ),
    Event(
        name="token.unsaved",
        level=WARNING,
        fields=(*_TOKEN, "seconds"),
        says="renewed, but the store did not take it: it lives in this process only, and is saved later",
        outcome="unsaved",
    ),
    Event(
        name="token.rejected",
        level=INFO,
        fields=(*_WHO, "token"),
        says="the API refused a token of ours (a 401, or what the endpoint declares)",
        on_span=True,
    ),
    Event(
        name="token.waited",
        level=DEBUG,
        fields=(*_WHO, "seconds"),
        says="a request had no usable token, and waited that long for a renewal",
        on_span=True,
    ),
    Event(
        name="token.call",
        level=DEBUG,
        fields=(*_WHO, "host", "method", "status", "outcome", "reason", "seconds"),
        says="one call to the authorization server: `outcome` is `ok` (2xx), `refused` (any other status),"
        " `no_answer` or `not_sent`",
    ),
    Event(
        name="store.failed",
        level=ERROR,
        fields=(*_WHO, "operation", "code", "reason"),
        says="the token store did not do what a renewal or login asked of it; valid tokens go on",
        on_span=True,
    ),
    Event(
        name="store.not_durable",
        level=WARNING,
        fields=("store", "reason"),
        says="the token store is known to forget",
    ),
    Event(
        name="request.waits",
        level=INFO,
        fields=(*_WHO, "status", "seconds"),
        says="the API asked for a pause (429, 503): the request is sent again after it",
        on_span=True,
    ),
    Event(
        name="host.foreign",
        level=WARNING,
        fields=(*_WHO, "host", "reason"),
        says="a request to a host that is not the account's went out without the token; once per host",
    ),
    Event(
        name="plugin.broken",
        level=WARNING,
        fields=("plugin", "hook", "code", "reason"),
        says="a plugin is broken; what does not need it works",
    ),
    Event(
        name="telemetry.broken",
        level=WARNING,
        fields=("reason",),
        says="what measures raised an error: it is not called again in this process",
    ),
)
EVENTS = {event.name: event for event in _EVENTS}
