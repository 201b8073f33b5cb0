"""The submit protocol as a model test: random faults, kills and foreign jobs; nothing paid twice.

The real ledger, segments and drive loop run against a world in memory (`fake_world`). A seed is one
history: processes run, are killed, and start again until every question is answered. The mutants
show that the test can fail: each takes one rule of the protocol away and must be caught.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter, deque
from collections.abc import Generator
from pathlib import Path
from typing import Any

import orjson
import pytest
from fake_world import FakeApi, Killed, World, WorldClock

from batchspec.errors import Failure
from batchspec.outputs.rows import Judge
from batchspec.plan.hashing import custom_id, parse_custom_id, request_hash
from batchspec.plan.model import Outcome
from batchspec.spec.load import read_yaml
from batchspec.spec.model import Api, ProjectFile, Spec
from batchspec.spec.project import LoadedSpec, Project
from batchspec.state.writer import SqliteLedger
from batchspec.workflow.chunks import Chunk, new_tag, pack_claim
from batchspec.workflow.context import Session
from batchspec.workflow.drive import Drive
from batchspec.workflow.job import Job
from batchspec.workflow.worker import Worker

SPEC = """\
version: 1
name: model
inputs: {rows: [{id: 1}], key: id}
model: claude-haiku-4-5
max_tokens: 5
prompt: {user: hi}
outputs: {path: out/model.jsonl}
"""
RETRIED = (Outcome.MISSING, Outcome.ERRORED)
MOST_PROCESSES = 60


def loaded(root: Path) -> LoadedSpec:
    """Return a spec; only its name matters here."""
    (root / "model.yaml").write_text(SPEC)
    document, problems = read_yaml(root / "model.yaml", root)
    assert document is not None
    assert not problems
    return LoadedSpec(
        spec=Spec.model_validate(shaped(document.data)), path="model.yaml", document=document
    )


def shaped(data: Any) -> dict[str, Any]:
    """Return the data in the model's normal form: lists where one value may stand."""
    return {**data, "outputs": [data["outputs"]], "inputs": {**data["inputs"], "key": ["id"]}}


