"""The submit protocol as a state machine: whatever strikes, nothing is paid twice or lost.

Hypothesis chooses the rules and their order. They plot what goes wrong (`World`), let processes run
for some events, kill them, let a second one steal the lease, delete or roll back the state. After
each rule no question may have been paid twice; at the end, when nothing goes wrong any more, a
process has to get through, and every question is answered by an answer that was paid for it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import orjson
from fake_process import Bench, Rules, answers, process
from fake_world import (
    ANSWERED,
    BREAKS,
    CANCELED,
    COMMIT_SECONDS,
    DROPPED,
    ERRORED,
    LATE,
    LISTING_SECONDS,
    OUTCOMES,
    READ_FAILURES,
    Killed,
    World,
)
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from batchspec.errors import Ambiguous, Failure, NetworkFailure, StateLocked
from batchspec.plan.model import Outcome
from batchspec.state.ledger import Fenced
from batchspec.state.model import UNRESOLVED

MEMORY = Path("/dev/shm")  # noqa: S108 - memory where there is some: fsync costs nothing there
MOST_PROCESSES = 30
MOST_EVENTS = 5000
GIVEN_UP = (Ambiguous.__name__, Fenced.__name__, NetworkFailure.__name__, "killed")
GOOD = (Outcome.SUCCEEDED, Outcome.UNCHECKED)
DURATIONS = st.sampled_from((5.0, 60.0, 1500.0, 40_000.0))
EVENTS = st.integers(1, 60) | st.just(MOST_EVENTS)
OPEN = ("500-before", "500-after", "lost-after", "torn", "miscounted", LATE)
"""Outcomes after which the listing decides."""
CREATES = st.lists(st.sampled_from(OPEN) | st.sampled_from(OUTCOMES), max_size=3)
STRIKES = st.one_of(
    st.none(),
    st.just("kill"),
    st.sampled_from((20.0, 45.0, 90.0, 2000.0)),
    st.integers(1, 60),
)
"""Nothing, a kill, a pause of so many seconds, or a rival that runs for so many events."""


class ProtocolMachine(RuleBasedStateMachine):
    """One project in one workspace."""

    rules_of_play: ClassVar[Rules] = Rules()
    tally: ClassVar[Counter[str]] = Counter()
    """What was tried, over all examples of this process."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.world = World()
        self.live: list[Generator[None]] = []
        self.broken = False
        self.stolen = False
        """The oldest process holds a lock that means nothing any more."""
        self.shelf = self.root / "shelf"
        self.bench: Bench

    @initialize(
        questions=st.integers(1, 7),
        size=st.integers(1, 4),
        dated=st.booleans(),
        named=st.booleans(),
    )
    def begin(self, questions: int, size: int, *, dated: bool, named: bool) -> None:
        """Ask some questions, in batches of some size."""
        self.tally["histories"] += 1
        self.world.dated, self.world.named = dated, named
        self.bench = Bench(
            root=self.root,
            world=self.world,
            rules=self.rules_of_play,
            questions=[orjson.dumps({"q": n}) for n in range(questions)],
            chunk=size,
        )

    def teardown(self) -> None:
        """Let nothing more go wrong, and judge."""
        try:
            if hasattr(self, "bench") and not self.broken:
                self.world.calm()
                self._get_through()
                self.kill()
                self._judge()
        finally:
            self.kill()
            shutil.rmtree(self.root)

    # Processes

    def _go(self, number: int, events: int) -> str:
        """Let a process run for some events; say how it ended, or "" when it has not."""
        end = ""
        try:
            for _ in range(events):
                next(self.live[number])
        except StopIteration:
            end = "done"
        except Killed:
            self.tally["kills"] += 1
            end = "killed"
        except Failure as failure:
            end = type(failure).__name__
        except BaseException:
            self.broken = True
            raise
        if end:
            self.live.pop(number)
            self.stolen = self.stolen and number > 0
        return end

    @rule(events=EVENTS, strike=STRIKES, after=st.integers(1, 40), creates=CREATES, lasts=DURATIONS)
    def run(
        self,
        events: int,
        *,
        strike: str | float | None = None,
        after: int = 1,
        creates: Sequence[str] = (),
        lasts: float = 60.0,
    ) -> None:
        """Go on with the oldest process, or start one.

        Args:
            events: For so many events.
            strike: What strikes it.
            after: At which of its next points.
            creates: How its next create calls come out.
            lasts: How long batches take.
        """
        self.world.creates.clear()
        self.world.creates.extend(creates)
        self.world.lasts = lasts
        if strike is not None:
            self.world.plots.append((after, lambda: self._strike(strike)))
        if not self.live:
            self.live.append(process(self.bench))
        self._go(0, events)

    def _strike(self, strike: str | float) -> None:
        if isinstance(strike, str):
            raise Killed
        if isinstance(strike, int):
            self._rival(strike)
            return
        self.tally["pauses"] += 1
        self.world.pass_time(strike)

    def _rival(self, events: int) -> None:
        """Let another one, to which the lock means nothing, take the state over meanwhile."""
        if len(self.live) > 1:
            return
        self.tally["rivals"] += 1
        (self.root / "state" / "lock").unlink(missing_ok=True)
        self.stolen = True
        self.live.append(process(self.bench))
        plots, self.world.plots = self.world.plots, []
        self._go(1, events)
        self.world.plots += plots

    def kill(self) -> None:
        """Kill what runs, between two events."""
        while self.live:
            self.tally["kills"] += 1
            self.live.pop().close()
            self.stolen = False

    @precondition(lambda self: len(self.live) == 1)
    @rule()
    def compete(self) -> None:
        """A second process is refused while the first one lives."""
        if self._go(0, 1) or self.stolen:
            return
        self.live.append(process(self.bench))
        end = self._go(1, 1)
        self._demand(end == StateLocked.__name__, f"the second process was not refused: {end}")

    @precondition(lambda self: hasattr(self, "bench"))
    @rule()
    def wrong_key(self) -> None:
        """A process whose key sees another workspace concludes nothing while a create is open."""
        self.kill()
        with self.bench.session() as session:
            reader = session.reader()
            in_doubt = reader is not None and reader.submissions(UNRESOLVED[1:])
        if not in_doubt:
            return
        self.tally["wrong keys"] += 1
        self.live.append(process(self.bench, "wrkspc_2"))
        end = self._go(0, MOST_EVENTS)
        self._demand(end != "done", "it went on in a workspace that proves nothing")
        self._demand(end in GIVEN_UP, end)

    # What goes wrong at the server

    @rule(how=st.sampled_from(BREAKS), lines=st.integers(0, 3), times=st.integers(1, 7))
    def results_break(self, how: str, lines: int, times: int) -> None:
        """The next readings of results break off, not for as long as proves a line missing."""
        self.world.breaks.clear()
        self.world.breaks.extend([(how, lines)] * times)

    @rule(kinds=st.lists(st.sampled_from(READ_FAILURES), min_size=1, max_size=3))
    def reads_fail(self, kinds: list[Any]) -> None:
        """The next calls that read fail."""
        self.world.reads.clear()
        self.world.reads.extend(kinds)

    @rule(
        kinds=st.lists(st.sampled_from((ANSWERED, ERRORED, DROPPED)), min_size=1, max_size=4),
        noisy=st.booleans(),
    )
    def answers_fail(self, kinds: list[str], *, noisy: bool) -> None:
        """The next requests are errored, or answered by lines that never come."""
        self.world.kinds.clear()
        self.world.kinds.extend(kinds)
        self.world.noisy = noisy

    @rule(lag=st.integers(0, LISTING_SECONDS), late_by=st.integers(1, COMMIT_SECONDS - 10))
    def server_is_slow(self, lag: int, late_by: int) -> None:
        """The next batches are listed late, or are made late."""
        self.world.lag, self.world.late_by = lag, late_by

    @rule(size=st.integers(1, 4), lasts=DURATIONS)
    def foreign_batch(self, size: int, lasts: float) -> None:
        """Somebody else makes a batch, perhaps of our size."""
        was, self.world.lasts = self.world.lasts, lasts
        self.world.commit([f"theirs-{n}" for n in range(size)], ours=False)
        self.world.lasts = was

    @rule(number=st.integers(0, 5))
    def somebody_cancels(self, number: int) -> None:
        """Somebody cancels a batch in the console: one request is answered, the rest is free."""
        for made in self.world.batches[number : number + 1]:
            if made.ours and made.ends > self.world.time:
                made.ends = self.world.time
                for name in sorted(made.kinds)[1:]:
                    made.kinds[name] = CANCELED

    # Time and the machine

    @rule(seconds=st.sampled_from((10.0, 130.0, 1100.0, 4000.0)))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.world.pass_time(seconds)

    @rule(days=st.integers(-40, 40))
    def clock_jumps(self, days: int) -> None:
        """Somebody sets the machine's clock."""
        self.world.wall_offset = days * 86400.0

    @rule(kept=st.booleans())
    def lose_state(self, *, kept: bool) -> None:
        """The state folder is deleted, or put back from the copy; the note outside stays."""
        self.kill()
        if not (self.root / "state").is_dir():
            return
        self.tally["lost states"] += 1
        shutil.rmtree(self.root / "state")
        if kept and self.shelf.is_dir():
            self.tally["states rolled back"] += 1
            shutil.copytree(self.shelf, self.root / "state")

    @rule()
    def copy_state(self) -> None:
        """Keep a copy of the state."""
        self.kill()
        if (self.root / "state").is_dir():
            shutil.rmtree(self.shelf, ignore_errors=True)
            shutil.copytree(self.root / "state", self.shelf)

    # What has to hold

    def _demand(self, holds: object, why: str) -> None:
        if not holds:
            self.broken = True
            raise AssertionError(why)

    @invariant()
    def nothing_is_paid_twice(self) -> None:
        """A question is paid once, and again only when its line was never sent."""
        allowed = self.world.dropped()
        twice = {q: n for q, n in self.world.paid().items() if n > 1 + allowed[q]}
        self._demand(not twice, f"paid twice: {twice}")

    def _get_through(self) -> None:
        end = ""
        for _ in range(MOST_PROCESSES):
            if not self.live:
                self.live.append(process(self.bench))
            end = self._go(0, MOST_EVENTS)
            self._demand(end, "it goes on for ever")
            if end == "done":
                return
            self.world.pass_time(100)
        self._demand(False, f"it never got through, last: {end}")

    def _judge(self) -> None:
        self.nothing_is_paid_twice()
        with self.bench.session() as session, session.writer("judge") as ledger:
            texts = {(tag, digest): text for tag, digest, text in answers(session, ledger)}
            for params in self.bench.questions:
                digest = self.bench.digest(params)[:16]
                known = ledger.known(digest)
                self._demand(known is not None and known.outcome in GOOD, f"lost: {known}")
                assert known is not None
                text = texts.get((known.tag, digest), "nothing")
                self._demand(self.bench.h26(params) in text, f"{params!r} is answered by {text}")
            self._demand(not ledger.complaints(), str(ledger.complaints()))
