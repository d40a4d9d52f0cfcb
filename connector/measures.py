"""What is measured of `connector.events` in OpenTelemetry: metrics and spans, as data, under stable names.

docs/observing.md shows the same tables, and a test compares them with this file in both directions.
"""

from __future__ import annotations

from dataclasses import dataclass

from connector.events import EVENTS

_WHO = ("account", "endpoint")
_ENDS = tuple(event.name for event in EVENTS.values() if event.outcome and event.name != "token.loaded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """An OpenTelemetry instrument.

    Attributes:
        name: stable.
        kind: ``counter``, ``histogram`` or ``gauge``.
        unit: in UCUM, as OpenTelemetry wants it.
        fields: which of the fields of its events are its attributes.
        says: what it measures, for docs/observing.md.
        events: the events that move it.
        value: which of their fields is measured; empty: they are counted. Of a gauge: what it shows of those
            who are watched.
        bounds: of a histogram's buckets, since those that are usual are made for milliseconds.
        counts: or the count of `connector.counts` that it shows.
    """

    name: str
    kind: str
    unit: str
    says: str
    fields: tuple[str, ...] = _WHO
    events: tuple[str, ...] = ()
    value: str = ""
    bounds: tuple[float, ...] = ()
    counts: str = ""


# Those that the semantic conventions advise for HTTP, and as far as a call or a wait may last.
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0)
_CALL = (*_WHO, "outcome", "host", "method", "status", "error")

_METRICS = (
    Metric(
        name="connector.renewals",
        kind="counter",
        unit="{renewal}",
        fields=(*_WHO, "outcome", "error"),
        events=_ENDS,
        says="renewals that ended, by how: `done`, `same`, `unsaved`, `failed`, `login_needed`",
    ),
    Metric(
        name="connector.renewal.duration",
        kind="histogram",
        unit="s",
        fields=(*_WHO, "outcome", "error"),
        events=_ENDS,
        value="seconds",
        bounds=_BOUNDS,
        says="how long they took, lease and store included",
    ),
    Metric(
        name="connector.token_calls",
        kind="counter",
        unit="{call}",
        fields=_CALL,
        events=("token.call",),
        says="calls to authorization servers",
    ),
    Metric(
        name="connector.token_call.duration",
        kind="histogram",
        unit="s",
        fields=_CALL,
        events=("token.call",),
        value="seconds",
        bounds=_BOUNDS,
        says="how long they took",
    ),
    Metric(
        name="connector.token.wait.duration",
        kind="histogram",
        unit="s",
        events=("token.waited",),
        value="seconds",
        bounds=_BOUNDS,
        says="how long requests without a usable token waited for one; its count is how many waited",
    ),
    Metric(
        name="connector.token.rejections",
        kind="counter",
        unit="{rejection}",
        events=("token.rejected",),
        says="tokens of ours that an API refused",
    ),
    Metric(
        name="connector.login.needed",
        kind="gauge",
        unit="{login}",
        value="login_needed",
        says="1: a person must log in, as this process found when it last wanted a token; 0: all is well",
    ),
    Metric(
        name="connector.token.unsaved",
        kind="gauge",
        unit="{token}",
        value="unsaved",
        says="1: a renewed token is in this process's memory only, since the store did not take it",
    ),
    Metric(
        name="connector.token.remaining",
        kind="gauge",
        unit="s",
        value="remaining_s",
        says="seconds until the access token in this process's memory ends; below zero: it has ended, and"
        " nobody has asked for another since",
    ),
    Metric(
        name="connector.requests",
        kind="counter",
        unit="{request}",
        counts="requests",
        says="requests sent with a token, replays included",
    ),
    Metric(
        name="connector.request.replays",
        kind="counter",
        unit="{replay}",
        counts="replays",
        says="requests sent again, after a renewal or a pause",
    ),
    Metric(
        name="connector.request.failures",
        kind="counter",
        unit="{request}",
        counts="failed_requests",
        says="requests that ended with a 4xx, a 5xx or no answer",
    ),
    Metric(
        name="connector.request.waits",
        kind="counter",
        unit="{wait}",
        fields=(*_WHO, "status"),
        events=("request.waits",),
        says="pauses that an API asked for",
    ),
    Metric(
        name="connector.store.failures",
        kind="counter",
        unit="{failure}",
        fields=(*_WHO, "operation", "error"),
        events=("store.failed",),
        says="times that the token store failed",
    ),
)
METRICS = {metric.name: metric for metric in _METRICS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """An OpenTelemetry span.

    Attributes:
        name: stable.
        kind: ``client`` for what goes over the wire, ``internal`` else.
        fields: which of the fields of the event that ends it are its attributes.
        says: what it spans, for docs/observing.md.
    """

    name: str
    kind: str
    fields: tuple[str, ...]
    says: str


_SPANS = (
    Span(
        name="connector.renewal",
        kind="internal",
        fields=(*_WHO, "early", "rejected", "outcome", "error", "token"),
        says="a renewal, from its first look at the store on; a child of the span that first needed it",
    ),
    Span(
        name="connector.token_call",
        kind="client",
        fields=(*_CALL, "scheme"),
        says="one call to the authorization server",
    ),
)
SPANS = {span.name: span for span in _SPANS}

# Names of OpenTelemetry's semantic conventions where they have one (HTTP client, errors), ours elsewhere.
ATTRIBUTES = {
    "account": "connector.account",
    "endpoint": "connector.endpoint",
    "outcome": "connector.outcome",
    "early": "connector.renewal.early",
    "rejected": "connector.renewal.rejected",
    "token": "connector.token.fingerprint",
    "operation": "connector.store.operation",
    "error": "error.type",
    "method": "http.request.method",
    "status": "http.response.status_code",
    "host": "server.address",
    "scheme": "url.scheme",
}
