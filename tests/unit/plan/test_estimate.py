from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_CEILING, Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchspec.plan.calibration import Calibration, FileUse, Told, by_count
from batchspec.plan.cost import ModelPrices, Rates, Usage, money, usage_cost
from batchspec.plan.estimate import COLD_BATCH_NOTE, estimate, estimate_chars, unbounded_note
from batchspec.plan.filesizes import (
    all_measured,
    expected_files,
    expected_weights,
    highest_files,
    highest_weights,
)
from batchspec.plan.sizes import Job, Sizes

HAIKU = ModelPrices(
    rates=Rates(
        input=Decimal(1),
        output=Decimal(5),
        cache_write_5m=Decimal("1.25"),
        cache_write_1h=Decimal(2),
        cache_read=Decimal("0.1"),
    )
)
JOB = Job(max_tokens=64, tokenizer="old", prices=HAIKU)


def test_plain_estimate_is_exact_arithmetic() -> None:
    """Characters become tokens by the tokenizer's ratio and tokens become batch prices."""
    found = estimate(Sizes(requests=10, chars=3500), JOB)
    assert found.input_tokens == 1080
    assert found.output_tokens == 320
    assert found.usd == Decimal("0.00134")
    assert found.usd_without_batch == Decimal("0.00268")
    assert found.usd_max == (Decimal(1350) + 5 * 640) / 2_000_000
    assert found.usd_min == (Decimal(810) + 5 * 10) / 2_000_000
    assert found.notes == ()


def test_the_new_tokenizer_makes_more_tokens() -> None:
    """The same text costs more tokens since Opus 4.7."""
    sizes = Sizes(requests=1, chars=3500)
    new = estimate(sizes, replace(JOB, tokenizer="new"))
    assert new.input_tokens == 1408
    assert estimate(sizes, JOB).input_tokens == 1008


def test_past_answers_correct_the_guess() -> None:
    """Calibration scales the input, sets the output and narrows the range."""
    known = Calibration(input_ratio=Decimal("1.5"), output_tokens=Decimal(12), answers=50)
    found = estimate(Sizes(requests=10, chars=3500), JOB, known)
    assert found.input_tokens == 1580
    assert found.output_tokens == 120
    assert found.usd_max == (1580 * Decimal("1.1") + 5 * 640) / 2_000_000


def test_the_ceiling_follows_the_worst_request_seen() -> None:
    """Few answers leave the range wide, and a request above the average lifts the highest price."""
    sizes = Sizes(requests=10, chars=3500)
    few = estimate(sizes, JOB, Calibration(output_tokens=Decimal(12), answers=3))
    assert few.usd_max == (1080 * Decimal("1.25") + 5 * 640) / 2_000_000
    worst = Calibration(input_most=Decimal(2), output_tokens=Decimal(12), answers=50)
    assert estimate(sizes, JOB, worst).usd_max == Decimal(1080 * 2 + 5 * 640) / 2_000_000


def test_the_estimate_says_what_it_stands_on() -> None:
    """Answers and counted requests are named, with what they showed."""
    known = Calibration(
        input_ratio=Decimal("1.120"),
        output_tokens=Decimal("13.25"),
        output_percentile=14,
        hit_rate=Decimal("0.87"),
        answers=1000,
    )
    job = replace(JOB, prefix_chars=20_000, cache_ttl="1h")
    sizes = Sizes(requests=10, chars=350_000)
    found = estimate(sizes, job, known)
    calibrated, hits, *_ = found.notes
    assert calibrated == (
        "Calibrated by 1,000 answers of this spec: 1.12 times the input tokens that characters "
        "suggest, 13.25 output tokens on average, 95 % of them at most 14."
    )
    assert hits.startswith("The estimate expects 87% cache hits, as past answers had")
    assert (found.answers, found.counted) == (1000, 0)
    counted, answered = estimate(sizes, JOB, replace(known, counted=1)).notes
    assert counted == (
        "The API counted the input tokens of 1 request: 1.12 times what their characters suggest."
    )
    assert "times" not in answered


def test_unknown_price_is_said_and_nothing_is_guessed() -> None:
    """Tokens are still counted, money is not."""
    found = estimate(Sizes(requests=1, chars=350), replace(JOB, prices=None))
    assert found.input_tokens == 108
    assert (found.usd, found.usd_min, found.usd_max, found.usd_without_batch) == (None,) * 4
    assert found.notes == ("The price of this model is unknown.",)


