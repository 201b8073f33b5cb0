"""The one error boundary: exit codes, messages, bug reports, pipes."""

from __future__ import annotations

import errno
import json
import re
from typing import TYPE_CHECKING

import pytest

from batchspec import errors
from batchspec.cli.boundary import guarded
from batchspec.cli.result import Result, stopped_by
from batchspec.problems import Place, Problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchspec.cli.terminal import Terminal

    Said = Callable[[Terminal], tuple[str, str]]
    MakeTerminal = Callable[..., Terminal]

PROBLEM = Problem(code="unknown-key", summary="`modell` is unknown", where=Place(file="a.yaml"))


def raising(error: BaseException) -> Callable[[], Result]:
    """Return work that raises."""

    def work() -> Result:
        raise error

    return work


ENDINGS: list[tuple[Callable[[], Result], int, str, str]] = [
    (lambda: Result(text="data\n"), 0, "data\n", ""),
    (lambda: Result(exit_code=3, text="rows\n"), 3, "rows\n", ""),
    (lambda: Result(exit_code=10, text="plan\n"), 10, "plan\n", ""),
    (
        lambda: stopped_by((PROBLEM,)),
        1,
        "",
        "a.yaml unknown-key: `modell` is unknown.\n1 problem.\n",
    ),
    (raising(errors.Failure("No.")), 5, "", "error: No.\n"),
    (raising(errors.UsageFailure("No.", hint="Try.")), 2, "", "error: No.\nTry.\n"),
    (raising(errors.Refused("No.")), 4, "", "error: No.\n"),
    (raising(errors.StalePlan("No.")), 4, "", "error: No.\n"),
    (raising(errors.OverBudget("No.")), 4, "", "error: No.\n"),
    (raising(errors.AgainstPolicy("No.")), 4, "", "error: No.\n"),
    (raising(errors.StateLocked("No.")), 4, "", "error: No.\n"),
    (raising(errors.UntrustedJob("No.")), 4, "", "error: No.\n"),
    (raising(errors.Ambiguous("No.")), 4, "", "error: No.\n"),
    (raising(errors.EnvironmentFailure("No.")), 5, "", "error: No.\n"),
    (raising(errors.OutOfMemory("No.")), 5, "", "error: No.\n"),
    (raising(errors.MissingKey("No.")), 5, "", "error: No.\n"),
    (raising(errors.AuthFailure("No.")), 5, "", "error: No.\n"),
    (raising(errors.NetworkFailure("No.")), 5, "", "error: No.\n"),
    (raising(errors.DiskFailure("No.")), 5, "", "error: No.\n"),
    (raising(errors.StateFailure("No.")), 5, "", "error: No.\n"),
    (
        raising(OSError(errno.ENOSPC, "No space left", "out/x")),
        5,
        "",
        (
            "error: The disk is full at out/x. The command could not finish; what was written "
            "before is whole.\nMend that and run the command again; work that was "
            "submitted is not lost.\n"
        ),
    ),
    (raising(KeyboardInterrupt()), 130, "", "Interrupted.\n"),
    (raising(BrokenPipeError()), 0, "", ""),
    (raising(SystemExit(0)), 0, "", ""),
]


@pytest.mark.parametrize(("work", "code", "out", "err"), ENDINGS)
def test_exit_codes(
    work: Callable[[], Result], code: int, out: str, err: str, terminal: Terminal, said: Said
) -> None:
    """Each kind of ending has its exit code and says exactly this."""
    assert (guarded(work, terminal, []), *said(terminal)) == (code, out, err)


def test_every_failure_has_a_row() -> None:
    """A new class of failure needs a row in the table above."""
    tree = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.Failure)
    }
    covered = set()
    for work, *_ in ENDINGS:
        try:
            work()
        except errors.Failure as failure:
            covered.add(type(failure).__name__)
        except (OSError, KeyboardInterrupt, SystemExit):
            pass
    assert covered == tree


def test_interrupt_says_how_to_resume(terminal: Terminal, said: Said) -> None:
    """After Ctrl-C the reader knows that submitted work goes on."""
    terminal.resume_hint = "Submitted work goes on. Run `batchspec run` again to collect it."
    assert guarded(raising(KeyboardInterrupt()), terminal, []) == 130
    assert said(terminal)[1] == (
        "Interrupted.\nSubmitted work goes on. Run `batchspec run` again to collect it.\n"
    )


@pytest.mark.parametrize(
    ("work", "data"),
    [
        (
            raising(errors.StalePlan("Stale.", hint="Plan again.")),
            {"error": {"code": "stale-plan", "message": "Stale.", "hint": "Plan again."}},
        ),
        (
            raising(errors.MissingKey("No key.")),
            {"error": {"code": "missing-key", "message": "No key.", "hint": ""}},
        ),
        (
            raising(errors.UsageFailure("No.")),
            {"error": {"code": "usage", "message": "No.", "hint": ""}},
        ),
        (
            raising(KeyboardInterrupt()),
            {"error": {"code": "interrupted", "message": "Interrupted.", "hint": ""}},
        ),
        (
            lambda: stopped_by((PROBLEM,)),
            {
                "problems": [
                    {
                        "code": "unknown-key",
                        "severity": "error",
                        "summary": "`modell` is unknown",
                        "detail": "",
                        "where": {"file": "a.yaml", "line": None, "column": None},
                    }
                ]
            },
        ),
        (lambda: Result(text="not this", json={"a": "\x9b\u202e"}), {"a": "\x9b\u202e"}),
        (lambda: Result(json='{"ready": "text"}'), {"ready": "text"}),
    ],
)
def test_json_form(
    work: Callable[[], Result], data: object, terminal: Terminal, said: Said
) -> None:
    """With --format json stdout is one JSON document, whatever the ending, and stderr is silent."""
    terminal.configure(format="json", color=True)
    guarded(work, terminal, [])
    out, err = said(terminal)
    assert json.loads(out) == data
    assert "\x9b" not in out
    assert err == ""


