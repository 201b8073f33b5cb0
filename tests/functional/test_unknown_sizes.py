"""Pictures and documents whose size no plan knows: what prices and budgets take for them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.functional.conftest import Folder, MakeEmulator, MakeProject

ROWS = "id\n" + "".join(f"{number}\n" for number in range(32))
SPEC = """\
version: 1
name: sights
inputs: {table: rows.csv, key: id}
model: claude-haiku-4-5
max_tokens: 100
outputs: {path: out.jsonl}
"""
IMAGE = '{image: "https://example.com/{{ id }}.png"}'
DOCUMENT = "{file_id: file_of_somebody_else}"
ASK = '{text: "What is {{ id }}?"}'
OUTPUT = 32 * 100 * Decimal(5)
"""Of answers as long as they may become, in millionths of a dollar at standard price."""


def spec(*blocks: str, more: str = "") -> str:
    """Return a spec that shows each item these blocks."""
    return f"{SPEC}prompt: {{user: [{', '.join((*blocks, ASK))}]}}\n{more}"


@pytest.fixture
def folder(project: MakeProject, emulator: MakeEmulator) -> Folder:
    """Return a project with rows, and a server whose files nobody measures."""
    made = project({"batchspec.yaml": "version: 1\nname: sights\n", "rows.csv": ROWS})
    made.environ["ANTHROPIC_BASE_URL"] = emulator().base_url
    made.environ["ANTHROPIC_API_KEY"] = "canary-key-of-a-test"
    return made


def estimated(folder: Folder, *flags: str) -> tuple[dict[str, Any], str]:
    """Return the estimate of the only spec, and what was told."""
    done = folder.batchspec("plan", *flags, "--format", "json")
    assert done.code == 0, done.err
    (found,) = done.json()["specs"]
    return found["estimate"], done.err


def input_at_most(estimate: dict[str, Any]) -> Decimal:
    """Return the input tokens of each request that a highest price stands for."""
    return (Decimal(estimate["usd_max"]) * 2_000_000 - OUTPUT) / 32


def test_the_highest_price_takes_what_the_facts_allow(folder: Folder) -> None:
    """A picture of 8,000 pixels a side, a document that fills the window; a budget compares it."""
    folder.write("specs/sights.yaml", spec(IMAGE))
    image, told = estimated(folder)
    assert 286 * 286 < input_at_most(image) < 286 * 286 + 200
    assert image["input_tokens"] < 32 * 100
    assert "size-unknown" in told
    assert "for 32 pictures 0 and 81,796 tokens each" in told
    folder.write("specs/sights.yaml", spec(IMAGE, IMAGE, IMAGE))
    assert input_at_most(estimated(folder)[0]) == pytest.approx(200_000, rel=0.001)
    folder.write("specs/sights.yaml", spec(DOCUMENT, more="budget: {max_usd: 3}\n"))
    document, told = estimated(folder)
    assert input_at_most(document) == pytest.approx(200_000, rel=0.001)
    assert "for 32 documents 0 and 200,000 tokens each" in told
    refused = folder.batchspec("run")
    assert refused.code == 4
    assert "may cost up to $3.2080" in refused.err


def test_the_expected_price_takes_what_the_spec_assumes(folder: Folder) -> None:
    """It is the same question at another price; a breakpoint makes the highest one dearer."""
    folder.write("specs/sights.yaml", spec(IMAGE))
    plain = folder.batchspec("plan", "--format", "json").json()["specs"][0]
    folder.write("specs/sights.yaml", spec(IMAGE, more="assume: {image_tokens: 1600}\n"))
    done = folder.batchspec("plan", "--format", "json")
    (assuming,) = done.json()["specs"]
    assert assuming["changes"] == plain["changes"]
    extra = assuming["estimate"]["input_tokens"] - plain["estimate"]["input_tokens"]
    assert extra == pytest.approx(32 * 1600, abs=32)
    assert assuming["estimate"]["usd_max"] == plain["estimate"]["usd_max"]
    assert "1,600 tokens each (as the spec assumes)" in " ".join(assuming["estimate"]["notes"])
    assert "for 32 pictures 1,600 and 81,796" in done.err
    marked = IMAGE.replace('}}.png"}', '}}.png", cache: 1h}')
    folder.write("specs/sights.yaml", spec(marked))
    assert 2 * 286 * 286 < input_at_most(estimated(folder)[0]) < 2 * 286 * 286 + 200


@pytest.mark.parametrize("measured", ["counted", "answered"])
def test_what_was_measured_wins_over_what_the_facts_allow(folder: Folder, measured: str) -> None:
    """Thirty requests or more, counted or answered, make the price; then nothing is in doubt."""
    folder.write("specs/sights.yaml", spec(IMAGE))
    if measured == "answered":
        assert folder.batchspec("run").code == 0
        folder.write("specs/sights.yaml", spec(IMAGE).replace("What is", "Where is"))
        found, told = estimated(folder)
    else:
        few, told = estimated(folder, "--count-tokens", "5")
        assert few["input_tokens"] == pytest.approx(32 * 1505, rel=0.01)
        assert input_at_most(few) > 286 * 286
        assert "size-unknown" in told
        found, told = estimated(folder, "--count-tokens", "30")
    assert found["input_tokens"] == pytest.approx(32 * 1505, rel=0.01)
    assert 1505 * 1.09 < input_at_most(found) < 1505 * 1.2
    assert "size-unknown" not in told
    assert "a tenth above the largest of 3" in " ".join(found["notes"])


def test_what_tools_of_the_api_read_is_told_to_be_missing(folder: Folder) -> None:
    """Searches are counted as far as the tool allows them, a cent each; the rest is said."""
    folder.write("specs/sights.yaml", spec())
    plain, _ = estimated(folder)
    tool = "{type: web_search_20260318, name: web_search, max_uses: 3}"
    folder.write("specs/sights.yaml", spec(more=f"params: {{tools: [{tool}]}}\n"))
    searching, told = estimated(folder)
    assert "cost-unbounded" in told
    assert "It counts 3 web searches a request." in told
    extra = Decimal(searching["usd_max"]) - Decimal(plain["usd_max"])
    assert 32 * Decimal("0.03") < extra < 32 * Decimal("0.031")
    assert Decimal(searching["usd"]) < Decimal("0.1")


def test_web_searches_are_on_the_bill_and_in_the_next_estimate(project: MakeProject) -> None:
    """Each costs a cent, of which no batch discount is taken."""
    tool = "params: {tools: [{type: web_search_20260318, name: web_search}]}\n"
    made = project(
        {
            "batchspec.yaml": "version: 1\nname: sights\nemulator: {answers: answers.yaml}\n",
            "answers.yaml": "rules:\n  - when: {text: What}\n    answer: done\n"
            "    usage: {server_tool_use: {web_search_requests: 2}}\n",
            "rows.csv": ROWS,
            "specs/sights.yaml": spec(more=tool),
        }
    )
    assert made.batchspec("run", "--emulate").code == 0
    bill = made.batchspec("cost", "--emulate", "--format", "json").json()["totals"]
    tokens = Decimal(bill["input_tokens"] + 5 * bill["output_tokens"]) / 2_000_000
    assert Decimal(bill["usd_searches"]) == Decimal("0.64")
    assert Decimal(bill["usd"]) == tokens + Decimal("0.64")
    assert Decimal(bill["usd_without_batch"]) == 2 * tokens + Decimal("0.64")
    assert "$0.6400 went to web searches" in made.batchspec("cost", "--emulate").out
    made.write("specs/sights.yaml", spec(more=tool).replace("What is", "What was"))
    found, told = estimated(made, "--emulate")
    assert Decimal(found["usd"]) == pytest.approx(Decimal(bill["usd"]), rel=Decimal("0.02"))
    assert "cost-unbounded" not in told
