"""Plans that are saved, reviewed and applied; budgets that look at what is in flight."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator

if TYPE_CHECKING:
    from tests.functional.conftest import Folder, MakeEmulator, MakeProject

ROWS = "id,body\n" + "".join(f"{n},Body {n}\n" for n in range(6))
SPEC = """\
version: 1
name: triage
inputs: {table: tickets.csv, key: id}
model: claude-haiku-4-5
max_tokens: 40
prompt:
  system: {file: system.md}
  user: "Ticket: {{ body }}"
outputs: {path: out.jsonl}
"""


@pytest.fixture
def folder(served: Folder) -> Folder:
    """Return a project that has been run once and has two items more since."""
    served.write("tickets.csv", ROWS)
    served.write("system.md", "Label tickets.\n")
    served.write("specs/triage.yaml", SPEC)
    assert served.batchspec("run").code == 0
    served.write("tickets.csv", ROWS + "6,Body 6\n7,Body 7\n")
    return served


def test_a_saved_plan_is_what_its_schema_says(folder: Folder) -> None:
    """Versioned, the same bytes each time, valid by the schema that the program prints."""
    assert folder.batchspec("plan", "--out", "plan.json").code == 0
    saved = folder.read("plan.json")
    assert folder.batchspec("plan", "--out", "plan.json").code == 0
    assert folder.read("plan.json") == saved
    schema = json.loads(folder.batchspec("schema", "plan").out)
    document = json.loads(saved)
    Draft202012Validator(schema).validate(document)
    assert document["format_version"] == 1
    assert document["specs"][0]["counts"]["submit"] == 2


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("specs/triage.yaml", SPEC.replace("40", "41"), "The spec `triage` was edited."),
        ("tickets.csv", ROWS + "6,Other\n", "The inputs of `triage`"),
        ("system.md", "Label these tickets.\n", "what its prompt makes of them, have changed."),
    ],
)
def test_a_stale_plan_names_what_moved(folder: Folder, path: str, text: str, said: str) -> None:
    """Exit code 4, and nothing is submitted."""
    assert folder.batchspec("plan", "--out", "plan.json").code == 0
    folder.write(path, text)
    stale = folder.batchspec("apply", "plan.json")
    assert stale.code == 4
    assert said in stale.err
    assert len(folder.batchspec("status", "--format", "json").json()["submissions"]) == 0


def test_a_moved_state_makes_a_plan_stale(folder: Folder) -> None:
    """What somebody else submitted meanwhile is named as the state."""
    assert folder.batchspec("plan", "--out", "plan.json").code == 0
    assert folder.batchspec("run").code == 0
    stale = folder.batchspec("apply", "plan.json")
    assert stale.code == 4
    assert "The state has moved" in stale.err


def test_a_stale_plan_may_be_made_anew(folder: Folder) -> None:
    """`--if-stale replan` submits a fresh plan that costs no more, and refuses one that does."""
    assert folder.batchspec("plan", "--out", "plan.json").code == 0
    folder.write("tickets.csv", ROWS + "6,Body 6\n")
    dearer = folder.read("plan.json")
    done = folder.batchspec("apply", "plan.json", "--if-stale", "replan")
    assert done.code == 0, done.err
    assert "have changed. The state" not in done.err
    assert "A fresh plan of its specs is submitted instead" in done.err
    assert "  1 request submitted" in done.out
    folder.write("plan.json", dearer)
    folder.write("tickets.csv", ROWS + "".join(f"{n},Body {n}\n" for n in range(6, 12)))
    refused = folder.batchspec("apply", "plan.json", "--if-stale", "replan")
    assert (refused.code, refused.out) == (4, "")
    assert "The saved plan is stale. The inputs of `triage`" in refused.err
    assert "that were reviewed." in refused.err


def test_comments_and_order_do_not_make_a_plan_stale(folder: Folder) -> None:
    """What submits nothing else is not a reason to refuse."""
    assert folder.batchspec("plan", "--out", "plan.json").code == 0
    folder.write("specs/triage.yaml", f"# reviewed\n{SPEC}")
    head, *rows = (ROWS + "6,Body 6\n7,Body 7").splitlines()
    folder.write("tickets.csv", "\n".join([head, *reversed(rows)]) + "\n")
    done = folder.batchspec("apply", "plan.json")
    assert done.code == 0, done.err
    assert "2 requests submitted" in done.out


def test_budgets_count_what_is_in_flight(project: MakeProject, emulator: MakeEmulator) -> None:
    """A detached run counts against the ceilings of the spec, the project and the command line."""
    folder = project({"tickets.csv": ROWS, "system.md": "Label.", "specs/triage.yaml": SPEC})
    folder.environ["ANTHROPIC_BASE_URL"] = emulator(delay_seconds=600.0).base_url
    folder.environ["ANTHROPIC_API_KEY"] = "canary-key-of-a-test"
    assert folder.batchspec("run", "--detach").code == 0
    folder.write("tickets.csv", ROWS + "6,Body 6\n7,Body 7\n")
    (planned,) = folder.batchspec("plan", "--format", "json").json()["specs"]
    assert (planned["counts"]["submit"], planned["counts"]["in_flight"]) == (2, 6)
    folder.write("specs/triage.yaml", SPEC + "budget: {max_requests: 7}\n")
    said = "would have 8 requests, what is in flight included; its `budget.max_requests` is 7."
    assert said in folder.batchspec("plan").out
    refused = folder.batchspec("run", "--detach")
    assert refused.code == 4
    assert said in refused.err
    folder.write("specs/triage.yaml", SPEC)
    folder.write("batchspec.yaml", "version: 1\nbudget: {max_requests: 7}\n")
    refused = folder.batchspec("run", "--detach")
    assert refused.code == 4
    assert "the project's `budget.max_requests` is 7." in refused.err
    most = planned["estimate"]["usd_max"]
    assert folder.batchspec("run", "--detach", "--max-usd", most).code == 4
    folder.write("batchspec.yaml", "version: 1\nbudget: {max_requests: 8}\n")
    assert folder.batchspec("run", "--detach").code == 0
