"""OpenTelemetry's SDK with exporters in memory, as the global providers of this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@dataclass
class Seen:
    """What was exported."""

    reader: InMemoryMetricReader
    exporter: InMemorySpanExporter
    text: str = ""

    def clear(self) -> None:
        """Forget what was seen."""
        self.reader.get_metrics_data()
        self.exporter.clear()

    def points(self) -> dict[str, list[tuple[dict[str, Any], Any]]]:
        """Every measurement of connector since the last look: attributes and value (of histograms the count)."""
        data = self.reader.get_metrics_data()
        found: dict[str, list[tuple[dict[str, Any], Any]]] = {}
        if data is None:
            return found
        self.text += data.to_json()
        for resource in data.resource_metrics:
            for scope in resource.scope_metrics:
                if scope.scope.name != "connector":
                    continue
                for metric in scope.metrics:
                    found[metric.name] = [
                        (dict(point.attributes or {}), getattr(point, "value", getattr(point, "count", None)))
                        for point in metric.data.data_points
                    ]
        return found

    def spans(self, name: str = "") -> list[ReadableSpan]:
        """The finished spans of that name, in the order of their ends."""
        return [span for span in self.exporter.get_finished_spans() if name in ("", span.name)]


def setup() -> Seen:
    """Once in a process: the API takes a global provider only once."""
    delta = AggregationTemporality.DELTA
    reader = InMemoryMetricReader(preferred_temporality={Counter: delta, Histogram: delta})
    exporter = InMemorySpanExporter()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    metrics.set_meter_provider(MeterProvider([reader]))
    trace.set_tracer_provider(tracers)
    return Seen(reader, exporter)
