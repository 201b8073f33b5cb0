"""What `run`, `apply`, `collect`, `cancel` and `recover` have in common: follow, then sum up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from batchspec.cli.arguments import command_of
from batchspec.cli.exits import DONE, INTERRUPTED, ITEMS_FAILED, PROBLEMS
from batchspec.cli.progress import display_for, follow
from batchspec.cli.result import Result, stopped_by
from batchspec.cli.selection import select, select_usable
from batchspec.cli.telemetry import observing
from batchspec.events import PlanReady, Uploading, Waiting
from batchspec.problems import has_errors
from batchspec.report.problems import problems_json
from batchspec.report.summary import RunSummary, summary_json, summary_text
from batchspec.workflow.context import open_session
from batchspec.workflow.untrusted import refuse_untrusted

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from batchspec.cli.arguments import Selecting
    from batchspec.cli.terminal import Terminal
    from batchspec.events import Event
    from batchspec.problems import Problem
    from batchspec.spec.environments import Environment
    from batchspec.spec.project import LoadedSpec
    from batchspec.workflow.context import Session
    from batchspec.workflow.options import RunResult

    Work = Callable[[Session, tuple[LoadedSpec, ...]], Generator[Event, None, RunResult]]

_ENDINGS = {
    DONE: "Done.",
    PROBLEMS: "Stopped: the problems above are in the specs.",
    ITEMS_FAILED: "Finished, but items or checks failed (exit code 3). Outputs are written.",
    INTERRUPTED: "Interrupted.",
}
_FOR_NOW = "Done for now."
_FAILED_FOR_NOW = "Items or checks failed (exit code 3). What is not complete has no outputs yet."
_LEFT_OUT = "Done, but for the specs with problems above: they were left out."


def work_on_specs(
    args: Selecting, terminal: Terminal, work: Work, *, usable: bool = False
) -> Result:
    """Select specs, open a session, do the work with its progress on stderr, and sum it up.

    Args:
        args: Which specs, and whether on the emulated state.
        terminal: Where progress goes.
        work: Starts the work; its events are shown and summed up.
        usable: Leave specs with problems out instead of stopping at them.

    Raises:
        UntrustedJob: a CI job would use the key for specs that may be a fork's.
    """
    if not args.emulate:
        refuse_untrusted(terminal.environ)
    selection, problems = (select_usable if usable else select)(args, terminal)
    if selection is None:
        return stopped_by(problems)
    again = command_of("run", emulate=args.emulate, env=args.env)
    terminal.resume_hint = f"Run `{again}` again to go on."
    summary = RunSummary()
    session = open_session(
        selection.project, emulate=args.emulate, clock=terminal.clock, environ=terminal.environ
    )
    session.left_out = has_errors(problems)
    models = {loaded.spec.name: loaded.spec.model for loaded in selection.specs}
    with session, observing(terminal.command, session, models, terminal.note) as observer:

        def also(event: Event) -> None:
            if _submitted(event):
                goes_on = f"Submitted work goes on. Run `{again}` again to collect it."
                terminal.resume_hint = goes_on
            summary.add(event)
            observer.take(event)

        done = follow(work(session, selection.specs), display_for(terminal), also=also)
        observer.ended(done.exit_code)
    collect = command_of("collect", emulate=args.emulate, env=args.env)
    result = _summed_up(done, summary, terminal, problems, collect)
    return _headed(result, selection.project.environment, terminal)


def _submitted(event: Event) -> bool:
    """Tell whether an event says that something is in flight, or may be from now on."""
    match event:
        case Uploading():
            return True
        case PlanReady(in_flight=number) | Waiting(open_batches=number):
            return number > 0
        case _:
            return False


def _headed(result: Result, environment: Environment | None, terminal: Terminal) -> Result:
    """Return the end of a command with the environment that it worked in."""
    if environment is None:
        return result
    head = terminal.out_style.bold(f"{environment.words()}.")
    text = f"{head}\n\n{result.text}" if result.text else ""
    return replace(result, text=text, json={"environment": environment.name} | result.json)


def _summed_up(
    done: RunResult,
    summary: RunSummary,
    terminal: Terminal,
    before: tuple[Problem, ...],
    collect: str,
) -> Result:
    """Return the end; a command that left specs ``before`` it out is not simply done."""
    code = done.exit_code
    ending = _ENDINGS.get(code, "")
    if code == DONE and summary.waits:
        ending = _FOR_NOW
    if code == ITEMS_FAILED and summary.waits:
        ending = _FAILED_FOR_NOW
    if code == DONE and has_errors(before):
        code, ending = PROBLEMS, _LEFT_OUT
    found = before + done.problems
    data = summary_json(summary, exit_code=code) | problems_json(found)
    text = summary_text(summary, style=terminal.out_style, collect=collect)
    if ending and (text or done.exit_code == DONE):
        text = f"{text}\n{ending}\n" if text else f"{ending}\n"
    return Result(exit_code=code, text=text, json=data, problems=found)
