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
