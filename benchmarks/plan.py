"""How long a plan takes, beside rendering and hashing every row in Python.

    python benchmarks/plan.py [--items 1000000] [--format parquet|csv] [--template full|simple]

Generates items of about 600 bytes whose prompts have about 1 KB, prepares a project in which every
question is answered, and then measures, each in processes of its own and interleaved:

* baseline: read every row, render it with Jinja2, encode it as sorted JSON, hash it;
* no-op: nothing has changed since the last run;
* one percent: every hundredth row has changed;
* recalled: nothing has changed, and the former plan proves it.

Prints CPU seconds, wall seconds, peak memory and the ratio to the baseline; medians of the rounds.
"""

# ruff: noqa: PLC0415, S608, S101 - each stage imports what it is measured with; all text is ours.

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.csv as pacsv
    import pyarrow.parquet as pq

CHUNK = 50_000
"""Rows per row group."""
ROOT = Path(__file__).resolve().parents[1]
SPEC = """\
version: 1
name: bench
inputs:
  table: data/items.{format}
  key: id
model: claude-haiku-4-5
max_tokens: 64
prompt:
  system: {{file: triage.md}}
  user: {{file: ticket.md}}
outputs:
  path: out/bench.jsonl
"""
SYSTEM = "You label support tickets by urgency. " * 10 + "Answer with one word."
TEMPLATES = {
    "simple": "Ticket {{ id }} in {{ lang }}: {{ subject }}\n\n{{ body }}\n",
    "full": """\
Ticket {{ id }}: {{ subject | trim | title }}
{% if lang == "de" %}The customer writes German.{% elif lang == "fr" %}The customer writes French.
{% else %}The customer writes English.{% endif %}
{% for label in ["low", "normal", "high", "urgent"] %}
- {{ loop.index }}: {{ label | upper }}
{% endfor %}

{{ body | replace("\\t", " ") | trim }}
{% if body | length > 600 %}This is a long ticket.{% endif %}
""",
}


def main() -> None:
    """Prepare a project, measure, print a table."""
    options = _arguments()
    if options.stage:
        _run_stage(options)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        # A child's peak begins at its parent's: whatever needs memory is a process of its own.
        generate = f"generate {options.items}"
        _measure_stage(generate, Path(folder), options.format, options.template)
        _measure_stage("prepare", Path(folder), options.format)
        found: dict[str, list[Measure]] = {}
        for _ in range(options.rounds):
            for stage in ("baseline", "no-op", "one-percent", "recalled"):
                measure = _measure_stage(stage, Path(folder), options.format)
                found.setdefault(stage, []).append(measure)
        print(f"{options.items:,} items, {options.format}, {options.template} template")
        _print(found)


