"""`cost`: what was spent, compared with the bill that the server's own results make."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import urllib.request
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import zstandard

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


def test_the_sums_are_those_of_sql_over_the_recorded_lines(folder: Folder) -> None:
    """Hand-written SQL over the server's lines in the segments comes to the same, to the digit."""
    state = folder.root / ".batchspec/state"
    with sqlite3.connect(state / "ledger.db") as ledger:
        kept = ledger.execute("SELECT spec, results FROM submissions").fetchall()
    for spec, name in kept:
        packed = (state / f"segments/{name}.jsonl.zst").read_bytes()
        lines = zstandard.ZstdDecompressor().decompressobj().decompress(packed)
        folder.write(f"lines/{spec}-{name}.jsonl", lines)
    rates = ", ".join(f"('{model}', {', '.join(prices)})" for model, prices in PRICES.items())
    query = f"""
        WITH usage AS (
          SELECT regexp_extract(filename, '(short|long)-', 1) AS spec, l.result.message AS m
          FROM read_json('{folder.root}/lines/*.jsonl', filename = true) l
        ), counted AS (
          SELECT spec, m.model, m.usage.input_tokens AS fresh, m.usage.output_tokens AS answer,
            coalesce(m.usage.cache_read_input_tokens, 0) AS read,
            coalesce(m.usage.cache_creation.ephemeral_5m_input_tokens, 0) AS short_lived,
            coalesce(m.usage.cache_creation.ephemeral_1h_input_tokens, 0) AS long_lived
          FROM usage
        )
        SELECT spec, count(*), sum(fresh), sum(short_lived + long_lived), sum(read), sum(answer),
          sum((fresh * p_fresh + short_lived * p_w5 + long_lived * p_w1 + read * p_read
               + answer * p_answer)::DECIMAL(30,6))
        FROM counted JOIN (VALUES {rates}) p(name, p_fresh, p_w5, p_w1, p_read, p_answer)
          ON starts_with(model, p.name)
        GROUP BY spec ORDER BY spec
    """  # noqa: S608 - our own names
    report = folder.batchspec("cost", "--format", "json").json()
    with duckdb.connect() as database:
        rows = database.execute(query).fetchall()
    assert [row[0] for row in rows] == ["long", "short"]
    for spec, answers, fresh, written, read, answer, millionths in rows:
        part = report["by_spec"][spec]
        assert part["answers"] == answers
        assert part["input_tokens"] == fresh
        assert part["cache_write_5m"] + part["cache_write_1h"] == written
        assert (part["cache_read"], part["output_tokens"]) == (read, answer)
        assert Decimal(part["usd"]) == Decimal(millionths) / 1_000_000 / 2, "batches cost half"


def test_a_tighter_ceiling_cuts_nothing_and_costs_the_same(folder: Folder) -> None:
    """Following the advice: no answer is cut, the bill stays, and `at most` falls as foretold."""
    before = folder.batchspec("cost", "short", "--format", "json").json()
    (message,) = (a["message"] for a in before["advice"] if a["code"] == "max-tokens")
    found = re.search(r"With ([\d,]+) none .* falls by \$([\d.]+) per 1,000 requests", message)
    assert found is not None, message
    text = folder.read("specs/short.yaml")
    folder.write("specs/short.yaml", text.replace("4096", "4095"))
    wide = folder.batchspec("plan", "short", "--format", "json").json()["totals"]
    folder.write("specs/short.yaml", text.replace("4096", found[1].replace(",", "")))
    tight = folder.batchspec("plan", "short", "--format", "json").json()["totals"]
    assert (wide["requests"], tight["requests"]) == (40, 40)
    fallen = (Decimal(wide["usd_max"]) - Decimal(tight["usd_max"])) * 1000 / 40
    assert abs(fallen - Decimal(found[2])) < Decimal(found[2]) / 100
    done = folder.batchspec("run", "short", "--format", "json")
    assert done.code == 0, done.err
    assert done.json()["specs"][0]["statuses"] == {"succeeded": 40}
    after = folder.batchspec("cost", "short", "--format", "json").json()
    assert Decimal(after["totals"]["usd"]) == 2 * Decimal(before["totals"]["usd"])


def test_caching_that_loses_is_paid_no_more(served: Folder) -> None:
    """`cache: off` then costs exactly what the advice said it saves less."""
    served.write("batchspec.yaml", "version: 1\nname: bills\n")
    cached = spec("cached", "claude-sonnet-5-5", 4, most=64, filler="Word " * 3000)
    served.write("specs/cached.yaml", f"{cached}cache: 1h\nprimer: off\n")
    assert served.batchspec("run").code == 0
    before = served.batchspec("cost", "--format", "json").json()
    (loss,) = (a for a in before["advice"] if a["code"] == "cache-loses")
    assert "`cache: off` saves that" in loss["message"]
    served.write("specs/cached.yaml", f"{cached}cache: off\n")
    assert served.batchspec("run").code == 0
    after = served.batchspec("cost", "--format", "json").json()
    paid, first = Decimal(after["totals"]["usd"]), Decimal(before["totals"]["usd"])
    assert paid - first == first - Decimal(loss["usd"])
    codes = {one["code"] for one in after["advice"]}
    assert "cache-loses" not in codes, "it is off now"


