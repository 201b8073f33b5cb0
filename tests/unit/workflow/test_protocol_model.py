"""The submit protocol under whatever strikes (`protocol_machine`), and mutants that it catches."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable

import pytest
from fake_process import Rules
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from mutants import MUTANTS
from protocol_machine import ProtocolMachine

from batchspec.api.port import FailureKind

STEPS = 40
CALM = settings(
    deadline=None,
    database=None,
    stateful_step_count=STEPS,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


HISTORIES, BLOCKS = 200, 50
SHORT_MUTANTS = ("open creates are sent again", "any workspace will do")


def machine(number: int, rules: Rules = Rules()) -> type[ProtocolMachine]:  # noqa: B008 - frozen
    """Return the machine with a seed of its own."""
    own = {"rules_of_play": rules, "tally": Counter()}
    return seed(number)(type("Machine", (ProtocolMachine,), own))


def play(number: int, histories: int) -> dict[str, int]:
    """Play histories; return what was tried."""
    played = machine(number)
    run_state_machine_as_test(played, settings=settings(CALM, max_examples=histories))
    return {f"{name} (model)": count for name, count in played.tally.items()}


def test_no_history_pays_twice_or_loses(record_property: Callable[[str, object], None]) -> None:
    """Whatever is killed, lost, late, foreign or rolled back: paid once and answered once."""
    record_property("figures", play(0, 100))


def test_a_pause_after_the_last_listing() -> None:
    """Hypothesis found it: without a Date header, an old listing proved that a late batch was none.

    A create is answered by an error and made minutes later; the process is killed, the state
    deleted. Its successor lists the workspace before the batch is there, and stands still.
    """
    story = machine(2)()
    try:
        story.begin(questions=1, size=1, dated=False, named=False)
        story.run(after=33, creates=["429", "late"], events=5, lasts=5.0, strike="kill")
        story.lose_state(kept=False)
        story.run(events=1)
        story.run(after=22, events=31, lasts=5.0, strike=2000.0)
        story.nothing_is_paid_twice()
        assert story.world.paid()
    finally:
        story.teardown()


def test_a_stray_line_alone_does_not_make_a_batch_somebody_elses() -> None:
    """Hypothesis found it: results of one request, cut after a line that belongs elsewhere.

    One stray line is as many lines as the batch has requests, and nothing shows the cut.
    """
    story = machine(2)()
    try:
        story.begin(questions=7, size=2, dated=True, named=False)
        story.answers_fail(kinds=["errored", "answered"], noisy=True)
        story.run(after=19, events=43, lasts=5.0)
        story.results_break(how="short", lines=3, times=7)
        story.lose_state(kept=False)
        story.run(after=25, creates=["torn", "lost-after"], events=51, lasts=5.0, strike="kill")
        story.nothing_is_paid_twice()
    finally:
        story.teardown()
    assert len(story.world.paid()) == 7


def test_a_stray_line_read_twice_proves_no_more() -> None:
    """The same where two readings in a row are cut, with a long pause between them."""
    story = machine(2)()
    try:
        story.begin(questions=1, size=1, dated=False, named=False)
        story.answers_fail(kinds=["answered"], noisy=True)
        story.run(after=17, events=5000, lasts=1500.0, strike="kill")
        story.results_break(how="short", lines=3, times=2)
        story.run(events=5000, lasts=5.0)
        story.nothing_is_paid_twice()
    finally:
        story.teardown()
    assert len(story.world.paid()) == 1


def test_a_stray_line_alone_does_not_decide_an_open_create() -> None:
    """The same for a create whose outcome is open, while another process takes over."""
    story = machine(2)()
    try:
        story.begin(questions=2, size=1, dated=True, named=True)
        story.reads_fail([FailureKind.NOT_SENT, FailureKind.NOT_SENT, FailureKind.NOT_FOUND])
        story.results_break(how="mid-line", lines=3, times=6)
        story.answers_fail(kinds=["answered"], noisy=True)
        story.run(after=15, creates=["late", "late"], lasts=5.0, events=5000, strike=41)
        story.nothing_is_paid_twice()
    finally:
        story.teardown()
    assert len(story.world.paid()) == 2


def catch(mutant: str) -> None:
    """Play the protocol without one of its rules until that is noticed."""
    quick = settings(CALM, max_examples=1500, phases=[Phase.generate])
    with pytest.raises((AssertionError, sqlite3.IntegrityError)):
        run_state_machine_as_test(machine(1, MUTANTS[mutant]), settings=quick)


@pytest.mark.parametrize("mutant", SHORT_MUTANTS)
def test_a_missing_rule_is_noticed(mutant: str) -> None:
    """The model can fail: it pays twice, or goes on where it must not."""
    catch(mutant)


@pytest.mark.crash_long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("mutant", sorted(MUTANTS))
def test_each_missing_rule_is_noticed(
    mutant: str, record_property: Callable[[str, object], None]
) -> None:
    """The same for all rules that can be taken away, also those whose lack shows rarely."""
    catch(mutant)
    record_property("figures", {"mutants noticed (model)": 1})


@pytest.mark.crash_long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("block", range(1, BLOCKS + 1))
def test_no_history_of_many_pays_twice_or_loses(
    block: int, record_property: Callable[[str, object], None]
) -> None:
    """The same over many more histories."""
    record_property("figures", play(block, HISTORIES))
