"""Events as spans and metrics of OpenTelemetry, exported by OTLP over HTTP.

Names of specs, models, batches and counts only: no text of a prompt, of an answer or of an error,
and no key ever becomes an attribute.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Self

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import batchspec
from batchspec import events
from batchspec.clock import Clock
from batchspec.records import frozen

if TYPE_CHECKING:
    from types import TracebackType

    from opentelemetry.context import Context

Attributes = Mapping[str, str | bool | int | float]
_LOST = "Telemetry could not be exported to the OTLP endpoint. The work is not affected by that."


class _Complaints(logging.Handler):
    """Keeps the SDK's complaints off the terminal, and counts them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, _record: logging.LogRecord) -> None:
        """Count."""
        self.count += 1


@frozen
class Telemetry:
    """The SDK's providers of one command."""

    traces: TracerProvider
    metrics: MeterProvider
    parent: Context | None
    """What ``TRACEPARENT`` says: a CI job's own trace."""
    complaints: _Complaints

    def close(self) -> bool:
        """Export what is left; tell whether all went well."""
        self.traces.shutdown()
        self.metrics.shutdown()
        logging.getLogger("opentelemetry").removeHandler(self.complaints)
        return not self.complaints.count


def open_telemetry(wanted: frozenset[str], environ: Mapping[str, str]) -> Telemetry:
    """Return providers that export what is wanted; the SDK reads the other variables itself."""
    complaints = _Complaints()
    logger = logging.getLogger("opentelemetry")
    logger.addHandler(complaints)
    logger.propagate = False
    resource = Resource.create(
        {
            SERVICE_NAME: environ.get("OTEL_SERVICE_NAME") or "batchspec",
            SERVICE_VERSION: batchspec.__version__,
        }
    )
    traces = TracerProvider(resource=resource, shutdown_on_exit=False)
    if "traces" in wanted:
        traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    readers = [PeriodicExportingMetricReader(OTLPMetricExporter())] if "metrics" in wanted else []
    carrier = {"traceparent": environ.get("TRACEPARENT", "")}
    return Telemetry(
        traces=traces,
        metrics=MeterProvider(readers, resource=resource, shutdown_on_exit=False),
        parent=TraceContextTextMapPropagator().extract(carrier),
        complaints=complaints,
    )