def test_a_prefix_that_nobody_caches_is_cheaper_cached(served: Folder) -> None:
    """Following the advice costs about what it says, when the requests after the primer hit."""
    served.write("batchspec.yaml", "version: 1\nname: bills\n")
    plain = spec("plain", "claude-sonnet-5-5", 30, most=64, filler="Word " * 3000)
    served.write("specs/plain.yaml", f"{plain}cache: off\n")
    assert served.batchspec("run").code == 0
    before = served.batchspec("cost", "--format", "json").json()
    (advice,) = (a for a in before["advice"] if a["code"] == "cache-off")
    first = Decimal(before["totals"]["usd"])
    foretold = first - Decimal(advice["usd"])
    assert 0 < foretold < first / 2, advice
    served.write("specs/plain.yaml", f"{plain}cache: auto\n")
    assert served.batchspec("run").code == 0
    after = served.batchspec("cost", "--format", "json").json()
    paid = Decimal(after["totals"]["usd"]) - first
    assert abs(paid - foretold) < first / 5, (paid, foretold, first)
    assert not [a for a in after["advice"] if a["code"] == "cache-off"]


def test_advice_stands_on_answers_of_the_model_and_cache_that_it_is_about(served: Folder) -> None:
    """What another model, and what caching, cost before says nothing of the spec as it is now."""
    served.write("batchspec.yaml", "version: 1\nname: bills\n")
    first = spec("moved", "claude-sonnet-5-5", 30, most=64, filler="Word " * 3000)
    served.write("specs/moved.yaml", f"{first}cache: auto\n")
    assert served.batchspec("run").code == 0
    second = first.replace("claude-sonnet-5-5", "claude-sonnet-5")
    served.write("specs/moved.yaml", f"{second}cache: off\n")
    assert served.batchspec("run").code == 0
    told = served.batchspec("cost", "--format", "json").json()
    paid = Decimal(told["by_model"]["claude-sonnet-5"]["usd"])
    advice = {one["code"]: one for one in told["advice"]}
    assert "30 answers would have cost about " in advice["cache-off"]["message"]
    assert f"instead of ${paid:.4f}" in advice["cache-off"]["message"]
    assert paid / 2 < Decimal(advice["cache-off"]["usd"]) < paid
    assert f"instead of ${paid:.4f} with claude-sonnet-5." in advice["cheaper-model"]["message"]
    served.write("specs/moved.yaml", f"{second}cache: auto\n")
    assert served.batchspec("run").code == 0
    again = served.batchspec("cost", "--format", "json").json()
    cached = Decimal(again["by_model"]["claude-sonnet-5"]["usd"]) - paid
    assert abs(cached - (paid - Decimal(advice["cache-off"]["usd"]))) < paid / 5


def test_a_primer_that_a_run_would_not_send_is_no_advice(served: Folder) -> None:
    """Of a few cheap answers: a primer batch saves less than it takes to send one."""
    served.write("batchspec.yaml", "version: 1\nname: bills\n")
    plain = spec("plain", "claude-haiku-5-5", 30, most=64, filler="Word " * 3000)
    served.write("specs/plain.yaml", f"{plain}cache: off\n")
    assert served.batchspec("run").code == 0
    told = served.batchspec("cost", "--format", "json").json()["advice"]
    assert "cache-off" not in {advice["code"] for advice in told}
    served.write("specs/plain.yaml", f"{plain}cache: auto\n")
    plan = served.batchspec("plan", "--format", "json").json()
    assert plan["totals"]["batches"] == 1, "no primer, as the advice foresaw"


@pytest.mark.parametrize("filler", ["", "Word " * 200])
def test_a_prefix_too_short_to_cache_is_not_told(served: Folder, filler: str) -> None:
    """No advice is given that the model would not follow."""
    served.write("batchspec.yaml", "version: 1\nname: bills\n")
    plain = spec("plain", "claude-sonnet-5-5", 3, most=64, filler=filler)
    served.write("specs/plain.yaml", f"{plain}cache: off\n")
    assert served.batchspec("run").code == 0
    told = served.batchspec("cost", "--format", "json").json()["advice"]
    assert "cache-off" not in {advice["code"] for advice in told}


def test_answers_that_were_cut_are_whole_with_a_higher_ceiling(served: Folder) -> None:
    """What was wasted is told; after raising max_tokens the same question is answered."""
    served.write(
        "answers.yaml",
        f"rules:\n  - when: {{text: 'Question 3'}}\n    answer: '{'many words ' * 20}'\n",
    )
    served.write("batchspec.yaml", "version: 1\nemulator: {answers: answers.yaml}\n")
    text = spec("cut", "claude-haiku-4-5", 8, most=16)
    served.write("specs/cut.yaml", text)
    assert served.batchspec("run", "--emulate").code == 3
    before = served.batchspec("cost", "--emulate", "--format", "json").json()
    (cut,) = (a for a in before["advice"] if a["code"] == "truncated")
    assert cut["message"].startswith("1 of 8 answers were cut short")
    assert cut["usd"] == before["totals"]["usd_wasted"]
    served.write("specs/cut.yaml", text.replace("max_tokens: 16", "max_tokens: 256"))
    assert served.batchspec("run", "--emulate").code == 0
    after = served.batchspec("cost", "--emulate", "--format", "json").json()
    assert after["totals"]["usd_wasted"] == before["totals"]["usd_wasted"], "nothing new is wasted"


def test_commands_in_advice_can_be_followed(served: Folder) -> None:
    """Of emulated work, each command that the advice tells to type keeps `--emulate`, whole."""
    served.write("batchspec.yaml", "version: 1\n")
    for size in (0, 7, 14, 21):
        name = f"short{'x' * size}"
        served.write(f"specs/{name}.yaml", spec(name, "claude-sonnet-5-5", 1, filler=name))
    assert served.batchspec("run", "--emulate").code == 0
    told = served.batchspec("cost", "--emulate").out
    commands = re.findall(r"`(batchspec[^`]*)`", told)
    assert len(commands) >= 8
    assert {command.split()[1:3] == ["run", "--emulate"] for command in commands[::2]} == {True}
    assert all("--emulate" in command and "\n" not in command for command in commands)
