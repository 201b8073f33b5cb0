"""Asking one question several times: distinct questions, kept when their number changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.functional.conftest import Folder

SPEC = """\
version: 1
inputs: {rows: [{id: 1, word: one}, {id: 2, word: two}], key: id}
model: claude-haiku-4-5
max_tokens: 40
prompt: {user: "Say {{ word }}"}
outputs: {path: out/say.jsonl}
"""


@pytest.fixture
def folder(served: Folder) -> Folder:
    """Return a project that was run without samples."""
    served.write("specs/say.yaml", SPEC)
    assert served.batchspec("run").code == 0
    return served


def sampled(folder: Folder, samples: int) -> dict[str, Any]:
    """Ask for so many samples and return the plan."""
    folder.write("specs/say.yaml", f"{SPEC}samples: {samples}\n")
    done = folder.batchspec("plan", "--format", "json")
    assert done.code == 0, done.err
    (plan,) = done.json()["specs"]
    assert isinstance(plan, dict)
    return plan


def test_more_samples_ask_only_what_is_new(folder: Folder) -> None:
    """The first sample is the plain question; each has a hash and a row of its own."""
    (before, _) = folder.rows("out/say.jsonl")
    plan = sampled(folder, 3)
    assert (plan["items"], plan["requests"], plan["counts"]["removed"]) == (6, 4, 0)
    assert folder.batchspec("run").code == 0
    rows = folder.rows("out/say.jsonl")
    assert [row["key"] for row in rows] == [[n, sample] for n in (1, 2) for sample in (1, 2, 3)]
    assert rows[0]["request_hash"] == before["request_hash"]
    assert len({row["request_hash"] for row in rows}) == 6
    again = sampled(folder, 3)
    assert (again["requests"], again["counts"]["unchanged"]) == (0, 6)
    shown = folder.batchspec("show", "say", "[2, 3]", "--format", "json").json()
    assert shown["request_hash"] == rows[5]["request_hash"]
    assert shown["status"] == "succeeded"
    fewer = sampled(folder, 2)
    assert (fewer["requests"], fewer["counts"]["removed"]) == (0, 2)
    plain = sampled(folder, 1)
    assert (plain["requests"], plain["counts"]["removed"]) == (0, 4)


def test_a_column_called_sample_is_told(served: Folder) -> None:
    """Ours could not be told from theirs."""
    served.write(
        "specs/say.yaml", SPEC.replace("word: one", "word: one, Sample: 1") + "samples: 2\n"
    )
    done = served.batchspec("plan")
    assert done.code == 1
    assert "the inputs have a column sample, which samples adds to them" in done.err
