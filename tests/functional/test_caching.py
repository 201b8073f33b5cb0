"""Prompt caching over a run: the primer, prefixes that travel together, and the real hit rate."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from batchspec.state.segments import FolderSegments

if TYPE_CHECKING:
    from tests.functional.conftest import Folder, MakeEmulator, MakeProject

SPEC = """\
version: 1
name: cached
inputs: {table: data/rows.csv, key: id}
model: claude-opus-5-5
max_tokens: 20
prompt:
  system: {file: prompts/long.md}
  user: "Say {{ id }}"
outputs: {path: out/cached.jsonl}
"""
LONG = "A sentence that every request shares with all the others. " * 400


@pytest.fixture
def folder(project: MakeProject, emulator: MakeEmulator) -> Folder:
    """Return a project whose API keeps what it wrote to the cache at once."""
    folder = project(
        {
            "batchspec.yaml": "version: 1\nname: cached\n",
            "specs/cached.yaml": SPEC,
            "prompts/long.md": LONG,
            "data/rows.csv": "id,topic\n" + "".join(f"{n},{n % 2}\n" for n in range(40)),
        }
    )
    folder.environ["ANTHROPIC_BASE_URL"] = emulator(cache_warm_seconds=0.0).base_url
    folder.environ["ANTHROPIC_API_KEY"] = "canary-key-of-a-test"
    return folder


def batches(folder: Folder) -> list[list[dict[str, Any]]]:
    """Return the params of each batch's requests, the oldest batch first."""
    state = folder.root / ".batchspec/state/segments"
    names = sorted(state.glob("req-*.jsonl.zst"), key=lambda path: path.stat().st_mtime_ns)
    segments = FolderSegments(state)
    return [
        [
            json.loads(line)["params"]
            for line in segments.lines(name.name.removesuffix(".jsonl.zst"))
        ]
        for name in names
    ]


def test_a_primer_goes_first_where_it_pays(folder: Folder) -> None:
    """The plan says so with both prices, the run does it, and the summary says what was read."""
    plan = folder.batchspec("plan")
    assert "40 requests in 2 batches" in plan.out
    assert "in a primer batch" in plan.out
    done = folder.batchspec("run")
    assert done.code == 0, done.err
    assert [len(batch) for batch in batches(folder)] == [1, 39]
    assert "cache: 98 % of the shared prefixes read" in done.out


def test_a_primer_can_be_turned_off(folder: Folder) -> None:
    """Whoever cannot wait sends everything at once; nothing is asked anew by it."""
    folder.write("specs/cached.yaml", SPEC + "primer: off\n")
    assert "40 requests in 1 batch" in folder.batchspec("plan").out
    assert folder.batchspec("run").code == 0
    folder.write("specs/cached.yaml", SPEC)
    assert folder.batchspec("plan", "--format", "json").json()["totals"]["requests"] == 0


def test_requests_with_one_prefix_travel_together(folder: Folder) -> None:
    """Items that share a marked document are neighbours in the batch, whatever their keys."""
    user = '[{text: "Topic {{ topic }}", cache: true}, {text: "Say {{ id }}"}]'
    spec = SPEC.replace('user: "Say {{ id }}"', f"user: {user}") + "primer: off\n"
    folder.write("specs/cached.yaml", spec)
    assert folder.batchspec("run").code == 0
    (batch,) = batches(folder)
    topics = [params["messages"][0]["content"][0]["text"] for params in batch]
    assert len(topics) == 40
    assert sum(one != other for one, other in itertools.pairwise(topics)) == 1
    marks = json.dumps(batch[0]).count("cache_control")
    assert marks == 2


def test_breakpoints_of_tools_have_a_price(folder: Folder) -> None:
    """What a tool's own cache_control writes and reads is between the plan's two prices."""
    tool = {"name": "note", "description": LONG, "input_schema": {"type": "object"}}
    tool["cache_control"] = {"type": "ephemeral", "ttl": "1h"}
    asked = SPEC.replace("  system: {file: prompts/long.md}\n", "").replace("Say", "{{ say }}")
    before = Decimal(0)
    for say in ("cold", "warm"):
        more = {"params": {"tools": [tool]}, "vars": {"say": say}, "cache": "off"}
        more["primer"] = "off"
        lines = "".join(f"{key}: {json.dumps(value)}\n" for key, value in more.items())
        folder.write("specs/cached.yaml", asked + lines)
        estimate = folder.batchspec("plan", "--format", "json").json()["specs"][0]["estimate"]
        assert folder.batchspec("run").code == 0
        money = folder.batchspec("cost", "--format", "json").json()["totals"]
        paid = Decimal(money["usd"]) - before
        assert Decimal(estimate["usd_min"]) <= paid <= Decimal(estimate["usd_max"]), say
        before += paid


def test_breakpoints_of_tools_are_counted(folder: Folder) -> None:
    """The API takes four in a request, wherever they stand, and what lives longer first."""
    tools = [
        {
            "name": f"t{n}",
            "input_schema": {"type": "object"},
            "cache_control": {"type": "ephemeral"},
        }
        for n in range(4)
    ]
    user = '[{text: "Say", cache: 5m}, {text: "{{ id }}"}]'
    spec = SPEC.replace('user: "Say {{ id }}"', f"user: {user}")
    folder.write("specs/cached.yaml", f"{spec}params: {json.dumps({'tools': tools})}\n")
    many = folder.batchspec("validate", "--inputs")
    assert many.code == 1
    assert "too-many-breakpoints: the request has 5 cache breakpoints" in many.out
    later = spec.replace("cache: 5m", "cache: 1h")
    folder.write("specs/cached.yaml", f"{later}params: {json.dumps({'tools': tools[:1]})}\n")
    wrong = folder.batchspec("validate", "--inputs")
    assert (wrong.code, "cache-order" in wrong.out) == (1, True)


SAME = """\
version: 1
inputs: {rows: [{id: 1}, {id: 2}], key: id}
model: claude-haiku-4-5
max_tokens: 20
prompt: {user: "Count to {{ id }}."}
"""


@pytest.mark.parametrize("way", ["run", "apply"])
def test_planning_again_keeps_the_primer(folder: Folder, way: str) -> None:
    """Answers of a lost state make a run plan again; what was not sent yet goes as planned."""
    folder.write("specs/a.yaml", f"{SAME}outputs: {{path: out/a.jsonl}}\n")
    assert folder.batchspec("run", "specs/a.yaml").code == 0
    shutil.rmtree(folder.root / ".batchspec")
    assert folder.batchspec("plan", "--out", "a.plan").code == 0
    done = folder.batchspec(*(("apply", "a.plan") if way == "apply" else ("run",)))
    assert done.code == 0, done.err
    assert "a: 2 items, 2 to submit" in done.err
    sent = re.findall(r"^(\w+): submitted \S+ with (\d+) request", done.err, re.MULTILINE)
    assert sent == [("cached", "1"), ("cached", "39")]
    assert done.err.count("cached: 40 items") == 1
    assert folder.batchspec("plan", "--format", "json").json()["totals"]["requests"] == 0