class Recorder:
    """Turns the events of one command into spans and metrics.

    A span for the command, in it one for each spec, in that one for each submission from the upload
    to the last answer, and in that one for reading its results.

    Args:
        command: The command's name.
        shared: Attributes of everything.
        models: The model of each spec.
        clock: For durations.
        telemetry: Where it goes.
        tell: Says a line to the user.
    """

    def __init__(
        self,
        *,
        command: str,
        shared: Mapping[str, str | bool],
        models: Mapping[str, str],
        clock: Clock,
        telemetry: Telemetry,
        tell: Callable[[str], None],
    ) -> None:
        self._command, self._shared, self._models = command, shared, models
        self._clock, self._telemetry, self._tell = clock, telemetry, tell
        self._tracer = telemetry.traces.get_tracer("batchspec", batchspec.__version__)
        meter = telemetry.metrics.get_meter("batchspec", batchspec.__version__)
        self._requests = meter.create_counter("batchspec.requests", "{request}", "Submitted.")
        self._items = meter.create_counter("batchspec.items", "{item}", "Finished, by status.")
        self._tokens = meter.create_counter("batchspec.tokens", "{token}", "Paid for, by type.")
        self._cost = meter.create_counter("batchspec.cost", "{USD}", "Real cost of answers.")
        self._batch = meter.create_histogram(
            "batchspec.batch.duration", "s", "From the upload to the last answer taken in."
        )
        self._run = meter.create_histogram("batchspec.run.duration", "s", "Of a command.")
        self._began = 0.0
        self._root: Span | None = None
        self._exit_code: int | None = None
        self._specs: dict[str, Span] = {}
        self._submissions: dict[str, Span] = {}
        self._uploaded: dict[str, float] = {}
        """When the submissions of this command were begun; those of earlier ones are not here."""
        self._collecting: dict[str, Span] = {}

    def __enter__(self) -> Self:
        """Begin the command's span."""
        self._began = self._clock.elapsed()
        self._root = self._tracer.start_span(
            f"batchspec {self._command}",
            context=self._telemetry.parent,
            attributes={**self._shared, "batchspec.command": self._command},
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End what is open, and export it."""
        open_spans = [
            *self._collecting.values(),
            *self._submissions.values(),
            *self._specs.values(),
        ]
        for span in open_spans:
            span.end()
        ending = "done" if kind is None else kind.__name__
        if self._root is not None:
            if self._exit_code is not None:
                self._root.set_attribute("batchspec.exit_code", self._exit_code)
            if kind is not None or self._exit_code:
                self._root.set_status(Status(StatusCode.ERROR))
                self._root.set_attribute("error.type", ending if kind else str(self._exit_code))
            self._root.end()
        seconds = self._clock.elapsed() - self._began
        about = {"batchspec.command": self._command, "batchspec.ending": ending}
        self._run.record(seconds, {**self._shared, **about})
        if not self._telemetry.close():
            self._tell(_LOST)

    def ended(self, exit_code: int) -> None:
        """Keep the command's exit code for its span."""
        self._exit_code = exit_code

    def take(self, event: events.Event) -> None:
        """Record an event."""
        match event:
            case events.PlanReady():
                self._planned(event)
            case events.Uploading() | events.Submitted():
                self._sent(event)
            case events.Uncertain() | events.Settled():
                self._doubted(event)
            case events.Collecting() | events.Collected():
                self._collected(event)
            case events.SpecDone():
                self._done(event)
            case _:
                pass

    def _of(self, spec: str) -> dict[str, str | bool]:
        model = self._models.get(spec)
        about = {"batchspec.spec": spec}
        return {**self._shared, **about, **({"gen_ai.request.model": model} if model else {})}

    def _child(self, name: str, parent: Span | None, attributes: Attributes) -> Span:
        context = None if parent is None else set_span_in_context(parent)
        return self._tracer.start_span(name, context=context, attributes=dict(attributes))

    def _spec(self, name: str) -> Span:
        if name not in self._specs:
            self._specs[name] = self._child(f"spec {name}", self._root, self._of(name))
        return self._specs[name]

    def _planned(self, event: events.PlanReady) -> None:
        counts: dict[str, int] = {
            "batchspec.items": event.items,
            "batchspec.submit": event.submit,
            "batchspec.requests": event.requests,
        }
        self._spec(event.spec).set_attributes(counts)

    def _submission(self, spec: str, tag: str) -> Span:
        if tag not in self._submissions:
            about = {**self._of(spec), "batchspec.submission": tag}
            self._submissions[tag] = self._child(f"submission {tag}", self._spec(spec), about)
        return self._submissions[tag]

    def _sent(self, event: events.Uploading | events.Submitted) -> None:
        span = self._submission(event.spec, event.submission)
        span.set_attribute("batchspec.requests", event.requests)
        if isinstance(event, events.Uploading):
            span.set_attribute("batchspec.bytes", event.bytes)
            self._uploaded.setdefault(event.submission, self._clock.elapsed())
            return
        span.set_attribute("batchspec.batch_id", event.batch_id)
        span.add_event("submitted")
        self._requests.add(event.requests, self._of(event.spec))

    def _doubted(self, event: events.Uncertain | events.Settled) -> None:
        span = self._submission(event.spec, event.submission)
        span.add_event("uncertain" if isinstance(event, events.Uncertain) else "settled")

    def _collected(self, event: events.Collecting | events.Collected) -> None:
        submission = self._submission(event.spec, event.submission)
        about = {"batchspec.submission": event.submission, "batchspec.batch_id": event.batch_id}
        if isinstance(event, events.Collecting):
            span = self._child("collect", submission, {**self._of(event.spec), **about})
            self._collecting[event.submission] = span
            return
        counts = {
            f"batchspec.{name}": getattr(event, name)
            for name in ("succeeded", "failed", "missing", "canceled")
        }
        collecting = self._collecting.pop(event.submission, None)
        if collecting is not None:
            collecting.set_attributes(counts)
            collecting.end()
        submission.set_attributes({**counts, "batchspec.batch_id": event.batch_id})
        submission.end()
        del self._submissions[event.submission]
        began = self._uploaded.pop(event.submission, None)
        if began is not None:
            self._batch.record(self._clock.elapsed() - began, self._of(event.spec))

    def _done(self, event: events.SpecDone) -> None:
        about, span = self._of(event.spec), self._spec(event.spec)
        for status, items in event.by_status:
            self._items.add(items, {**about, "batchspec.status": status})
            span.set_attribute(f"batchspec.items.{status}", items)
        kinds = ("input", "output", "cache_read", "cache_write")
        for kind, tokens in zip(kinds, (*event.tokens, *event.cache), strict=True):
            self._tokens.add(tokens, {**about, "gen_ai.token.type": kind})
        if event.usd is not None:
            self._cost.add(float(event.usd), about)
            span.set_attribute("batchspec.usd", float(event.usd))
        span.set_attribute("batchspec.complete", event.complete)
        self._specs.pop(event.spec).end()
