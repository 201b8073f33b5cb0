"""A small project whose items are answered by hand."""

# ruff: noqa: S608 - the names in this SQL are the tests' own.

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from batchspec.inputs.engine import Engine
from batchspec.inputs.tables import InputTable, open_inputs
from batchspec.outputs.job import OutputJob, Written
from batchspec.outputs.places import Target
from batchspec.outputs.results import Results, ResultSources, open_results
from batchspec.outputs.rows import AnswerWriter, Judge, Judgement, RawAnswer, Usage
from batchspec.outputs.writers import write_output
from batchspec.plan.cost import ModelPrices, Rates
from batchspec.plan.model import Outcome
from batchspec.problems import Problem
from batchspec.prompt.answer_form import AnswerForm
from batchspec.spec.digest import spec_digest
from batchspec.spec.model import Output
from batchspec.spec.project import LoadedSpec, load_project, load_specs

SPEC = """\
version: 1
name: demo
inputs:
  table: data/in.csv
  key: id
model: claude-haiku-4-5
max_tokens: 16
prompt: {user: "{{ body }}"}
"""
TAG = "abcdefgh"
ENDED = dt.datetime(2026, 11, 23, 4, 5, 6, tzinfo=dt.UTC)
USAGE = Usage(input_tokens=100, output_tokens=10, cache_read=1000)
PRICES = ModelPrices(
    rates=Rates(
        input=Decimal(1),
        output=Decimal(5),
        cache_write_5m=Decimal("1.25"),
        cache_write_1h=Decimal(2),
        cache_read=Decimal("0.1"),
    )
)


def question(key_json: str) -> bytes:
    """Return the 32-byte request hash that the tests give an item."""
    return hashlib.sha256(key_json.encode()).digest()