def _run_stage(options: argparse.Namespace) -> None:
    stage, _, items = options.stage.partition(" ")
    if items:
        _generate(Path(options.folder), int(items), options.format, options.template)
    else:
        STAGES[stage](Path(options.folder), options.format)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--format", choices=("parquet", "csv"), default="parquet")
    parser.add_argument("--template", choices=("simple", "full"), default="full")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="where temporary files go")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    return parser.parse_args()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What one process cost."""

    cpu: float
    wall: float
    peak_mb: float


def _measure_stage(stage: str, folder: Path, form: str, template: str = "full") -> Measure:
    command = [sys.executable, __file__, "--stage", stage, "--folder", str(folder)]
    command += ["--format", form, "--template", template]
    environ = os.environ | {"PYTHONPATH": str(ROOT / "runner")}
    started = time.monotonic()
    process = subprocess.Popen(command, env=environ)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    if status:
        sys.exit(f"The stage {stage} failed.")
    return Measure(
        cpu=usage.ru_utime + usage.ru_stime, wall=wall, peak_mb=usage.ru_maxrss * 1024 / 1e6
    )


def _print(found: dict[str, list[Measure]]) -> None:
    def median(stage: str, field: Callable[[Measure], float]) -> float:
        return statistics.median(field(measure) for measure in found[stage])

    print(f"medians of {len(found['baseline'])} rounds\n")
    print(f"{'':14}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}{'wall ratio':>12}{'CPU ratio':>12}")
    base_wall = median("baseline", lambda m: m.wall)
    base_cpu = median("baseline", lambda m: m.cpu)
    for stage in found:
        wall, cpu = median(stage, lambda m: m.wall), median(stage, lambda m: m.cpu)
        peak = median(stage, lambda m: m.peak_mb)
        print(
            f"{stage:14}{wall:>9.2f}{cpu:>9.2f}{peak:>9.0f}"
            f"{wall / base_wall:>12.3f}{cpu / base_cpu:>12.3f}"
        )


def _generate(folder: Path, items: int, form: str, template: str) -> None:
    """Write items whose texts are cut from the descriptions of real packages, and changed ones."""
    import pyarrow as pa

    (folder / "data").mkdir()
    (folder / "triage.md").write_text(SYSTEM + "\n")
    (folder / "ticket.md").write_text(TEMPLATES[template])
    (folder / "bench.spec.yaml").write_text(SPEC.format(format=form))
    with (ROOT / "specs/data/packages.csv").open(newline="") as file:
        corpus = " ".join(row["description"] for row in csv.DictReader(file))
    layout = pa.schema([(name, pa.string()) for name in ("id", "subject", "lang", "body")])
    draw = random.Random(1)
    with ExitStack() as stack:
        writers = [
            stack.enter_context(_writer(folder / "data" / f"{name}.{form}", form, layout))
            for name in ("items", "changed")
        ]
        for start in range(0, items, CHUNK):
            rows = [
                _row(number, corpus, draw) for number in range(start, min(items, start + CHUNK))
            ]
            columns = [list(column) for column in zip(*rows, strict=True)]
            writers[0].write_table(pa.table(columns, schema=layout))
            changed = [
                f"Changed: {subject}" if number % 100 == 0 else subject
                for number, subject in enumerate(columns[1], start)
            ]
            columns[1] = changed
            writers[1].write_table(pa.table(columns, schema=layout))


def _row(number: int, corpus: str, draw: random.Random) -> tuple[str, str, str, str]:
    begin, length = draw.randrange(len(corpus) - 800), draw.randrange(400, 680)
    text = corpus[begin : begin + length]
    return f"T-{number:07}", text[:40], ("en", "de", "fr")[number % 3], text[40:]


def _writer(path: Path, form: str, layout: pa.Schema) -> pq.ParquetWriter | pacsv.CSVWriter:
    import pyarrow.csv as pacsv
    import pyarrow.parquet as pq

    if form == "csv":
        return pacsv.CSVWriter(path, layout)
    return pq.ParquetWriter(path, layout, compression="zstd")


def _baseline(folder: Path, form: str) -> None:
    """Do what a script would do to know which requests it has sent already."""
    import duckdb
    from jinja2 import Environment

    template = Environment(autoescape=False).from_string((folder / "ticket.md").read_text())  # noqa: S701 - no HTML here
    rows = duckdb.connect().execute(f"SELECT * FROM '{folder}/data/items.{form}'")
    names = [column[0] for column in rows.description or ()]
    seen = hashlib.sha256()
    while chunk := rows.fetchmany(4096):
        for row in chunk:
            prompt = template.render(dict(zip(names, row, strict=True)))
            params = {
                "model": "claude-haiku-4-5",
                "max_tokens": 64,
                "system": SYSTEM,
                "messages": [{"role": "user", "content": prompt}],
            }
            seen.update(hashlib.sha256(json.dumps(params, sort_keys=True).encode()).digest())


def _plan(folder: Path, form: str, *, source: str = "items", prepare: bool = False) -> None:
    """Plan the project; to prepare it, also make every question an answered one."""
    from batchspec.api.catalogue import load_catalogue
    from batchspec.inputs.engine import Engine
    from batchspec.inputs.tables import open_inputs
    from batchspec.plan.baseline import BaselinePaths
    from batchspec.plan.diff import DiffOptions, diff_items
    from batchspec.prompt.request import compile_prompt
    from batchspec.spec.project import load_project, load_specs

    if source != "items":
        text = SPEC.format(format=form).replace("data/items.", f"data/{source}.")
        (folder / "bench.spec.yaml").write_text(text)
    facts = load_catalogue().facts()
    project, _ = load_project(folder, {})
    assert project is not None
    (loaded,), _ = load_specs(project, (), facts)
    paths, known = BaselinePaths.under(folder / "state", "bench"), folder / "known.parquet"
    with Engine.open(root=folder, temp=folder / "tmp") as engine:
        table, problems = open_inputs(engine, folder, loaded, {})
        assert table is not None, problems
        renderer, problems = compile_prompt(
            folder,
            loaded,
            table.columns,
            api=project.config.api,
            facts=facts,
        )
        assert renderer is not None, problems
        items, problems = diff_items(
            engine,
            table,
            renderer,
            spec=loaded.spec,
            baseline=paths,
            known=known if known.exists() else None,
            spool=None,
            options=DiffOptions(),
        )
        assert items is not None, problems
        if not prepare:
            expected = 0 if source == "items" else -(-table.count // 100)
            assert items.counts.submit == expected, items.counts
            return
        items.write_baseline(paths)
        engine.execute(
            "COPY (SELECT hash[1:16] AS hash, 1::UTINYINT AS outcome, 1::USMALLINT AS attempt,"
            f" 'abcdefgh' AS submission FROM {items.relation}) TO '{known}' (FORMAT parquet)"
        )
        _remember(folder, loaded.spec, table, renderer.render_digest)


def _remember(folder: Path, spec: object, table: object, render_digest: str) -> None:
    from batchspec.inputs.tables import InputTable
    from batchspec.plan.model import Counts, Estimate, SpecPlan
    from batchspec.plan.unchanged import Circumstances, remember
    from batchspec.spec.model import Spec

    assert isinstance(spec, Spec)
    assert isinstance(table, InputTable)
    plan = SpecPlan(
        name="bench",
        model=spec.model,
        items=table.count,
        counts=Counts(unchanged=table.count),
        reasons={},
        requests=0,
        batches=0,
        bytes=0,
        estimate=Estimate(),
        changes=(),
    )
    kept = remember(
        folder / "state" / "bench.unchanged.json",
        plan,
        table,
        render_digest=render_digest,
        circumstances=Circumstances(root=folder, spec=spec, state={}, options={}),
    )
    assert kept


def _recalled(folder: Path, _: str) -> None:
    from batchspec.api.catalogue import load_catalogue
    from batchspec.inputs.columns import Column
    from batchspec.plan.unchanged import Circumstances, recall
    from batchspec.prompt.request import compile_prompt
    from batchspec.spec.project import load_project, load_specs

    facts = load_catalogue().facts()
    project, _problems = load_project(folder, {})
    assert project is not None
    (loaded,), _problems = load_specs(project, (), facts)

    def digest(columns: tuple[Column, ...]) -> str | None:
        renderer, _ = compile_prompt(folder, loaded, columns, api=project.config.api, facts=facts)
        return None if renderer is None else renderer.render_digest

    path = folder / "state" / "bench.unchanged.json"
    circumstances = Circumstances(root=folder, spec=loaded.spec, state={}, options={})
    assert recall(path, circumstances, digest) is not None


def _one_percent(folder: Path, form: str) -> None:
    try:
        _plan(folder, form, source="changed")
    finally:
        (folder / "bench.spec.yaml").write_text(SPEC.format(format=form))


STAGES: dict[str, Callable[[Path, str], None]] = {
    "prepare": lambda folder, form: _plan(folder, form, prepare=True),
    "baseline": _baseline,
    "no-op": _plan,
    "one-percent": _one_percent,
    "recalled": _recalled,
}

if __name__ == "__main__":
    main()
