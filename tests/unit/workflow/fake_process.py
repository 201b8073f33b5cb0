"""Processes of the model test: the real ledger, segments and drive loop over a world in memory.

`Rules` is the seam at which the test takes rules of the protocol away, to show that it can fail:
a mutant hands in a ledger that does not do what the protocol wants, or settings that are too small.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import orjson
from fake_world import FakeApi, World, WorldClock

from batchspec.outputs.rows import Judge
from batchspec.plan.hashing import custom_id, parse_custom_id, request_hash
from batchspec.plan.model import Outcome
from batchspec.spec.load import read_yaml
from batchspec.spec.model import Api, ProjectFile, Spec
from batchspec.spec.project import LoadedSpec, Project
from batchspec.state.ledger import ClaimConflict, Ledger, LedgerReader
from batchspec.state.sqlite import SqliteLedger
from batchspec.workflow.chunks import WrittenChunk, new_tag, pack_ask
from batchspec.workflow.context import Session
from batchspec.workflow.drive import Drive
from batchspec.workflow.job import Job
from batchspec.workflow.outgoing import Outgoing
from batchspec.workflow.waits import U_PLUS_L
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
RETRIED = (Outcome.MISSING, Outcome.ERRORED, Outcome.CANCELED)
WRITES = sorted(name for name in vars(Ledger) if name[0] != "_" and name not in vars(LedgerReader))


class WatchedLedger(SqliteLedger):
    """A ledger whose process can be struck before and after each of its transactions."""

    world: World


def _watched(name: str) -> Callable[..., Any]:
    plain = getattr(SqliteLedger, name)

    @wraps(plain)
    def call(self: WatchedLedger, *args: Any, **options: Any) -> Any:
        self.world.point()
        result = plain(self, *args, **options)
        self.world.point()
        return result

    return call


for _name in WRITES:
    setattr(WatchedLedger, _name, _watched(_name))


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a mutant changes."""

    ledger: type[WatchedLedger] = WatchedLedger
    api: type[FakeApi] = FakeApi
    settle: float = U_PLUS_L
    note: bool = True
    """A note outside the project tells that a state was lost."""


@dataclass(kw_only=True)
class Bench:
    """A project's folder, the questions it asks, and the world it asks them in."""

    root: Path
    world: World
    rules: Rules
    questions: list[bytes]
    chunk: int
    """Questions of one batch."""
    loaded: LoadedSpec = field(init=False)
    project: Project = field(init=False)

    def __post_init__(self) -> None:
        """Write the spec; only its name matters."""
        (self.root / "model.yaml").write_text(SPEC)
        document, problems = read_yaml(self.root / "model.yaml", self.root)
        assert document is not None
        assert not problems
        raw = document.data
        shaped = {**raw, "outputs": [raw["outputs"]], "inputs": {**raw["inputs"], "key": ["id"]}}
        self.loaded = LoadedSpec(
            spec=Spec.model_validate(shaped), path="model.yaml", document=document
        )
        api = Api(base_url="https://api.example.com", settle_seconds=self.rules.settle)
        self.project = Project(
            root=self.root,
            config=ProjectFile(api=api),
            name="model",
            state_dir=self.root / "state",
            emulated_dir=self.root / "emulated",
            file=None,
        )

    def digest(self, params: bytes) -> bytes:
        """Return the identity of a question."""
        return request_hash(params, b"")

    def h26(self, params: bytes) -> str:
        """Return the question as it stands in a custom_id."""
        parsed = parse_custom_id(custom_id("aaaaaaaa", self.digest(params), "aaaaaaaa", 1))
        assert parsed is not None
        return parsed.h26

    def session(self, workspace: str = "wrkspc_1") -> Session:
        """Return a new process's session, with a key of a workspace."""
        return Session(
            project=self.project,
            emulated=False,
            clock=WorldClock(self.world),
            environ={
                "ANTHROPIC_API_KEY": f"canary of {workspace}",
                "XDG_STATE_HOME": str(self.root / "home") if self.rules.note else "/dev/null",
            },
            randomness=self.world.random_bytes,
            client=self.rules.api(self.world, workspace),
            ledgers=self._ledger,
        )

    def _ledger(self, path: Path, randomness: Callable[[int], bytes]) -> WatchedLedger:
        ledger = self.rules.ledger(path, randomness)
        ledger.world = self.world
        return ledger


def process(bench: Bench, workspace: str = "wrkspc_1") -> Generator[None]:
    """Run one process until nothing is left to ask; it can be left alone at each event.

    Raises:
        Failure: it gave up, with words.
        Killed: somebody plotted so.
    """
    with bench.session(workspace) as session, session.writer("run") as ledger:
        job = Job(loaded=bench.loaded, judge=Judge())
        worker = Worker(session=session, ledger=ledger, api=session.api())
        drive = Drive(worker=worker, jobs={job.name: job}, judge=lambda _digest: job.judge)
        drive.resume()
        pauses = session.waits.polls()
        while True:
            pause, _ = yield from told(drive.settle())
            yield from told(drive.poll(force=True))
            if not drive.doubts:
                if not job.chunks:
                    job.chunks = Outgoing(planned(bench, session, ledger))
                if not job.chunks and not drive.open():
                    return
                yield from send(drive, job)
            session.clock.sleep(min(pause or 300.0, next(pauses)))
            yield


def told(steps: Generator[Any, None, Any]) -> Generator[None, None, Any]:
    """Go through a generator of events without looking at them."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value
        yield


def send(drive: Drive, job: Job) -> Generator[None]:
    """Send chunks until one is in doubt or the plan has to be made again."""
    while job.chunks and not drive.doubts:
        try:
            if not (yield from told(drive.submit(job))):
                job.chunks.clear()
        except ClaimConflict:
            job.chunks.clear()


def planned(bench: Bench, session: Session, ledger: LedgerReader) -> list[WrittenChunk]:
    """Return chunks of what nobody has asked, or what has to be asked again."""
    wanted = []
    for params in bench.questions:
        digest = bench.digest(params)
        known = ledger.known(digest[:16])
        if known is None:
            wanted.append((digest, params, 1))
        elif known.outcome in RETRIED:
            wanted.append((digest, params, known.attempt + 1))
    size = bench.chunk
    return [chunk(session, wanted[start : start + size]) for start in range(0, len(wanted), size)]


def chunk(session: Session, asked: list[tuple[bytes, bytes, int]]) -> WrittenChunk:
    """Write the request segment of one chunk."""
    tag = new_tag(session)
    lines = [
        b'{"custom_id":"%s","params":%s}'
        % (custom_id(session.namespace, digest, tag, attempt).encode(), params)
        for digest, params, attempt in asked
    ]
    return WrittenChunk(
        tag=tag,
        segment=session.segments.write("req", lines),
        requests=len(lines),
        bytes=len(b'{"requests":[]}') + sum(map(len, lines)) + len(lines) - 1,
        asks=b"".join(pack_ask(digest, attempt, -1) for digest, _, attempt in asked),
        usd_most=None,
    )


def answers(session: Session, ledger: LedgerReader) -> Iterator[tuple[str, bytes, str]]:
    """Yield submission, question and text of every answer that the state holds."""
    for submission in ledger.submissions():
        for text in session.segments.lines(submission.results) if submission.results else ():
            row = orjson.loads(text)
            parsed = parse_custom_id(row["custom_id"])
            assert parsed is not None, f"somebody else's line is in the state: {row}"
            if row["result"]["type"] == "succeeded":
                told_text = row["result"]["message"]["content"][0]["text"]
                yield submission.tag, parsed.digest16, told_text