class History:
    """One seed: a world, a project folder, and the questions to be answered."""

    def __init__(
        self, root: Path, seed: int, *, wipes: bool = False, settle: float = 1020.0
    ) -> None:
        self.wipes = wipes
        self.draw = random.Random(seed)  # noqa: S311 - a seeded history
        self.world = World(draw=self.draw, kills_left=self.draw.randint(0, 6))
        self.root = root
        self.loaded = loaded(root)
        self.questions = [
            orjson.dumps({"q": f"{seed}-{n}"}) for n in range(self.draw.randint(4, 12))
        ]
        self.chunk = self.draw.randint(2, 5)
        for _ in range(self.draw.randint(0, 4)):
            size = self.chunk if self.draw.random() < 0.5 else self.draw.randint(1, 6)
            self.world.commit([f"theirs-{n}" for n in range(size)], ours=False)
        config = ProjectFile(api=Api(base_url="https://api.example.com", settle_seconds=settle))
        self.project = Project(
            root=root,
            config=config,
            name="model",
            state_dir=root / "state",
            emulated_dir=root / "emulated",
            file=None,
        )

    def session(self) -> Session:
        """Return a new process's session."""
        return Session(
            project=self.project,
            emulated=False,
            clock=WorldClock(self.world),
            environ={"ANTHROPIC_API_KEY": "canary", "XDG_STATE_HOME": str(self.root / "home")},
            randomness=self.draw.randbytes,
            client=FakeApi(self.world),
        )

    def live(self) -> int:
        """Start processes until one gets through; return how many it took.

        One that gives up with words is started again, as one that was killed.
        """
        for count in range(1, MOST_PROCESSES):
            try:
                self.process()
            except (Killed, Failure):
                self.world.pass_time(self.draw.randint(1, 2000))
                if self.wipes and self.draw.random() < 0.3:
                    shutil.rmtree(self.project.state_dir)
            else:
                return count
        pytest.fail("it never got through")

    def process(self) -> None:
        """Run one process to its end, or until it is killed."""
        with self.session() as session, session.writer("run") as ledger:
            job = Job(loaded=self.loaded, judge=Judge())
            worker = Worker(session=session, ledger=ledger, api=session.api())
            drive = Drive(worker=worker, jobs={job.name: job}, judge=lambda _digest: job.judge)
            drive.resume()
            while True:
                while drive.doubts:
                    pause, _ = exhaust(drive.settle())
                    exhaust(drive.poll())
                    session.clock.sleep(pause)
                job.chunks = deque(self.chunks(session, ledger))
                if not job.chunks and not drive.open():
                    return
                self.send(drive, job)
                exhaust(drive.poll(force=True))
                session.clock.sleep(self.draw.randint(5, 600))

    def send(self, drive: Drive, job: Job) -> None:
        """Send chunks until one is in doubt or the plan has to be made again."""
        while job.chunks and not drive.doubts:
            if not exhaust(drive.submit(job)):
                return

    def chunks(self, session: Session, ledger: SqliteLedger) -> list[Chunk]:
        """Plan: return chunks of what nobody has asked, or what has to be asked again."""
        wanted = []
        for params in self.questions:
            digest = request_hash(params, b"")
            known = ledger.known(digest[:16])
            if known is None:
                wanted.append((digest, params, 1))
            elif known.outcome in RETRIED:
                wanted.append((digest, params, known.attempt + 1))
        return [
            self.write(session, wanted[start : start + self.chunk])
            for start in range(0, len(wanted), self.chunk)
        ]

    def write(self, session: Session, asked: list[tuple[bytes, bytes, int]]) -> Chunk:
        """Return one chunk."""
        tag = new_tag(session)
        lines = [
            b'{"custom_id":"%s","params":%s}'
            % (custom_id(session.namespace, digest, tag, attempt).encode(), params)
            for digest, params, attempt in asked
        ]
        size = len(b'{"requests":[]}') + sum(map(len, lines)) + len(lines) - 1
        segment = session.segments.write("req", lines)
        claims = b"".join(pack_claim(digest[:16], attempt) for digest, _, attempt in asked)
        return Chunk(
            tag=tag, segment=segment, requests=len(lines), bytes=size, asked=claims, usd_most=None
        )

    def judge(self) -> None:
        """Assert that each question is answered, and paid once unless its answer went missing."""
        with self.session() as session, session.writer("run") as ledger:
            attempts: Counter[str] = Counter()
            for params in self.questions:
                digest = request_hash(params, b"")
                known = ledger.known(digest[:16])
                assert known is not None
                assert known.outcome is Outcome.SUCCEEDED
                parsed = parse_custom_id(custom_id("aaaaaaaa", digest, "aaaaaaaa", 1))
                assert parsed is not None
                attempts[parsed.h26] = known.attempt
            assert self.world.paid() == attempts
            assert ledger.complaints() == ()


def exhaust(steps: Generator[Any, None, Any]) -> Any:
    """Run a generator to its end and return its value."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


@pytest.mark.parametrize("block", range(8))
def test_no_history_pays_twice(tmp_path: Path, block: int) -> None:
    """Whatever is killed, lost, late or foreign: every question is paid and answered once."""
    for seed in range(block * 25, block * 25 + 25):
        root = tmp_path / str(seed)
        root.mkdir()
        history = History(root, seed)
        history.live()
        history.judge()


@pytest.mark.parametrize("block", range(4))
def test_a_lost_state_costs_nothing(tmp_path: Path, block: int) -> None:
    """The state folder is deleted between processes: what was paid is found again."""
    for seed in range(5000 + block * 25, 5025 + block * 25):
        root = tmp_path / str(seed)
        root.mkdir()
        history = History(root, seed, wipes=True)
        history.live()
        assert set(history.world.paid().values()) == {1}, seed


def test_a_settling_time_below_the_servers_delay_is_caught(tmp_path: Path) -> None:
    """The test can fail: U + L shorter than the server takes, and questions are paid twice."""
    twice = 0
    for seed in range(40):
        root = tmp_path / str(seed)
        root.mkdir()
        history = History(root, seed, settle=0.0)
        history.live()
        twice += max(history.world.paid().values()) > 1
    assert twice > 0


@pytest.mark.crash_long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("block", range(100))
def test_no_history_of_many_pays_twice(tmp_path: Path, block: int) -> None:
    """The same over 10,000 more seeds."""
    for seed in range(1000 + block * 100, 1100 + block * 100):
        root = tmp_path / str(seed)
        root.mkdir()
        history = History(root, seed)
        history.live()
        history.judge()
