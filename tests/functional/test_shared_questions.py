"""Specs of one project that ask some of the same questions: each is planned and paid for once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.functional.conftest import Folder, MakeEmulator, MakeProject

MODEL = "claude-haiku-4-5"


def spec(name: str, first: int, last: int, *, model: str = MODEL, more: str = "") -> str:
    """Return a spec that asks the numbers from ``first`` to ``last``."""
    rows = json.dumps([{"n": n} for n in range(first, last + 1)])
    return f"""\
version: 1
inputs: {{rows: {rows}, key: n}}
model: {model}
max_tokens: 20
prompt: {{user: "Count to {{{{ n }}}}."}}
outputs: {{path: out/{name}.jsonl}}
{more}
"""


@pytest.fixture
def folder(served: Folder) -> Folder:
    """Return a project whose specs ask 1 to 20, 11 to 30, and 1 to 20 of another model."""
    served.write("specs/a.yaml", spec("a", 1, 20))
    served.write("specs/b.yaml", spec("b", 11, 30))
    served.write("specs/c.yaml", spec("c", 1, 20, model="claude-sonnet-5"))
    return served


def plan(folder: Folder, *args: str) -> dict[str, Any]:
    """Return the plan as data."""
    found: dict[str, Any] = folder.batchspec("plan", "--format", "json", *args).json()
    return found


def sent(err: str) -> list[tuple[str, int]]:
    """Return the batches that a run told of: spec and number of requests."""
    found = re.findall(r"^(\w+): submitted \S+ with (\d+) request", err, re.MULTILINE)
    return [(name, int(requests)) for name, requests in found]


def test_the_plan_counts_a_question_once(folder: Folder) -> None:
    """What one spec submits, the next one neither submits nor prices; the run does just that."""
    planned = plan(folder)
    assert [one["requests"] for one in planned["specs"]] == [20, 10, 20]
    assert planned["specs"][1]["counts"]["submit"] == 20
    assert planned["specs"][1]["counts"]["duplicate"] == 10
    assert (planned["totals"]["submit"], planned["totals"]["requests"]) == (60, 50)
    done = folder.batchspec("run")
    assert done.code == 0, done.err
    assert sent(done.err) == [("a", 20), ("b", 10), ("c", 20)]
    assert "Planning again" not in done.err
    assert [len(folder.rows(f"out/{name}.jsonl")) for name in "abc"] == [20, 20, 20]
    assert plan(folder)["totals"]["requests"] == 0


def test_a_spec_alone_submits_all_that_it_asks(folder: Folder) -> None:
    """Only what the same plan submits is left to others."""
    assert plan(folder, "specs/b.yaml")["totals"]["requests"] == 20
    done = folder.batchspec("run", "specs/b.yaml")
    assert (done.code, sent(done.err)) == (0, [("b", 20)])
    assert [one["requests"] for one in plan(folder)["specs"]] == [10, 0, 20]


def test_a_spec_that_asks_nothing_of_its_own(folder: Folder) -> None:
    """Its plan says so in each format; detached, it waits for the batches of the other."""
    folder.write("specs/b.yaml", spec("b", 5, 15))
    words = "They ask what items of another spec ask; one request answers all alike."
    assert words in folder.batchspec("plan").out
    assert words in folder.batchspec("plan", "--format", "markdown").out
    assert folder.batchspec("plan", "--out", "all.plan").code == 0
    done = folder.batchspec("apply", "all.plan")
    assert done.code == 0, done.err
    assert sent(done.err) == [("a", 20), ("c", 20)]
    assert len(folder.rows("out/b.jsonl")) == 11


@pytest.mark.parametrize("more", ["canary: 5", "batch: {max_requests: 6}", "samples: 2"])
def test_however_it_is_divided(folder: Folder, more: str) -> None:
    """A canary holds back the second spec's share too, and no batch repeats a question."""
    for name in "ab":
        folder.write(f"specs/{name}.yaml", spec(name, 1, 20, more=more))
    requests = plan(folder)["totals"]["requests"]
    done = folder.batchspec("run")
    assert done.code == 0, done.err
    assert sum(count for _, count in sent(done.err)) == requests
    assert folder.rows("out/a.jsonl") == folder.rows("out/b.jsonl")
    assert "Planning again" not in done.err


Serve = Callable[..., "Folder"]


@pytest.fixture
def serve(project: MakeProject, emulator: MakeEmulator, tmp_path: Path) -> Serve:
    """Make projects of two specs whose API answers by a rule."""

    def made(a: str, b: str, rule: str = "", **settings: float) -> Folder:
        answers = tmp_path / "answers.yaml"
        answers.write_text(f"rules: [{rule}]\n")
        folder = project({"specs/a.yaml": a, "specs/b.yaml": b})
        folder.environ["ANTHROPIC_BASE_URL"] = emulator(answers=answers, **settings).base_url
        folder.environ["ANTHROPIC_API_KEY"] = "canary-key-of-a-test"
        return folder

    return made


