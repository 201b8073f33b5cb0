"""What a plan expects, beside what the run then uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.functional.conftest import Folder

ROWS = "id,body\n" + "".join(f"{n},{'Words of the ticket. ' * (n + 4)}\n" for n in range(40))
SPEC = """\
version: 1
name: triage
inputs: {table: tickets.csv, key: id}
model: claude-haiku-4-5
max_tokens: 400
prompt: {user: "Label this ticket. {{ body }}"}
outputs:
  path: out.jsonl
  select: SELECT input_tokens, output_tokens FROM results
"""


def estimated(folder: Folder) -> dict[str, Any]:
    """Return the estimate of the only spec."""
    done = folder.batchspec("plan", "--format", "json")
    assert done.code == 0, done.err
    (spec,) = done.json()["specs"]
    found = spec["estimate"]
    assert isinstance(found, dict)
    return found


def used(folder: Folder) -> tuple[int, int]:
    """Run the spec and return the tokens that its answers used."""
    done = folder.batchspec("run")
    assert done.code == 0, done.err
    rows = folder.rows("out.jsonl")
    return sum(row["input_tokens"] for row in rows), sum(row["output_tokens"] for row in rows)


def test_answers_move_the_estimate_towards_what_is_used(served: Folder) -> None:
    """After one run, the plan of an edited prompt is within a few percent of what it then uses."""
    served.write("tickets.csv", ROWS)
    served.write("specs/triage.yaml", SPEC)
    guess = estimated(served)
    assert guess["calibrated_by"] == {"answers": 0, "counted": 0}
    first_input, first_output = used(served)
    assert abs(guess["input_tokens"] / first_input - 1) > 0.1
    assert abs(guess["output_tokens"] / first_output - 1) > 0.5
    served.write("specs/triage.yaml", SPEC.replace("Label this", "Please label this"))
    better = estimated(served)
    assert better == estimated(served)
    assert better["calibrated_by"] == {"answers": 40, "counted": 0}
    assert any("Calibrated by 40 answers" in note for note in better["notes"])
    second_input, second_output = used(served)
    assert abs(better["input_tokens"] / second_input - 1) < 0.03
    assert abs(better["output_tokens"] / second_output - 1) < 0.05