def test_bug_report(tmp_path: Path, make_terminal: MakeTerminal, said: Said) -> None:
    """A bug leaves a traceback file without secrets, and one sentence about what to do."""
    key = "sk-ant-" + "api03-canary_CANARY-0123456789"
    environ = {"ANTHROPIC_API_KEY": "odd key", "MY_TOKEN": "token-canary", "VAR": "x", "KEYS": "a"}
    terminal = make_terminal(environ | {"TEAM_CREDENTIAL": "c0"})
    terminal.guard_secret("TEAM_CREDENTIAL")

    def broken() -> Result:
        local_canary = "only a local variable"
        raise ZeroDivisionError(f"{key} odd key token-canary c0 a {len(local_canary)}")

    assert guarded(broken, terminal, ["run", key]) == 70
    (report,) = (tmp_path / ".batchspec").iterdir()
    assert re.fullmatch(r"bug-[0-9a-f]{8}\.txt", report.name)
    text = report.read_text()
    assert "ZeroDivisionError" in text
    assert "command: run [redacted]" in text
    assert "[redacted] [redacted] [redacted] [redacted] a 21" in text
    assert "only a local variable" not in text
    out, err = said(terminal)
    assert out == ""
    assert err.startswith("error: This is a bug in batchspec (ZeroDivisionError). The traceback")
    assert str(report) in err


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_line_shows_a_key(form: str, make_terminal: MakeTerminal, said: Said) -> None:
    """Notes, errors and hints lose the values of key variables; short values are words."""
    environ = {"ANTHROPIC_API_KEY": " odd-key-1234\n", "TEAM": "odd-key-1234-team", "LOGIN": "any"}
    terminal = make_terminal(environ)
    terminal.configure(format=form, color=False)
    for name in ("TEAM", "LOGIN"):
        terminal.guard_secret(name)
    terminal.note("header: odd-key-1234")
    error = errors.AuthFailure("Not odd-key-1234-team of anyone.", hint="sk-ant-api03-x is none.")
    assert guarded(raising(error), terminal, []) == 5
    told = "".join(said(terminal))
    assert "header: [redacted]\n" in told
    assert "Not [redacted] of anyone." in told
    assert "[redacted] is none." in told


def test_same_bug_same_file(tmp_path: Path, terminal: Terminal) -> None:
    """A bug that is met twice makes one file, so that a loop cannot fill the disk."""

    def broken(text: str) -> Result:
        raise ValueError(text)

    guarded(lambda: broken("a"), terminal, [])
    guarded(lambda: broken("b"), terminal, [])
    assert len(list((tmp_path / ".batchspec").iterdir())) <= 2


def test_bug_in_a_read_only_project(tmp_path: Path, terminal: Terminal, said: Said) -> None:
    """Where the project cannot be written, the traceback goes to the temporary folder."""
    terminal.root = tmp_path / "missing"
    assert guarded(raising(ValueError("x")), terminal, []) == 70
    where = re.search(r"The traceback is in (\S+bug-\w+\.txt)\.", said(terminal)[1])
    assert where is not None
    assert not where[1].startswith(str(tmp_path))


def test_closed_stderr_stops_no_work(terminal: Terminal) -> None:
    """`run 2>&1 | head` must not end a run that costs money."""

    def closed(_text: str) -> int:
        raise BrokenPipeError

    terminal.stderr.write = closed  # type: ignore[method-assign]  # the stream is the seam here
    terminal.note("lost")
    assert guarded(lambda: Result(exit_code=3), terminal, []) == 3


def test_closed_stdout_keeps_the_exit_code(terminal: Terminal) -> None:
    """`plan | head` ends quietly, and a finished command keeps its exit code."""

    def closed(_text: str) -> int:
        raise BrokenPipeError

    terminal.stdout.write = closed  # type: ignore[method-assign]  # the stream is the seam here
    assert guarded(lambda: Result(exit_code=3, text="x"), terminal, []) == 3


def test_colours_only_for_people(make_terminal: MakeTerminal, said: Said) -> None:
    """A person sees a red label; NO_COLOR, --no-color and TERM=dumb do not."""
    for environ, option, colored in [
        ({}, True, True),
        ({"NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({}, False, False),
    ]:
        person = make_terminal(environ, tty=True)
        person.configure(format="text", color=option)
        guarded(raising(errors.Failure("\x1b[2JNo.")), person, [])
        label = "\x1b[31merror:\x1b[0m" if colored else "error:"
        assert said(person)[1] == f"{label} [2JNo.\n"
