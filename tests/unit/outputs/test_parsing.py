"""How an answer is read: as JSON, as text, by a pattern, or as the input of a tool's call."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batchspec.outputs.rows import Judge, Judgement, RawAnswer
from batchspec.plan.model import Outcome
from batchspec.prompt.answer_form import AnswerForm

SCORE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "label": {"enum": ["low", "high"]},
        "score": {"type": "integer", "maximum": 10},
        "share": {"type": ["number", "null"]},
        "sure": {"type": "boolean"},
    },
    "required": ["label"],
}


def judged(form: AnswerForm, text: str = "", *blocks: dict[str, Any]) -> Judgement:
    """Return the verdict on a complete answer."""
    answer = RawAnswer(custom_id="c", kind="succeeded", text=text, content=blocks)
    return Judge(form).outcome(answer)


def call(name: str, value: Any) -> dict[str, Any]:
    """Return the block of a tool's call."""
    return {"type": "tool_use", "id": "toolu_1", "name": name, "input": value}


@pytest.mark.parametrize(
    ("pattern", "text", "result"),
    [
        (r"label: (?P<label>\w+)", "The label: high.", {"label": "high"}),
        (r"label: (\w+)", "The label: high.", "high"),
        (r"low|high", "Rather high than low.", "high"),
        (r"(?P<a>x)(?P<b>y)?", "x", {"a": "x", "b": None}),
        (r"(?i)(?s)begin(.*)end", "Begin\nof the END", "\nof the "),
        (r"(a)(b)", "ab", "ab"),
    ],
)
def test_a_pattern_gives_groups_or_text(pattern: str, text: str, result: Any) -> None:
    """Named groups are an object, one unnamed group its text, anything else the whole match."""
    found = judged(AnswerForm(parse="regex", pattern=pattern), text)
    assert found.outcome is Outcome.SUCCEEDED
    assert json.loads(found.result or b"") == result


def test_groups_take_the_types_of_the_schema() -> None:
    """A score is a number that can be summed, not a text."""
    pattern = r"(?P<label>\w+) (?P<score>\S+) (?P<share>\S+)(?P<sure> \w+)?"
    form = AnswerForm(parse="regex", pattern=pattern, schema=SCORE)
    found = judged(form, "high 7 0.25 TRUE")
    assert found.outcome is Outcome.SUCCEEDED
    assert found.result == b'{"label":"high","score":7,"share":0.25,"sure":true}'
    assert judged(
        AnswerForm(parse="regex", pattern=r"\d+", schema={"type": "integer"}), "n 12"
    ) == (Judgement(outcome=Outcome.SUCCEEDED, result=b"12"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("none of it", "The pattern is not found in the answer."),
        ("high 70", "at $.score: 70 is greater than the maximum of 10"),
        ("high seven", "at $.score: 'seven' is not of type 'integer'"),
        ("high 1e999", "at $.score: '1e999' is not of type 'integer'"),
        ("middling 7", "at $.label: 'middling' is not one of ['low', 'high']"),
    ],
)
def test_what_a_pattern_found_is_validated(text: str, reason: str) -> None:
    """A text that is no number stays one, and the schema says so."""
    form = AnswerForm(parse="regex", pattern=r"(?P<label>\w+) (?P<score>\w+)$", schema=SCORE)
    if text == "none of it":
        form = AnswerForm(parse="regex", pattern=r"label", schema=SCORE)
    found = judged(form, text)
    assert found.outcome is Outcome.INVALID
    assert reason in (found.reason or "")


def test_infinities_stay_text() -> None:
    """JSON has no infinity, so a number that is one does not become one."""
    form = AnswerForm(parse="regex", pattern=".*", schema={"type": "number"})
    assert judged(form, "inf").outcome is Outcome.INVALID
    assert judged(form, "nan").outcome is Outcome.INVALID
    assert judged(form, "-2.5e3").result == b"-2500"


def test_a_hostile_answer_cannot_slow_a_pattern_down() -> None:
    """RE2 takes linear time; a backtracking engine would take years for this."""
    form = AnswerForm(parse="regex", pattern=r"(a*)*b")
    assert judged(form, "a" * 50_000).outcome is Outcome.INVALID


def test_the_input_of_a_call_is_the_answer() -> None:
    """Text and thinking around it do not matter."""
    form = AnswerForm(parse="tool", tool="record", schema=SCORE)
    blocks = ({"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "So:"})
    found = judged(form, "So:", *blocks, call("record", {"score": 3, "label": "low"}))
    assert found == Judgement(outcome=Outcome.SUCCEEDED, result=b'{"label":"low","score":3}')


@pytest.mark.parametrize(
    ("blocks", "reason"),
    [
        ((), "The answer does not call the tool record."),
        ((call("search", {}),), "The answer does not call the tool record; it calls search."),
        (
            (call("record", {"label": "low"}), call("record", {"label": "high"})),
            "The answer calls the tool record 2 times, and only one call counts.",
        ),
        ((call("record", {"label": "?"}),), "at $.label: '?' is not one of ['low', 'high']"),
        ((call("record", "text"),), "at $: 'text' is not of type 'object'"),
    ],
)
def test_calls_that_are_no_answer(blocks: tuple[dict[str, Any], ...], reason: str) -> None:
    """Which call counts is never guessed."""
    found = judged(AnswerForm(parse="tool", tool="record", schema=SCORE), "", *blocks)
    assert found.outcome is Outcome.INVALID
    assert reason in (found.reason or "")


def test_text_can_be_validated_too() -> None:
    """Its result stays the text."""
    form = AnswerForm(parse="text", schema={"enum": ["low", "high"]})
    assert judged(form, "low") == Judgement(outcome=Outcome.SUCCEEDED)
    assert judged(form, "Low.").outcome is Outcome.INVALID


@pytest.mark.parametrize(
    "text", ['{"label":"low"}', '```json\n{"label":"low"}\n```', ' ```\n{"label": "low"}```\n']
)
def test_json_that_was_not_sent_a_schema_may_stand_in_a_fence(text: str) -> None:
    """Models write it so when only the prompt asks for JSON."""
    form = AnswerForm(parse="json", schema=SCORE, fenced=True)
    assert judged(form, text).result == b'{"label":"low"}'


def test_a_fence_is_no_json_where_a_schema_was_sent() -> None:
    """Structured outputs never write one."""
    form = AnswerForm(parse="json", schema=SCORE)
    assert judged(form, "```json\n{}\n```").outcome is Outcome.INVALID


def test_each_form_has_its_own_digest() -> None:
    """Verdicts are kept under it; a plain form has none."""
    forms = [
        AnswerForm(parse="json"),
        AnswerForm(parse="json", fenced=True),
        AnswerForm(parse="json", schema=SCORE),
        AnswerForm(parse="text", schema=SCORE),
        AnswerForm(parse="tool", tool="a"),
        AnswerForm(parse="tool", tool="b"),
        AnswerForm(parse="regex", pattern="a"),
        AnswerForm(parse="regex", pattern="b"),
    ]
    assert len({form.digest for form in forms}) == len(forms)
    assert AnswerForm().digest is None