def test_requests_over_the_step_are_priced_by_it() -> None:
    """A long prompt moves a whole request to the dearer rates."""
    stepped = replace(
        HAIKU, step_tokens=100_000, above=replace(HAIKU.rates, input=Decimal(5), output=Decimal(25))
    )
    job = replace(JOB, prices=stepped)
    assert expected_weights(job, Calibration()).step_chars == int((100_000 - 8) * 3.5)
    assert highest_weights(job, Calibration()).step_chars == int((80_000 - 8) * 3.5)
    assert expected_weights(JOB, Calibration()).step_chars is None
    short = estimate(Sizes(requests=2, chars=700_000), job)
    mixed = estimate(Sizes(requests=2, chars=700_000, over_requests=1, over_chars=690_000), job)
    assert short.input_tokens == mixed.input_tokens
    assert short.usd is not None
    assert mixed.usd is not None
    assert mixed.usd > 4 * short.usd


def test_a_cached_prefix_is_priced_pessimistically_and_said() -> None:
    """The expectation uses 30 % hits, the highest price all writes, and a primer is offered."""
    sizes = Sizes(requests=100, chars=100 * 35_000)
    job = replace(JOB, prefix_chars=31_500, cache_ttl="1h")
    found = estimate(sizes, job)
    per = Decimal(9000) * (Decimal("0.3") * Decimal("0.1") + Decimal("0.7") * 2)
    expected = (100 * per + 100 * 1008 + 5 * 3200) / 2_000_000
    assert found.usd == expected
    assert found.usd_max is not None
    assert found.usd_max > Decimal(100 * 9000 * 2) / 2_000_000
    assert found.notes[0] == COLD_BATCH_NOTE
    assert "primer" in found.notes[1]
    assert estimate(replace(sizes, requests=1, chars=35_000), job).notes == ()


@given(
    st.integers(0, 5000),
    st.integers(0, 10**7),
    st.sampled_from([None, "5m", "1h"]),
    st.integers(0, 10**5),
)
def test_at_least_expected_and_at_most_are_in_order(
    requests: int, chars: int, ttl: str | None, prefix: int
) -> None:
    """The three prices never cross, whatever the sizes."""
    job = Job(
        max_tokens=100,
        tokenizer="new",
        prices=HAIKU,
        prefix_chars=prefix,
        cache_ttl="1h" if ttl == "1h" else "5m" if ttl else None,
    )
    found = estimate(Sizes(requests=requests, chars=chars if requests else 0), job)
    assert found.usd_min is not None
    assert found.usd is not None
    assert found.usd_max is not None
    assert 0 <= found.usd_min <= found.usd <= found.usd_max


@pytest.mark.parametrize(("text", "low", "high"), [("a" * 350, 300, 400), ("漢" * 100, 250, 350)])
def test_estimate_chars_follows_the_text(text: str, low: int, high: int) -> None:
    """Scaffolding counts little and a CJK character counts as a token or so."""
    params = {
        "max_tokens": 64,
        "messages": [{"content": text, "role": "user"}],
        "model": "claude-haiku-4-5",
    }
    assert low <= estimate_chars(orjson.dumps(params)) <= high


def test_a_schema_or_half_the_limit_stands_in_for_unknown_output() -> None:
    """Without past answers the schema, else half of max_tokens, says how long an answer is."""
    schema = {"type": "object", "properties": {"label": {"enum": ["a", "b"]}}}
    assert estimate(Sizes(requests=1, chars=10), replace(JOB, schema=schema)).output_tokens < 20
    assert estimate(Sizes(requests=1, chars=10), JOB).output_tokens == 32


def test_nothing_to_submit_is_free_whatever_the_price() -> None:
    """A plan without requests is not refused for an unknown price."""
    found = estimate(Sizes(), replace(JOB, prices=None))
    assert found.usd == found.usd_max == Decimal(0)
    assert found.notes == ()


def test_counted_tokens_win_over_past_answers() -> None:
    """The ratio is the API's, outputs stay those of the answers."""
    past = Calibration(input_ratio=Decimal(2), output_tokens=Decimal(7), answers=40)
    found = by_count(past, [Told(350, 108), Told(350, 158), Told(35, 1)], "old")
    assert found == Calibration(
        input_ratio=Decimal("1.195"),
        input_most=Decimal("1.500"),
        output_tokens=Decimal(7),
        answers=40,
        counted=3,
    )


def test_tools_add_to_a_guess_and_not_to_what_was_counted() -> None:
    """The API puts a text of its own before a prompt with tools; past answers include it."""
    sizes = Sizes(requests=10, chars=3500)
    tools = replace(JOB, tool_tokens=496)
    assert estimate(sizes, tools).input_tokens == 1080 + 4960
    assert estimate(sizes, tools).usd_min == estimate(sizes, JOB).usd_min
    known = Calibration(input_ratio=Decimal("1.5"), answers=50)
    assert estimate(sizes, tools, known) == estimate(sizes, JOB, known)