def test_detached_specs_wait_for_each_other(serve: Serve) -> None:
    """Nothing of the second spec is in flight under its own name, and the run says why."""
    folder = serve(spec("a", 1, 20), spec("b", 1, 20), delay_seconds=3600.0)
    done = folder.batchspec("run", "--detach")
    assert (done.code, sent(done.err)) == (0, [("a", 20)]), done.err
    assert "What it asks is in flight for another spec." in done.out
    assert plan(folder)["specs"][1]["counts"]["in_flight"] == 20


def test_a_stopped_spec_leaves_its_questions_to_others(serve: Serve) -> None:
    """What the first does not submit after all, because its canary failed, the second may."""
    rule = "{when: {text: 'Count to [1-5][.]'}, outcome: refusal}"
    folder = serve(spec("a", 1, 30, more="canary: 5"), spec("b", 21, 40), rule)
    assert [one["requests"] for one in plan(folder)["specs"]] == [30, 10]
    done = folder.batchspec("run")
    assert done.code == 3, done.err
    assert sent(done.err) == [("a", 5), ("b", 10), ("b", 10)]
    assert len(folder.rows("out/b.jsonl")) == 20


def test_retries_are_not_asked_twice(serve: Serve) -> None:
    """A question that fails for both specs is asked again once, by the first."""
    rule = "{when: {text: 'Count to [1-5][.]'}, outcome: expired, times: 1}"
    folder = serve(spec("a", 1, 20), spec("b", 1, 20), rule)
    done = folder.batchspec("run")
    assert done.code == 0, done.err
    assert sent(done.err) == [("a", 20), ("a", 5)]
    assert folder.rows("out/a.jsonl") == folder.rows("out/b.jsonl")


@pytest.mark.parametrize("own", [0, 3])
def test_what_another_spec_leaves_begins_with_a_canary(serve: Serve, own: int) -> None:
    """Questions that the first spec's failed canary leaves to the second are not asked at once."""
    second = spec("b", 1, 30 + own, more="canary: 4")
    rule = "{when: {text: Count}, outcome: refusal}"
    folder = serve(spec("a", 1, 30, more="canary: 5"), second, rule)
    done = folder.batchspec("run")
    assert done.code == 3, done.err
    assert sent(done.err) == [("a", 5), *([("b", own)] if own else []), ("b", 4)]
    assert "b: asking" not in done.err


def test_what_somebody_canceled_no_spec_asks_again(serve: Serve) -> None:
    """Not in the same run, neither the spec whose batch it was nor one that waited for it."""
    rule = "{when: {text: 'Count to [1-5][.]'}, outcome: canceled, times: 1}"
    folder = serve(spec("a", 1, 20), spec("b", 1, 20), rule)
    done = folder.batchspec("run")
    assert (done.code, sent(done.err)) == (3, [("a", 20)]), done.err
    assert folder.rows("out/a.jsonl") == folder.rows("out/b.jsonl")
    assert folder.batchspec("run").code == 0


def test_a_saved_plan_asks_for_no_other_spec(serve: Serve) -> None:
    """What the first spec's failed canary leaves over was not agreed for the second."""
    rule = "{when: {text: Count}, outcome: refusal}"
    folder = serve(spec("a", 1, 30, more="canary: 5"), spec("b", 1, 30), rule)
    assert folder.batchspec("plan", "--out", "all.plan").code == 0
    done = folder.batchspec("apply", "all.plan")
    assert (done.code, sent(done.err)) == (3, [("a", 5)]), done.err
    assert "Not complete yet: 25 items are still to be asked." in done.out


def test_a_stopped_spec_gets_the_answers_of_another(serve: Serve) -> None:
    """Those too that the other has to ask for again: its outputs wait for them."""
    canary = "{when: {text: 'Count to 1[.]'}, outcome: truncated, times: 1}"
    later = "{when: {text: 'Count to 1[1-4][.]'}, outcome: expired, times: 1}"
    folder = serve(spec("a", 1, 20, more="canary: 1"), spec("b", 1, 20), f"{canary}, {later}")
    done = folder.batchspec("run")
    assert (done.code, sent(done.err)) == (3, [("a", 1), ("b", 19), ("b", 4)]), done.err
    rows = folder.rows("out/a.jsonl")
    assert rows == folder.rows("out/b.jsonl")
    assert [row["status"] for row in rows] == ["truncated", *["succeeded"] * 19]
