"""Where a command's data and progress go: stdout and stderr, and how they may look."""

from __future__ import annotations

import contextlib
import io
import os
import sys

from batchspec.errors import DiskFailure

TYPE_CHECKING = False  # `typing` itself would be a tenth of the time that `--help` takes
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any, TextIO

    from batchspec.clock import Clock
    from batchspec.report.style import Style

_SECRET_NAMES = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
_EMULATED = (
    r"`batchspec "
    r"(plan|run|apply|status|collect|cancel|recover|show|verify|diff|record|cost|history|report)\b"
    r"(?![^`]* --emulate)"
)
"""Commands in messages that take ``--emulate`` and lack it."""
_IN_ENVIRONMENT = (
    r"`batchspec "
    r"(validate|plan|run|apply|status|collect|cancel|recover|show|verify|diff|record|cost|report"
    r"|history|state|models)\b(?![^`]* --env)"
)
"""Commands in messages that take ``--env`` and lack it."""


class Terminal:
    """The outside of a command: streams, environment and clock.

    Args:
        stdout: Takes data only.
        stderr: Takes progress, warnings and errors.
        environ: The environment variables.
        clock: The time; the machine's clock when left out.
    """

    def __init__(
        self,
        *,
        stdout: TextIO,
        stderr: TextIO,
        environ: Mapping[str, str],
        clock: Clock | None = None,
    ) -> None:
        self.stdout = stdout
        self.stderr = stderr
        self.environ = environ
        self.format = "text"
        self.emulate = False
        """Whether the command works on emulated state, and so whatever it tells to type."""
        self.command = ""
        """The name of the command that is at work."""
        self.env: str | None = None
        """The environment that ``--env`` chose, and so whatever the command tells to type."""
        self.stdout_lost = False
        """Whether stdout takes nothing any more; errors then go to stderr in every format."""
        self.root: Path | None = None
        """The project's root once it is known; traceback files go below it."""
        self.resume_hint = ""
        """What an interrupted command says about work that goes on."""
        self.secret_names: tuple[str, ...] = _SECRET_NAMES
        """Environment variables whose values no report may contain."""
        self._color = "NO_COLOR" not in environ and environ.get("TERM") != "dumb"
        self._clock = clock
        for stream in (stdout, stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")

    @property
    def clock(self) -> Clock:
        """The time."""
        if self._clock is None:
            from batchspec.clock import SystemClock  # noqa: PLC0415 - `--help` needs no clock

            self._clock = SystemClock()
        return self._clock

    def configure(self, *, format: str, color: bool) -> None:  # noqa: A002 - the option's name
        """Take the options that every command has."""
        self.format = format
        self._color = self._color and color

    def guard_secret(self, name: str) -> None:
        """Keep the value of one more environment variable out of every report."""
        self.secret_names = (*self.secret_names, name)

    @property
    def interactive(self) -> bool:
        """Whether moving progress may be shown: a person's terminal, not CI, colours allowed."""
        return self._color and self.stderr.isatty() and not self.environ.get("CI")

    @property
    def drawable(self) -> bool:
        """Whether stdout may be drawn over: a person's terminal, not CI, colours allowed."""
        return self._color and self.stdout.isatty() and not self.environ.get("CI")

    @property
    def out_style(self) -> Style:
        """Colours for stdout."""
        return self._style(self.stdout)

    @property
    def err_style(self) -> Style:
        """Colours for stderr."""
        return self._style(self.stderr)

    def _style(self, stream: TextIO) -> Style:
        from batchspec.report.style import Style  # noqa: PLC0415 - `--help` needs no styles

        return Style(color=self._color and stream.isatty())

    def data(self, text: str) -> None:
        """Write data to stdout.

        Raises:
            BrokenPipeError: the reader went away.
            DiskFailure: stdout is a file, and the disk does not take it.
        """
        try:
            print(text, end="", file=self.stdout, flush=True)
        except BrokenPipeError:
            raise
        except OSError as error:
            self.silence()
            raise DiskFailure(
                f"The output could not be written to stdout ({error.strerror}), so what is there "
                "is not whole.",
                hint="Mend that and run the command again; work that was submitted is not lost.",
            ) from error

    def silence(self) -> None:
        """Write no more to stdout: who reads it is gone, or its disk is full.

        Python flushes stdout once more at exit; into the void, it cannot complain.
        """
        self.stdout_lost = True
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stdout.fileno())

    def data_json(self, value: Any) -> None:
        """Write a value, JSON text, or pieces of JSON text, to stdout as one JSON document."""
        import collections.abc  # noqa: PLC0415 - as below
        import json  # noqa: PLC0415 - text output needs no JSON

        from batchspec.report.hygiene import harmless_json  # noqa: PLC0415 - as above

        if isinstance(value, collections.abc.Iterator):
            for piece in value:
                self.data(harmless_json(piece))
            return
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
        self.data(harmless_json(text).rstrip("\n") + "\n")

    def note(self, text: str) -> None:
        """Write lines to stderr. A closed stderr is no reason to stop work that costs money."""
        with contextlib.suppress(BrokenPipeError):
            print(self.addressed(self.redacted(text)), file=self.stderr, flush=True)

    def addressed(self, text: str) -> str:
        """Return text whose commands keep ``--emulate`` and ``--env``: they may be followed."""
        if not (self.emulate or self.env) or "`batchspec " not in text:
            return text
        import re  # noqa: PLC0415 - `--help` needs none

        if self.emulate:
            text = re.sub(_EMULATED, r"`batchspec \1 --emulate", text)
        if self.env:
            text = re.sub(_IN_ENVIRONMENT, lambda found: f"{found[0]} --env {self.env}", text)
        return text

    def redacted(self, text: str) -> str:
        """Return text without the values of `secret_names`: an error may quote a header."""
        from batchspec.cli.redaction import redact_line  # noqa: PLC0415 - `--help` needs none

        return redact_line(text, self.environ, self.secret_names)


def system_terminal() -> Terminal:
    """Return the process's own streams and environment."""
    return Terminal(stdout=sys.stdout, stderr=sys.stderr, environ=os.environ)