@pytest.mark.parametrize("answers", [0, 100])
def test_a_prefix_that_is_in_the_cache_already_costs_no_less_than_at_least(answers: int) -> None:
    """An earlier run may have written it: then not even the first request does."""
    job = replace(JOB, prefix_chars=31_500, cache_ttl="1h", primer=True)
    known = Calibration(
        answers=answers,
        input_ratio=Decimal(1),
        output_tokens=Decimal(1) if answers else None,
        hit_rate=Decimal("0.97") if answers else None,
    )
    found = estimate(Sizes(requests=32, chars=32 * 35_000), job, known)
    warm = usage_cost(Usage(input_tokens=1000, cache_read=9000, output_tokens=1), HAIKU)
    assert found.usd_min is not None
    assert warm is not None
    assert found.usd_min <= 32 * warm


PRIMED = replace(JOB, prefix_chars=31_500, cache_ttl="1h", primer=True)


def test_a_primer_is_priced_with_and_without() -> None:
    """It is expected where it saves enough; the highest price stays as it is."""
    sizes = Sizes(requests=100, chars=100 * 35_000)
    found, cold = estimate(sizes, PRIMED), estimate(sizes, replace(PRIMED, primer=False))
    assert found.primer
    assert not cold.primer
    per = Decimal(9000) * (Decimal("0.9") * Decimal("0.1") + Decimal("0.1") * 2)
    assert found.usd == (100 * per + 100 * 1008 + 5 * 3200) / 2_000_000
    assert found.usd_max == cold.usd_max
    assert f"${money(found.usd)} is expected with it" in found.notes[0]
    assert f"${money(cold.usd)} without" in found.notes[0]


@pytest.mark.parametrize(
    ("job", "sizes"),
    [
        (PRIMED, Sizes(requests=1, chars=35_000)),
        (PRIMED, Sizes(requests=3, chars=105_000)),
        (replace(PRIMED, cache_ttl="5m"), Sizes(requests=100, chars=3_500_000)),
        (replace(PRIMED, prefix_chars=100), Sizes(requests=100, chars=3_500_000)),
        (replace(PRIMED, prices=None), Sizes(requests=100, chars=3_500_000)),
    ],
)
def test_no_primer_where_it_does_not_pay(job: Job, sizes: Sizes) -> None:
    """Neither for one request, nor for a cent, nor where the prefix is gone before it is read."""
    assert not estimate(sizes, job).primer


URLS = replace(JOB, context=200_000)


@pytest.mark.parametrize(
    ("job", "image", "document"),
    [
        (URLS, 81_796, 200_000),
        (replace(JOB, context=1_000_000), 81_796, 1_000_000),
        (replace(JOB, context=50_000), 50_000, 50_000),
        (JOB, 81_796, 1_000_000),
    ],
)
def test_files_of_unknown_size_are_taken_for_what_the_facts_allow(
    job: Job, image: int, document: int
) -> None:
    """A picture as large as the API takes it, a document as long as the window."""
    assert [file.tokens for file in highest_files(job, Calibration())] == [image, document]
    weights = highest_weights(job, Calibration())
    per_token = Decimal("3.5") / Decimal("1.25")
    assert weights.image == int((image * per_token).to_integral_value(ROUND_CEILING))
    assert weights.window is not None
    assert abs(weights.window - (job.context or 1_000_000) * per_token) < 50


def test_measured_files_win_over_facts_and_assumptions() -> None:
    """The mean is expected from the first one on; the highest price waits for thirty."""
    job = replace(URLS, image_tokens=999, document_tokens=10**9)
    few = Calibration(images=FileUse(mean=Decimal(1500), most=1900, requests=29), answers=29)
    assert [file.tokens for file in expected_files(job, Calibration())] == [999, 200_000]
    assert expected_files(job, few)[0].tokens == 1500
    assert highest_files(job, few)[0].tokens == 81_796
    many = Calibration(images=FileUse(mean=Decimal(1500), most=1900, requests=30), answers=30)
    assert highest_files(job, many)[0].tokens == 2090
    assert all_measured(Sizes(unsized=1, images=1), many)
    assert not all_measured(Sizes(unsized=1, images=1, documents=1), many)


def test_the_highest_price_takes_files_over_the_step_and_into_the_cache() -> None:
    """A request that may pass the step is paid by the dearer rates, a marked one as written."""
    above = replace(HAIKU.rates, input=Decimal(5), output=Decimal(25), cache_write_1h=Decimal(10))
    job = replace(URLS, prices=replace(HAIKU, step_tokens=100_000, above=above))
    plain = Sizes(requests=2, chars=700, unsized=1, images=2, file_chars=0)
    over = replace(plain, over_requests=1, over_chars=350, file_chars=280_000)
    highest = replace(over, over_file_chars=280_000)
    found = estimate(plain, job, None, highest)
    tokens = 108 * Decimal("1.25")
    expected = tokens * 6 + 280_000 / Decimal("2.8") * 5 + 64 * 30
    assert found.usd_max == expected / 2_000_000
    assert found.usd == estimate(plain, job).usd
    dear = estimate(plain, replace(job, dearest_ttl="1h"), None, highest)
    assert dear.usd_max == found.usd_max + 280_000 / Decimal("2.8") * 5 / 2_000_000


