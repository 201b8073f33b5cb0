"""The one place where results and failures become output and exit codes.

========================  =========================================================
0                         done
1 problems                `Result.problems` with an error among them
2, 4, 5                   `errors.Failure` and the class's ``exit_code``
5                         disk errors that no room translated (full, read-only, not allowed)
70                        any other exception: a traceback file below ``.batchspec/``
130                       Ctrl-C and SIGTERM
========================  =========================================================
"""

from __future__ import annotations

import contextlib
import errno

from batchspec.cli.exits import BUG, DONE, INTERRUPTED, PROBLEMS
from batchspec.errors import DiskFailure, Failure

TYPE_CHECKING = False  # `typing` itself would be a tenth of the time that `--help` takes
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batchspec.cli.result import Result
    from batchspec.cli.terminal import Terminal

_DISK = {
    errno.ENOSPC: "The disk is full",
    errno.EDQUOT: "The disk quota is used up",
    errno.EROFS: "The file system is read-only",
    errno.EACCES: "Permission was denied",
    errno.EPERM: "Permission was denied",
    errno.EMFILE: "Too many files are open",
    errno.EIO: "The disk reported an error",
}


def guarded(work: Callable[[], Result], terminal: Terminal, argv: Sequence[str]) -> int:
    """Do a command's work, print what it returns or raises, and return the exit code."""
    try:
        return _attempt(work, terminal)
    except KeyboardInterrupt:
        return _interrupted(terminal)
    except BrokenPipeError:
        return _reader_gone(terminal, DONE)
    except Exception as error:  # noqa: BLE001 - this is the boundary
        return _bug(error, terminal, argv)


def _attempt(work: Callable[[], Result], terminal: Terminal) -> int:
    """Run the work; failures of the environment are answers here, anything else passes."""
    try:
        result = work()
    except SystemExit as stop:  # argparse after --help and --version
        code = stop.code if isinstance(stop.code, int) else DONE
        return _finished(lambda: terminal.data(""), code, terminal)
    except Failure as failure:
        return _failed(failure, terminal)
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno not in _DISK:
            raise
        return _failed(_disk_failure(error), terminal)
    return _finished(lambda: _show(result, terminal), result.exit_code, terminal)


def _finished(show: Callable[[], None], exit_code: int, terminal: Terminal) -> int:
    try:
        show()
    except BrokenPipeError:
        return _reader_gone(terminal, exit_code)
    except DiskFailure as failure:
        return _failed(failure, terminal)
    return exit_code


def _show(result: Result, terminal: Terminal) -> None:
    if terminal.format == "json":
        _show_json(result, terminal)
        return
    if result.problems:
        terminal.note(_problems(result, terminal))
    if result.text:
        terminal.data(result.text)


def _show_json(result: Result, terminal: Terminal) -> None:
    from batchspec.report.problems import (  # noqa: PLC0415 - only when there is JSON to show
        problems_json,
        problems_text,
    )

    if result.json is None:
        terminal.data_json(problems_json(result.problems))
        return
    terminal.data_json(result.json)
    told = isinstance(result.json, dict) and "problems" in result.json
    if result.problems and not (told and result.exit_code == PROBLEMS):
        terminal.note(problems_text(result.problems))


def _problems(result: Result, terminal: Terminal) -> str:
    from batchspec.report.problems import (  # noqa: PLC0415 - only when there are problems
        problems_text,
        problems_total,
    )

    text = problems_text(result.problems, style=terminal.err_style, carets=terminal.stderr.isatty())
    return f"{text}\n{problems_total(result.problems)}."


def _failed(failure: Failure, terminal: Terminal) -> int:
    _show_error(terminal, failure.code, failure.message, failure.hint)
    return failure.exit_code


def _disk_failure(error: OSError) -> DiskFailure:
    where = f" at {error.filename}" if error.filename else ""
    return DiskFailure(
        f"{_DISK[error.errno or errno.EIO]}{where}. The command could not finish; what was "
        "written before is whole.",
        hint="Mend that and run the command again; work that was submitted is not lost.",
    )


def _interrupted(terminal: Terminal) -> int:
    message = "Interrupted."
    _show_error(terminal, "interrupted", message, terminal.resume_hint)
    return INTERRUPTED


def _bug(error: Exception, terminal: Terminal, argv: Sequence[str]) -> int:
    from batchspec.cli.bugs import write_bug_report  # noqa: PLC0415 - only when there is one

    message, hint = write_bug_report(error, terminal, argv)
    _show_error(terminal, "bug", message, hint)
    return BUG


def _show_error(terminal: Terminal, code: str, message: str, hint: str) -> None:
    from batchspec.report.hygiene import clean_block  # noqa: PLC0415 - only when there is an error

    message, hint = (terminal.addressed(terminal.redacted(part)) for part in (message, hint))
    if terminal.format == "json" and not terminal.stdout_lost:
        error = {"code": code, "message": message, "hint": hint}
        with contextlib.suppress(BrokenPipeError):
            terminal.data_json({"error": error})
        return
    label = "" if code == "interrupted" else f"{terminal.err_style.bad('error:')} "
    terminal.note(f"{label}{clean_block(message)}")
    if hint:
        terminal.note(clean_block(hint))


def _reader_gone(terminal: Terminal, exit_code: int) -> int:
    """Close stdout quietly after its reader went away (``| head``)."""
    terminal.silence()
    return exit_code
