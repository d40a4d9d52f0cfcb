"""The metrics and spans of `connector.measures` in OpenTelemetry's API; imported where a program uses that.

Which provider gets them is the program's business: this asks the API for the global ones, as libraries do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from opentelemetry import context, metrics, trace

from connector.events import EVENTS
from connector.measures import ATTRIBUTES, METRICS, SPANS, Metric

_KINDS = {"client": trace.SpanKind.CLIENT, "internal": trace.SpanKind.INTERNAL}
# Instrumented HTTP clients write whole URLs down, and that of a token call may hold a secret in its query.
_SUPPRESS = getattr(context, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", None)
Gauges = Callable[[str], Iterable[tuple[float, Mapping[str, Any]]]]


class Instruments:
    """Every instrument, made once in a process.

    Args:
        gauges: what a gauge shows of each account, with the fields that say whose it is.
    """

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges
        self._meter = metrics.get_meter("connector", _version())
        self._tracer = trace.get_tracer("connector", _version())
        self._moved: dict[str, list[tuple[Metric, Callable[..., None]]]] = {}
        self._counted: dict[str, tuple[Metric, Callable[..., None]]] = {}
        for metric in METRICS.values():
            self._make(metric)

    def _make(self, metric: Metric) -> None:
        unit, says = metric.unit, metric.says.replace("`", "")
        if metric.kind == "gauge":
            self._meter.create_observable_gauge(metric.name, [partial(self._look, metric.value)], unit, says)
            return
        move: Callable[..., None]
        if metric.kind == "histogram":
            bounds = metric.bounds
            move = self._meter.create_histogram(
                metric.name, unit, says, explicit_bucket_boundaries_advisory=bounds
            ).record
        else:
            move = self._meter.create_counter(metric.name, unit, says).add
        for event in metric.events:
            self._moved.setdefault(event, []).append((metric, move))
        if metric.counts:
            self._counted[metric.counts] = (metric, move)

    def _look(self, value: str, options: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
        return [metrics.Observation(found, _named(fields)) for found, fields in self._gauges(value)]

    def event(self, name: str, fields: Mapping[str, Any]) -> None:
        """An event happened: move what counts or measures it."""
        told = EVENTS[name]
        known = _judged({"outcome": told.outcome, **fields})
        for metric, move in self._moved.get(name, ()):
            move(known[metric.value] if metric.value else 1, _named(known, metric.fields))
        if told.on_span:
            span = trace.get_current_span()
            if span.is_recording():
                span.add_event(name, {ATTRIBUTES.get(key, f"connector.{key}"): fields[key] for key in fields})

    def count(self, name: str, by: int, fields: Mapping[str, Any]) -> None:
        """One of `connector.counts` grew."""
        if name in self._counted:
            metric, move = self._counted[name]
            move(by, _named(fields, metric.fields))

    def here(self) -> object:
        """The context that is current."""
        return context.get_current()

    def begin(self, name: str, fields: Mapping[str, Any], parent: object | None) -> Callable[..., None]:
        """Begin a span and make it current in this thread. Returns what ends it, given what is known then."""
        spec = SPANS[name]
        around = parent if isinstance(parent, context.Context) else context.get_current()
        span = self._tracer.start_span(
            name, around, kind=_KINDS[spec.kind], attributes=_named(fields, spec.fields)
        )
        inside = trace.set_span_in_context(span, around)
        if spec.kind == "client" and _SUPPRESS is not None:
            inside = context.set_value(_SUPPRESS, True, inside)
        token = context.attach(inside)

        def end(fields: Mapping[str, Any]) -> None:
            context.detach(token)
            known = _judged(fields)
            span.set_attributes(_named(known, spec.fields))
            if known.get("error"):
                span.set_status(trace.StatusCode.ERROR, known["error"])
            span.end()

        return end


_FINE = frozenset({"", "ok", "done", "same", "loaded", "unsaved"})


def _judged(fields: Mapping[str, Any]) -> dict[str, Any]:
    """With ``error``, where there was one (semantic conventions, error.type): the finest word for it."""
    if fields.get("error") or (fields.get("outcome", "") in _FINE and "code" not in fields):
        return dict(fields)
    error = fields.get("code") or fields.get("status") or fields.get("outcome")
    return {**fields, "error": str(error)}


def _named(fields: Mapping[str, Any], wanted: Iterable[str] | None = None) -> dict[str, Any]:
    """Fields as attributes: by the names of OpenTelemetry, `server.port` apart."""
    found: dict[str, Any] = {}
    for key in fields if wanted is None else wanted:
        value = fields.get(key)
        if value is None or value == "":
            continue
        if key == "host":
            value, _, port = value.rpartition(":") if _has_port(value) else (value, "", "")
            if port:
                found["server.port"] = int(port)
        found[ATTRIBUTES[key]] = value
    return found


def _has_port(host: str) -> bool:
    return ":" in host and not host.endswith("]")


def _version() -> str:
    try:
        return version("connector")
    except PackageNotFoundError:  # run from its folder, without being installed
        return ""