def test_requests_that_show_both_kinds_tell_of_both_alike() -> None:
    """Unless one kind was met alone: then the rest is the other kind's."""
    both = [Told(350, 108 + 3000, 1, 1), Told(350, 108 + 5000, 1, 1)]
    pooled = by_count(Calibration(), both, "old")
    assert pooled.images == pooled.documents
    assert pooled.images == FileUse(mean=Decimal(2000), most=2500, requests=2)
    alone = by_count(Calibration(), [*both, Told(350, 108 + 1000, 1)], "old")
    assert alone.images == FileUse(mean=Decimal(1000), most=1000, requests=1)
    assert alone.documents == FileUse(mean=Decimal(3000), most=4000, requests=2)
    other = by_count(Calibration(), [*both, Told(350, 108 + 1000, 0, 1)], "old")
    assert other.images == FileUse(mean=Decimal(3000), most=4000, requests=2)
    assert "times" not in " ".join(pooled.notes())


SEARCHING = replace(JOB, server_tools=("web_search",), searches_web=True)


@pytest.mark.parametrize(
    ("job", "known", "expected", "most"),
    [
        (replace(SEARCHING, most_searches=3), Calibration(), "0", "0.30"),
        (SEARCHING, Calibration(), "0", "0"),
        (SEARCHING, Calibration(searches=Decimal("1.5"), most_searches=4), "0.15", "0.40"),
        (JOB, Calibration(searches=Decimal("1.5"), most_searches=4), "0", "0"),
    ],
)
def test_web_searches_are_priced(job: Job, known: Calibration, expected: str, most: str) -> None:
    """A cent each, with no batch discount: as many as answers made, and at most as allowed."""
    sizes = Sizes(requests=10, chars=3500)
    found, plain = estimate(sizes, job, known), estimate(sizes, JOB)
    assert found.usd is not None
    assert found.usd_max is not None
    assert found.usd_without_batch is not None
    assert plain.usd is not None
    assert plain.usd_max is not None
    assert found.usd - plain.usd == Decimal(expected)
    assert found.usd_max - plain.usd_max == Decimal(most)
    assert found.usd_without_batch == 2 * plain.usd + Decimal(expected)


def test_what_server_tools_read_is_told_until_it_was_measured() -> None:
    """No fact bounds it, so the highest price says what it leaves out."""
    assert unbounded_note(JOB, Calibration()) == ""
    assert "web searches, too" in unbounded_note(SEARCHING, Calibration())
    limited = unbounded_note(replace(SEARCHING, most_searches=3), Calibration())
    assert limited.endswith("It counts 3 web searches a request.")
    fetching = replace(JOB, server_tools=("web_fetch", "code_execution"))
    assert "read (web_fetch, code_execution) becomes" in unbounded_note(fetching, Calibration())
    assert unbounded_note(SEARCHING, Calibration(answers=30)) == ""


def test_a_marked_prefix_that_may_be_long_enough_is_paid_as_written_at_most() -> None:
    """The guess says too short, and a quarter more is not: the highest price takes the write."""
    sizes = Sizes(requests=10, chars=10 * 14_000)
    short = replace(JOB, min_cache_tokens=4096, short_prefix=(13_000, "1h"), dearest_ttl="1h")
    plain, found = estimate(sizes, JOB), estimate(sizes, short)
    assert found.usd == plain.usd
    assert found.usd_max is not None
    assert plain.usd_max is not None
    extra = 10 * 13_000 / Decimal("3.5") * Decimal("1.25") / 2_000_000
    assert abs(found.usd_max - plain.usd_max - extra) < Decimal("1e-12")
    shorter = replace(short, short_prefix=(11_000, "1h"))
    assert estimate(sizes, shorter).usd_max == plain.usd_max


def test_a_group_that_may_be_long_enough_is_paid_as_written_at_most() -> None:
    """The same behind values of the item."""
    job = replace(JOB, group_ttl="1h", group_name="block 1", min_cache_tokens=1000)
    sizes = Sizes(requests=10, chars=10 * 14_000, groups=2, marked_chars=10 * 3_000)
    plain, found = estimate(sizes, replace(job, group_ttl=None)), estimate(sizes, job)
    assert found.usd == plain.usd
    assert found.usd_max is not None
    assert plain.usd_max is not None
    extra = 10 * 3_000 / Decimal("3.5") * Decimal("1.25") / 2_000_000
    assert abs(found.usd_max - plain.usd_max - extra) < Decimal("1e-12")
