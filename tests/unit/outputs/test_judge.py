"""What an answer is worth."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchspec.outputs.rows import Judge, RawAnswer
from batchspec.plan.model import Outcome
from batchspec.prompt.answer_form import AnswerForm

LABEL: dict[str, Any] = {
    "type": "object",
    "properties": {"label": {"enum": ["high", "low"]}, "n": {"type": "integer"}},
    "required": ["label"],
    "additionalProperties": False,
}


def json_form(schema: dict[str, Any]) -> AnswerForm:
    """Return the form of answers that are JSON of a schema."""
    return AnswerForm(parse="json", schema=schema)


def said(text: str, stop_reason: str | None = "end_turn") -> RawAnswer:
    """Return a complete answer."""
    return RawAnswer(custom_id="c", kind="succeeded", text=text, stop_reason=stop_reason)


@pytest.mark.parametrize(
    ("kind", "error_type", "outcome"),
    [
        ("errored", "overloaded_error", Outcome.ERRORED),
        ("errored", "api_error", Outcome.ERRORED),
        ("errored", "rate_limit_error", Outcome.ERRORED),
        ("errored", "timeout_error", Outcome.ERRORED),
        ("errored", "synthetic_future_error", Outcome.ERRORED),
        ("errored", "invalid_request_error", Outcome.BAD_REQUEST),
        ("errored", "authentication_error", Outcome.BAD_REQUEST),
        ("errored", "billing_error", Outcome.BAD_REQUEST),
        ("errored", "permission_error", Outcome.BAD_REQUEST),
        ("errored", "not_found_error", Outcome.BAD_REQUEST),
        ("errored", "request_too_large", Outcome.BAD_REQUEST),
        ("expired", None, Outcome.EXPIRED),
        ("canceled", None, Outcome.CANCELED),
        ("postponed", "unknown_result_type", Outcome.BAD_REQUEST),
        ("postponed", "invalid_request_error", Outcome.BAD_REQUEST),
    ],
)
def test_unanswered(kind: str, error_type: str | None, outcome: Outcome) -> None:
    """Errors that would come again are told from those that may pass."""
    answer = RawAnswer(custom_id="c", kind=kind, error_type=error_type)
    assert Judge(json_form(LABEL)).outcome(answer).outcome is outcome


@pytest.mark.parametrize(
    ("stop_reason", "outcome"),
    [
        ("end_turn", Outcome.SUCCEEDED),
        ("stop_sequence", Outcome.SUCCEEDED),
        ("tool_use", Outcome.SUCCEEDED),
        (None, Outcome.SUCCEEDED),
        ("refusal", Outcome.REFUSED),
        ("max_tokens", Outcome.TRUNCATED),
        ("model_context_window_exceeded", Outcome.TRUNCATED),
        ("pause_turn", Outcome.TRUNCATED),
    ],
)
def test_stop_reason_decides_first(stop_reason: str | None, outcome: Outcome) -> None:
    """A refused or cut answer is not judged by its text, valid or not."""
    assert Judge().outcome(said("x", stop_reason)).outcome is outcome
    assert Judge(json_form(LABEL)).outcome(said('{"label":"low"}', stop_reason)).outcome is outcome


def test_valid_answer_is_canonical() -> None:
    """The result is canonical JSON: sorted keys, no spaces, the shortest numbers."""
    found = Judge(json_form(LABEL)).outcome(said(' {"n": 1.0, "label": "high"}\n'))
    assert (found.outcome, found.result) == (Outcome.SUCCEEDED, b'{"label":"high","n":1}')


@pytest.mark.parametrize(
    ("text", "result", "reason"),
    [
        ("", None, "not JSON"),
        ("high", None, "not JSON"),
        ('```json\n{"label":"high"}\n```', None, "not JSON"),
        ('{"label":"high"} yes', None, "not JSON"),
        ('{"label":NaN}', None, "holds NaN"),
        ('{"label":-Infinity}', None, "holds -Infinity"),
        ('{"n":1e999,"label":"high"}', None, "cannot carry"),
        ('{"label":"high","label":"low"}', None, "key 'label' twice"),
        ('{"label":"\\ud800"}', None, "cannot carry"),
        ('{"n":' + "9" * 5000 + "}", None, "cannot carry"),
        ("[" * 100_000, None, "cannot carry"),
        ('{"label":"urgent"}', b'{"label":"urgent"}', "at $.label: 'urgent' is not one of"),
        ('{"label":"low","x":1}', b'{"label":"low","x":1}', "Additional properties"),
        ("{}", b"{}", "'label' is a required property"),
        ("null", b"null", "None is not of type 'object'"),
    ],
)
def test_invalid_answers(text: str, result: bytes | None, reason: str) -> None:
    """An answer that breaks the schema keeps its JSON, if it is JSON, and says why."""
    found = Judge(json_form(LABEL)).outcome(said(text))
    assert (found.outcome, found.result) == (Outcome.INVALID, result)
    assert reason in (found.reason or "")


def test_large_integers_stay_exact() -> None:
    """RFC 8785 has no integers beyond 2^53; an identifier in an answer is not rounded."""
    found = Judge(json_form({"type": "array"})).outcome(said("[12345678901234567890, 0.5]"))
    assert found.result == b"[12345678901234567890,0.5]"


def test_reason_of_a_huge_answer_is_short() -> None:
    """A hostile answer cannot make the reason as long as itself."""
    found = Judge(json_form({"type": "object"})).outcome(said(json.dumps(["x" * 100_000])))
    assert len(found.reason or "") < 500


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("date", "2026-11-23", "soon"),
        ("uuid", "00000000-0000-0000-0000-000000000001", "1"),
        ("ipv4", "127.0.0.1", "300.1.1.1"),
    ],
)
def test_formats_are_checked(form: str, good: str, bad: str) -> None:
    """String formats that every machine can check alike are checked."""
    judge = Judge(json_form({"type": "string", "format": form}))
    assert judge.outcome(said(json.dumps(good))).outcome is Outcome.SUCCEEDED
    assert judge.outcome(said(json.dumps(bad))).outcome is Outcome.INVALID


def test_repeated_texts_keep_their_verdict() -> None:
    """Remembering verdicts changes none of them, also once the memory is full."""
    judge = Judge(json_form({"type": "integer"}))
    texts = [str(n) if n % 2 else f"{n}.5" for n in range(5000)]
    first = [judge.outcome(said(text)) for text in texts]
    again = [judge.outcome(said(text)) for text in texts]
    assert first == again
    assert [f.outcome for f in first[:2]] == [Outcome.INVALID, Outcome.SUCCEEDED]


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # Lone surrogates have a case of their own above.
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=8,
)


@given(VALUES)
def test_any_json_value_round_trips(value: object) -> None:
    """The canonical result means the same value, and is the same for every spelling of it."""
    judge = Judge(json_form({}))
    result = judge.outcome(said(json.dumps(value))).result
    spaced = judge.outcome(said(json.dumps(value, indent=2, ensure_ascii=False))).result
    assert result is not None
    assert result == spaced
    # A large float's shortest digits are an integer's: as numbers of JSON they are the same.
    assert json.loads(result, parse_int=float) == json.loads(json.dumps(value), parse_int=float)
