"""`cost`: what was spent, compared with the bill that the server's own results make."""

from __future__ import annotations

import csv
import io
import json
import urllib.request
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.functional.conftest import Folder

SPEC = """\
version: 1
name: {name}
inputs: {{rows: [{rows}], key: id}}
model: {model}
max_tokens: {most}
prompt:
  system: Answer with care, and never at length. {filler}
  user: "Question {{{{ id }}}}"
outputs: {{path: out/{name}.jsonl}}
"""
PRICES = {
    "claude-haiku-4-5": ("1", "1.25", "2", "0.10", "5"),
    "claude-sonnet-5-5": ("2", "2.50", "4", "0.10", "10"),
}
"""Fact sheet §4.1, standard prices: input, writes for 5 min and 1 h, reads, output."""


def spec(name: str, model: str, count: int, *, most: int = 4096, filler: str = "") -> str:
    """Return a spec with so many questions."""
    rows = ", ".join(f"{{id: {n}}}" for n in range(count))
    return SPEC.format(name=name, model=model, rows=rows, most=most, filler=filler)


@pytest.fixture
def folder(served: Folder) -> Folder:
    """Return a project with two specs that have been run, one of them with a cached prefix."""
    served.write("batchspec.yaml", "version: 1\nname: bills\napi: {key_label: team-a}\n")
    served.write("specs/short.yaml", spec("short", "claude-haiku-4-5", 40))
    served.write("specs/long.yaml", spec("long", "claude-sonnet-5-5", 12, filler="Word " * 3000))
    assert served.batchspec("run").code == 0
    return served


def fetched(folder: Folder, path: str) -> bytes:
    """Return what the server answers to a GET."""
    request = urllib.request.Request(  # noqa: S310 - the emulator on loopback
        folder.environ["ANTHROPIC_BASE_URL"] + path,
        headers={
            "x-api-key": folder.environ["ANTHROPIC_API_KEY"],
            "anthropic-version": "2023-06-01",
        },
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - as above
        body: bytes = answer.read()
        return body


def billed(folder: Folder) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield model and usage of every result line that the server has."""
    page = json.loads(fetched(folder, "/v1/messages/batches?limit=1000"))
    for batch in page["data"]:
        lines = fetched(folder, f"/v1/messages/batches/{batch['id']}/results").splitlines()
        for line in lines:
            message = json.loads(line)["result"]["message"]
            yield message["model"], message["usage"]


def price(model: str, usage: dict[str, Any]) -> Decimal:
    """Return the cost of one answer by the fact sheet's formula."""
    rates = next(rates for name, rates in PRICES.items() if model.startswith(name))
    split = usage["cache_creation"] or {}
    tokens = (
        usage["input_tokens"],
        split.get("ephemeral_5m_input_tokens", 0),
        split.get("ephemeral_1h_input_tokens", 0),
        usage["cache_read_input_tokens"] or 0,
        usage["output_tokens"],
    )
    total = sum(Decimal(rate) * count for rate, count in zip(rates, tokens, strict=True))
    return Decimal(total) / 1_000_000 / 2


def test_the_sums_are_the_servers_bill(folder: Folder) -> None:
    """Totals, specs, models, keys and the CSV's rows all come to what the server charged."""
    bill = list(billed(folder))
    usd = sum((price(model, usage) for model, usage in bill), Decimal(0))
    done = folder.batchspec("cost", "--format", "json")
    assert done.code == 0, done.err
    report = done.json()
    assert Decimal(report["totals"]["usd"]) == usd
    assert report["totals"]["answers"] == len(bill) == 52
    assert report["totals"]["output_tokens"] == sum(usage["output_tokens"] for _, usage in bill)
    for by in ("by_spec", "by_model", "by_day", "by_key"):
        assert sum(Decimal(part["usd"]) for part in report[by].values()) == usd, by
    assert list(report["by_spec"]) == ["long", "short"]
    assert list(report["by_model"]) == ["claude-haiku-4-5", "claude-sonnet-5-5"]
    assert list(report["by_key"]) == ["team-a"]
    rows = list(csv.DictReader(io.StringIO(folder.batchspec("cost", "--format", "csv").out)))
    assert sum(Decimal(row["usd"]) for row in rows) == usd
    assert {row["spec"] for row in rows} == {"long", "short"}


def test_what_caching_did_is_told(folder: Folder) -> None:
    """The price without caching is that of the same tokens as plain input."""
    report = folder.batchspec("cost", "long", "--format", "json").json()
    part = report["by_spec"]["long"]
    assert list(report["by_spec"]) == ["long"]
    assert part["cache_write_5m"] + part["cache_write_1h"] > 0
    plain = part["input_tokens"] + part["cache_write_5m"] + part["cache_write_1h"]
    plain += part["cache_read"]
    flat = (Decimal(plain) * 2 + Decimal(part["output_tokens"]) * 10) / 1_000_000 / 2
    assert Decimal(part["usd_uncached"]) == flat


def test_advice_is_what_a_second_run_then_costs(folder: Folder) -> None:
    """Another model's price for the same tokens is what running with it is charged."""
    report = folder.batchspec("cost", "short", "--format", "json").json()
    codes = [advice["code"] for advice in report["advice"]]
    assert codes == ["max-tokens", "cheaper-model"]
    room, cheaper = report["advice"]
    assert "none of them would have been cut" in room["message"]
    assert "claude-haiku-5-5" in cheaper["message"]
    former = Decimal(report["totals"]["usd"])
    told = former - Decimal(cheaper["usd"])
    text = folder.read("specs/short.yaml").replace("claude-haiku-4-5", "claude-haiku-5-5")
    folder.write("specs/short.yaml", text)
    assert folder.batchspec("run", "short").code == 0
    again = folder.batchspec("cost", "short", "--format", "json").json()
    paid = Decimal(again["by_model"]["claude-haiku-5-5"]["usd"])
    # The emulator counts the same tokens for every model; the advice allows for more of them.
    assert paid * Decimal("1.39") < told < paid * Decimal("1.41")


def test_the_summary_for_a_person(folder: Folder) -> None:
    """The text names what was spent and what could be saved, and fits a narrow page."""
    done = folder.batchspec("cost")
    assert done.code == 0, done.err
    assert done.out.startswith("Spent $")
    assert "52 of 52 answers usable" in done.out
    assert "What could be saved" in done.out
    assert "team-a" not in done.out, "a single key needs no table"
    assert max(map(len, done.out.splitlines())) <= 100
    assert "canary-key-of-a-test" not in done.out + done.err


def test_before_the_first_run(served: Folder) -> None:
    """Nothing spent is said so, and is no error."""
    served.write("batchspec.yaml", "version: 1\n")
    served.write("specs/short.yaml", spec("short", "claude-haiku-4-5", 2))
    done = served.batchspec("cost")
    assert (done.code, done.out) == (0, "Nothing was collected yet, so nothing was spent.\n")
