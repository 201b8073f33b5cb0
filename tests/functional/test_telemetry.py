"""Traces and metrics of a run, as an OTLP receiver gets them; and nothing when nothing is asked."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.functional.conftest import Folder

PROMPT = "a-word-that-only-prompts-have"
SPEC = f"""\
version: 1
name: job
inputs: {{rows: [{{id: 1, word: one}}, {{id: 2, word: two}}], key: id}}
model: claude-haiku-4-5
max_tokens: 16
prompt: {{user: "{PROMPT} {{{{ word }}}}"}}
outputs: {{path: out/job.jsonl}}
"""
TRACE = "0af7651916cd43dd8448eb211c80319c"
BLOCKED = """\
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter")):
            raise ERROR(name)

sys.meta_path.insert(0, Missing())
"""
"""Python imports this first in every process whose path has it."""


@dataclass
class Receiver:
    """An OTLP/HTTP receiver on loopback."""

    url: str = ""
    bodies: list[tuple[str, bytes]] = field(default_factory=list)

    def spans(self) -> dict[str, Any]:
        """Return the spans by name, tags of submissions left out."""
        found: dict[str, Any] = {}
        for path, body in self.bodies:
            if path == "/v1/traces":
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        found |= {span.name.partition(" ")[0]: span for span in scope.spans}
        return found

    def metrics(self) -> dict[str, Any]:
        """Return the metrics by name."""
        found: dict[str, Any] = {}
        for path, body in self.bodies:
            if path == "/v1/metrics":
                for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    for scope in resource.scope_metrics:
                        found |= {metric.name: metric for metric in scope.metrics}
        return found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Serve a receiver."""
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Stay silent."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            made.bodies.append((self.path, body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def attributes(span: Any) -> dict[str, Any]:
    """Return a span's or a point's attributes."""
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}


def test_a_run_is_traced_and_measured(served: Folder, receiver: Receiver) -> None:
    """A span for run, spec, submission and collecting; requests, items, tokens, money, times."""
    served.write("specs/job.yaml", SPEC)
    served.write("batchspec.yaml", "version: 1\nname: desk\nenvironments: {prod: {}}\n")
    otel = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "TRACEPARENT": f"00-{TRACE}-b7ad6b7169203331-01",
        "BATCHSPEC_ENV": "prod",
    }
    done = served.batchspec("run", env=otel)
    assert done.code == 0, done.err
    spans = receiver.spans()
    assert set(spans) == {"batchspec", "spec", "submission", "collect"}
    root = spans["batchspec"]
    assert (root.name, root.trace_id.hex()) == ("batchspec run", TRACE)
    for name, parent in (("spec", "batchspec"), ("submission", "spec"), ("collect", "submission")):
        assert spans[name].parent_span_id == spans[parent].span_id
    said = attributes(spans["spec"])
    assert said["batchspec.spec"] == "job"
    assert said["gen_ai.request.model"] == "claude-haiku-4-5"
    assert said["batchspec.environment"] == "prod"
    assert (said["batchspec.items"], said["batchspec.items.succeeded"]) == (2, 2)
    assert attributes(spans["collect"])["batchspec.succeeded"] == 2
    measured(receiver.metrics())
    everything = b"".join(body for _, body in receiver.bodies)
    assert PROMPT.encode() not in everything
    assert b"canary-key" not in everything


def measured(metrics: dict[str, Any]) -> None:
    """Assert what the metrics of a run of two items say."""
    (requests,) = metrics["batchspec.requests"].sum.data_points
    assert requests.as_int == 2
    (items,) = metrics["batchspec.items"].sum.data_points
    assert (items.as_int, attributes(items)["batchspec.status"]) == (2, "succeeded")
    tokens = {
        attributes(point)["gen_ai.token.type"]: point.as_int
        for point in metrics["batchspec.tokens"].sum.data_points
    }
    assert tokens["input"] > 0
    assert tokens["output"] > 0
    (cost,) = metrics["batchspec.cost"].sum.data_points
    assert cost.as_double > 0
    assert metrics["batchspec.batch.duration"].histogram.data_points[0].count == 1
    assert metrics["batchspec.run.duration"].histogram.data_points[0].count == 1


def test_nothing_is_imported_or_sent_unasked(served: Folder, receiver: Receiver) -> None:
    """Switched off, not even the SDK is looked at; without the SDK the variables do nothing."""
    served.write("specs/job.yaml", SPEC)
    served.write("bug/sitecustomize.py", BLOCKED.replace("ERROR", "RuntimeError"))
    served.write("absent/sitecustomize.py", BLOCKED.replace("ERROR", "ModuleNotFoundError"))
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
    off = {"PYTHONPATH": str(served.root / "bug"), "OTEL_SDK_DISABLED": "true"}
    done = served.batchspec("run", "--emulate", env=asked | off)
    assert done.code == 0, done.err
    absent = {"PYTHONPATH": str(served.root / "absent")}
    done = served.batchspec("run", "--emulate", env=asked | absent)
    assert done.code == 0, done.err
    assert receiver.bodies == []


def test_a_deaf_receiver_changes_nothing(served: Folder) -> None:
    """The run ends as it would, and one line tells that telemetry was lost."""
    served.write("specs/job.yaml", SPEC)
    otel = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "0.1",
    }
    done = served.batchspec("run", "--emulate", env=otel)
    assert done.code == 0, done.err
    assert done.err.count("Telemetry could not be exported") == 1
    assert "Traceback" not in done.err
