"""What a plan expects, beside what the run then uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.functional.conftest import Folder, MakeEmulator, MakeProject

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
    assert "by 40 answers: about $" in " ".join(better["notes"])
    second_input, second_output = used(served)
    assert abs(better["input_tokens"] / second_input - 1) < 0.03
    assert abs(better["output_tokens"] / second_output - 1) < 0.05
    measured = served.batchspec("cost", "--format", "json").json()["last_plans"]["triage"]
    assert measured["answers"] == 40
    assert float(measured["usd_expected"]) == pytest.approx(float(better["usd"]), abs=0.0001)
    paid = (second_input + 5 * second_output) / 2_000_000
    assert float(measured["usd"]) == pytest.approx(paid)
    off = 100 * (second_input / better["input_tokens"] - 1)
    assert measured["input_off_percent"] == round(off)
    assert "LAST PLAN" in served.batchspec("cost").out


def test_a_region_without_a_price_is_not_guessed(served: Folder) -> None:
    """Its price is unknown, and a budget refuses it; that of a known region is a tenth above."""
    served.write("tickets.csv", ROWS)
    prices = {}
    for geo in ("global", "us", "mars"):
        spec = SPEC.replace("claude-haiku-4-5", "claude-haiku-5-5")
        served.write("specs/triage.yaml", f"{spec}params: {{inference_geo: {geo}}}\n")
        prices[geo] = estimated(served)
    assert prices["mars"]["usd"] is None
    assert "No price of the region mars is known." in prices["mars"]["notes"]
    assert float(prices["us"]["usd_max"]) > 1.05 * float(prices["global"]["usd_max"])


@pytest.fixture
def counting(project: MakeProject, emulator: MakeEmulator, tmp_path: Path) -> Folder:
    """Return a project that was never run, whose API is told to be short of rate once."""
    faults = tmp_path / "faults.yaml"
    faults.write_text(
        "faults:\n  - {endpoint: count_tokens, kind: status, status: 429, retry_after: 0.1}\n"
    )
    folder = project({"tickets.csv": ROWS, "specs/triage.yaml": SPEC})
    folder.environ["ANTHROPIC_BASE_URL"] = emulator(faults=faults).base_url
    folder.environ["ANTHROPIC_API_KEY"] = "canary-key-of-a-test"
    return folder


def test_counted_requests_make_the_estimate(counting: Folder) -> None:
    """A rate limit is waited for, the plan says what was counted, and the tokens are near."""
    counted = counting.batchspec("plan", "--count-tokens", "8", "--format", "json")
    assert counted.code == 0, counted.err
    assert "Counting the input tokens of 8 requests" in counted.err
    assert "429" in counted.err
    (spec,) = counted.json()["specs"]
    assert spec["estimate"]["calibrated_by"] == {"answers": 0, "counted": 8}
    again = counting.batchspec("plan", "--count-tokens", "8", "--format", "json")
    assert again.out == counted.out
    assert list((counting.root / ".batchspec/tmp").iterdir()) == []
    real, _ = used(counting)
    assert abs(spec["estimate"]["input_tokens"] / real - 1) < 0.05
    nothing = counting.batchspec("plan", "--count-tokens", "8", env={"ANTHROPIC_API_KEY": ""})
    assert (nothing.code, nothing.err) == (0, "")


def test_counting_needs_a_key_and_an_api_that_counts(counting: Folder) -> None:
    """Exit code 5, and the message says how to plan without."""
    without = counting.batchspec("plan", "--count-tokens", "3", env={"ANTHROPIC_API_KEY": ""})
    assert without.code == 5
    assert "no API key" in without.err
    counting.write("specs/triage.yaml", SPEC.replace("claude-haiku-4-5", "claude-next-9"))
    unknown = counting.batchspec("plan", "--count-tokens", "3")
    assert unknown.code == 5
    assert "Plan without --count-tokens" in unknown.err
    assert counting.batchspec("plan", "--count-tokens", "0").code == 2
