"""When telemetry is asked for, by the standard variables."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from batchspec.cli.telemetry import signals

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, set()),
        ({"OTEL_SERVICE_NAME": "jobs"}, set()),
        (ENDPOINT, {"traces", "metrics"}),
        (ENDPOINT | {"OTEL_METRICS_EXPORTER": "none"}, {"traces"}),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "console"}, {"metrics"}),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "True"}, set()),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, {"traces"}),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1/m"}, {"metrics"}),
    ],
)
def test_the_variables_decide(environ: Mapping[str, str], wanted: set[str]) -> None:
    """Each signal is exported where an OTLP exporter is configured for it."""
    assert signals(environ) == wanted
