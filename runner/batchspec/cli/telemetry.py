"""Whether a command tells OpenTelemetry what happens, without importing it when it does not.

It does when an OTLP exporter is configured by the standard variables and the SDK is installed
(`pip install batchspec[otel]`). Else nothing is imported and nothing is sent.
"""

from __future__ import annotations

import importlib.util
from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from batchspec.events import Event
    from batchspec.workflow.context import Session

    Shared = Mapping[str, str | bool]

SIGNALS = ("traces", "metrics")
_NEEDED = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")


class Observer(Protocol):
    """Hears what happens during a command."""

    def take(self, event: Event) -> None:
        """Hear of an event."""
        ...

    def ended(self, exit_code: int) -> None:
        """Hear how the command ended."""
        ...


class Deaf:
    """Hears nothing."""

    def take(self, event: Event) -> None:
        """Let an event pass."""

    def ended(self, exit_code: int) -> None:
        """Let the end pass."""


def signals(environ: Mapping[str, str]) -> frozenset[str]:
    """Return for which of `SIGNALS` an OTLP exporter is configured.

    ``OTEL_EXPORTER_OTLP_ENDPOINT``, that of the signal, or ``OTEL_TRACES_EXPORTER=otlp`` asks for
    it; another exporter's name, ``none`` and ``OTEL_SDK_DISABLED=true`` switch it off.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return frozenset()
    found = set()
    for signal in SIGNALS:
        names = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
        exporter = environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip().lower()
        asked = exporter == "otlp" or any(environ.get(name) for name in names)
        if asked and exporter in ("", "otlp"):
            found.add(signal)
    return frozenset(found)


def observing(
    command: str, session: Session, models: Mapping[str, str], tell: Callable[[str], None]
) -> AbstractContextManager[Observer]:
    """Return who hears the events of a command, for the time of its work.

    Args:
        command: The command's name.
        session: What it works on.
        models: The model of each spec.
        tell: Says a line to the user.
    """
    wanted = signals(session.environ)
    if not wanted or not _installed():
        return nullcontext(Deaf())
    from batchspec.cli.otel import Recorder, open_telemetry  # noqa: PLC0415 - only when wanted

    project, environment = session.project, session.project.environment
    shared: dict[str, str | bool] = {
        "batchspec.project": project.name,
        "batchspec.emulated": session.emulated,
    }
    if environment is not None:
        shared["batchspec.environment"] = environment.name
    return Recorder(
        command=command,
        shared=shared,
        models=models,
        clock=session.clock,
        telemetry=open_telemetry(wanted, session.environ),
        tell=tell,
    )


def _installed() -> bool:
    try:
        return all(importlib.util.find_spec(name) is not None for name in _NEEDED)
    except ModuleNotFoundError:  # of a parent package
        return False