@dataclass
class World:
    """A project folder, an engine over it, and a way to answer its items."""

    root: Path
    engine: Engine
    stack: ExitStack
    prices: ModelPrices | None = PRICES
    schema: dict[str, Any] | None = None
    answers: dict[str, RawAnswer] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=dict)
    """Items that ask another item's question, by key_json."""

    @property
    def form(self) -> AnswerForm:
        """The form of the answers: JSON when there is a schema."""
        if self.schema is None:
            return AnswerForm()
        return AnswerForm(parse="json", schema=self.schema)

    def write(self, path: str, text: str) -> Path:
        """Write a file of the project."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="")
        return file

    def load(self, tail: str, head: str = SPEC) -> LoadedSpec:
        """Load the project's only spec: ``head`` and, appended, ``tail``."""
        self.write("specs/demo.yaml", head + tail)
        project, problems = load_project(self.root, {})
        assert project is not None, problems
        specs, problems = load_specs(project, (), {})
        assert specs, [problem.message() for problem in problems]
        return specs[0]

    def say(self, key_json: str, text: str, stop_reason: str = "end_turn", **more: Any) -> None:
        """Let the API have answered an item."""
        self.answers[key_json] = RawAnswer(
            custom_id="c",
            kind="succeeded",
            stop_reason=stop_reason,
            text=text,
            model="claude-haiku-4-5-20251001",
            message_id="msg_1",
            usage=more.pop("usage", USAGE),
            **more,
        )

    def fail(self, key_json: str, error_type: str, message: str) -> None:
        """Let the API have answered an item with an error."""
        self.answers[key_json] = RawAnswer(
            custom_id="c", kind="errored", error_type=error_type, error_message=message
        )

    def end(self, key_json: str, outcome: Outcome) -> None:
        """Let the ledger say this of an item, whatever its result line says, if there is one."""
        self.outcomes[key_json] = outcome

    def _collect(self) -> tuple[Path, ...]:
        judge = Judge(self.form)
        known = []
        path = self.root / ".batchspec/state/cache/answers" / f"{TAG}.parquet"
        writer = AnswerWriter(path, submission=TAG, batch_id="msgbatch_1", ended_at=ENDED)
        with writer as rows:
            for key, answer in self.answers.items():
                digest = question(key)[:16]
                verdict = judge.outcome(answer)
                outcome = self.outcomes.get(key, verdict.outcome)
                by = judge.digest
                if key in self.outcomes:
                    verdict, by = Judgement(outcome=Outcome.UNCHECKED), None
                rows.add(answer, verdict, digest=digest, attempt=1, judge=by)
                known.append((digest, int(outcome)))
        for key, outcome in self.outcomes.items():
            if key not in self.answers:
                known.append((question(key)[:16], int(outcome)))
        self.engine.register(
            "known",
            pa.table(
                {
                    "hash": pa.array([row[0] for row in known], pa.binary()),
                    "outcome": pa.array([row[1] for row in known], pa.uint8()),
                    "attempt": pa.array([1] * len(known), pa.uint16()),
                    "submission": pa.array([TAG] * len(known), pa.string()),
                }
            ),
        )
        return (path,)

    def _items(self, table: InputTable) -> None:
        self.engine.execute(
            "CREATE OR REPLACE TABLE items AS SELECT key_json, COLUMNS('^k[0-9]+$'),"
            f" unhex(sha256(key_json)) AS hash FROM {table.index}"
        )
        for key, other in self.shared.items():
            sql = "UPDATE items SET hash = unhex(sha256(?)) WHERE key_json = ?"
            self.engine.execute(sql, (other, key))

    @contextmanager
    def results(self, loaded: LoadedSpec) -> Iterator[Results]:
        """Open the results of the spec's items."""
        table, problems = open_inputs(self.engine, self.root, loaded, {})
        assert table is not None, problems
        self._items(table)
        sources = ResultSources(
            items="items",
            known="known",
            answers=self._collect(),
            table=table,
            form=self.form,
            prices=self.prices,
        )
        with open_results(self.engine, sources) as opened:
            yield opened

    def job(self, loaded: LoadedSpec, number: int = 0, *, emulated: bool = False) -> OutputJob:
        """Return the job of writing one output."""
        return OutputJob(
            root=self.root,
            loaded=loaded,
            number=number,
            spec_digest=spec_digest(loaded.spec),
            items_digest="ab" * 32,
            emulated=emulated,
        )

    def run(
        self, tail: str, *, emulated: bool = False
    ) -> tuple[Written | None, tuple[Problem, ...]]:
        """Write the first output of the spec that ends in ``tail``."""
        return self.write_first(self.load(tail), emulated=emulated)

    def write_first(
        self, loaded: LoadedSpec, *, emulated: bool = False
    ) -> tuple[Written | None, tuple[Problem, ...]]:
        """Write the first output of a spec."""
        with self.results(loaded) as opened:
            return write_output(self.engine, opened, self.job(loaded, emulated=emulated))

    def output(self, path: str) -> bytes:
        """Write the default rows to ``path`` and return the file's bytes."""
        loaded = self.load("outputs: {path: out/default.jsonl}\n")
        spec = loaded.spec.model_copy(update={"outputs": (Output(path=path),)})
        written, problems = self.write_first(dataclasses.replace(loaded, spec=spec))
        assert written is not None, [problem.message() for problem in problems]
        assert problems == ()
        return (self.root / written.path).read_bytes()

    def target(self, tail: str) -> Target:
        """Return the place of the first output."""
        return self.job(self.load(tail)).target

    def now(self) -> dt.datetime:
        """Return the time at which receipts are written."""
        return ENDED

    def files(self, folder: str = "out") -> Mapping[str, bytes]:
        """Return every file below a folder of the project."""
        base = self.root / folder
        found = sorted(path for path in base.rglob("*") if path.is_file())
        return {path.relative_to(base).as_posix(): path.read_bytes() for path in found}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Yield a project with three tickets, none answered yet."""
    with ExitStack() as stack:
        engine = Engine.open(root=tmp_path, temp=tmp_path / ".batchspec/tmp")
        made = World(root=tmp_path.resolve(), engine=stack.enter_context(engine), stack=stack)
        made.write("data/in.csv", "id,body\nT-2,two\nT-10,ten\nT-1,one\n")
        yield made


@pytest.fixture
def answered(world: World) -> World:
    """Return a project whose three tickets have an answer each."""
    for number in ("1", "2", "10"):
        world.say(f'"T-{number}"', f"answer {number}")
    return world
