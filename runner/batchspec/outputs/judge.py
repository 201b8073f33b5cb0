"""What an answer is worth: its outcome, and its parsed value where it has one besides its text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match
from referencing import Registry

from batchspec.outputs.lines import RawAnswer
from batchspec.outputs.parsing import Unreadable, read_answer, short
from batchspec.plan.model import Outcome
from batchspec.prompt.answer_form import AnswerForm
from batchspec.prompt.canonical import canonical_json
from batchspec.records import frozen

PERMANENT_ERRORS: Final = frozenset(
    {
        "invalid_request_error",
        "authentication_error",
        "billing_error",
        "permission_error",
        "not_found_error",
        "request_too_large",
    }
)
"""Error types that would come again for the same request (fact sheet §1.7); others may pass."""

STOPPED: Final[Mapping[str | None, Outcome]] = {
    "refusal": Outcome.REFUSED,
    "max_tokens": Outcome.TRUNCATED,
    "model_context_window_exceeded": Outcome.TRUNCATED,
    "pause_turn": Outcome.TRUNCATED,
}
"""What an answer is that did not come to its end, by its stop reason (fact sheet §6.7)."""

FORMATS: Final = ("date", "email", "ipv4", "ipv6", "uuid")
"""String formats checked here: those whose check needs no optional package on any machine."""

_MEMORY: Final = 4096
"""Texts whose verdict is remembered: labels come again and again."""
_SHORT: Final = 256
"""Longest text, in characters, worth remembering."""


@frozen
class Judgement:
    """The verdict on one answer."""

    outcome: Outcome
    result: bytes | None = None
    """The parsed answer, canonical JSON; None when it could not be parsed, or is its text."""
    reason: str | None = None
    """Why an answer is invalid, in one sentence."""


_PLAIN: Final = {outcome: Judgement(outcome=outcome) for outcome in Outcome}


class Judge:
    """Judges the answers of one spec.

    Args:
        form: How its answers are read and validated; None: any text will do.
    """

    def __init__(self, form: AnswerForm | None = None) -> None:
        self._form = form or AnswerForm()
        self._validator = None
        if self._form.schema is not None:
            # An empty registry: a reference to another host is never fetched.
            self._validator = Draft202012Validator(
                self._form.schema, registry=Registry(), format_checker=FormatChecker(FORMATS)
            )
        self._seen: dict[str, Judgement] = {}

    @property
    def digest(self) -> str | None:
        """`AnswerForm.digest`: another judge may think otherwise of the same answer."""
        return self._form.digest

    @property
    def takes_any_text(self) -> bool:
        """A complete answer is right whatever it says."""
        return self._form.is_plain

    def outcome(self, answer: RawAnswer) -> Judgement:
        """Return the verdict on an answer; never raises for what the answer says."""
        if answer.kind != "succeeded":
            return _PLAIN[_unanswered(answer)]
        stopped = STOPPED.get(answer.stop_reason)
        if stopped is not None:
            return _PLAIN[stopped]
        return self.complete(answer.text, answer.content)

    def complete(self, text: str, content: Sequence[Mapping[str, Any]] = ()) -> Judgement:
        """Return the verdict on a complete answer, of its text and its blocks."""
        if self._form.is_plain:
            return _PLAIN[Outcome.SUCCEEDED]
        if self._form.parse == "tool":
            return self._judged(text, content)
        known = self._seen.get(text)
        if known is None:
            known = self._judged(text, content)
            if len(text) <= _SHORT and len(self._seen) < _MEMORY:
                self._seen[text] = known
        return known

    def _judged(self, text: str, content: Sequence[Mapping[str, Any]]) -> Judgement:
        try:
            value = read_answer(self._form, text, content)
            result = exact_json(value)
        except Unreadable as error:
            return Judgement(outcome=Outcome.INVALID, reason=str(error))
        except (ValueError, RecursionError):
            reason = "The answer holds a number, a character or a depth that JSON cannot carry."
            return Judgement(outcome=Outcome.INVALID, reason=reason)
        kept = result if self._form.is_json else None
        if self._validator is None:
            return Judgement(outcome=Outcome.SUCCEEDED, result=kept)
        return _checked(value, kept, self._validator)


def _unanswered(answer: RawAnswer) -> Outcome:
    """Return what a line without an answer means.

    Errored, expired and canceled requests are free (fact sheet §1.9). Nothing says so of a result
    type that is not known here, so it is not asked again unless a person says so.
    """
    if answer.kind == "expired":
        return Outcome.EXPIRED
    if answer.kind == "canceled":
        return Outcome.CANCELED
    passing = answer.kind == "errored" and answer.error_type not in PERMANENT_ERRORS
    return Outcome.ERRORED if passing else Outcome.BAD_REQUEST


def _checked(value: object, result: bytes | None, validator: Draft202012Validator) -> Judgement:
    try:
        error = best_match(validator.iter_errors(value))
    except RecursionError:
        reason = "The answer is nested too deeply to be checked against the schema."
        return Judgement(outcome=Outcome.INVALID, result=result, reason=reason)
    if error is None:
        return Judgement(outcome=Outcome.SUCCEEDED, result=result)
    reason = f"The answer does not satisfy the schema at {error.json_path}: {short(error.message)}"
    return Judgement(outcome=Outcome.INVALID, result=result, reason=f"{reason}.")


def exact_json(value: Any) -> bytes:
    """Return canonical JSON that keeps integers exact.

    RFC 8785 has no integers beyond 2^53; an answer may hold one, and it must not be rounded.

    Raises:
        ValueError: The value holds NaN, an infinity, or half of a surrogate pair.
    """
    try:
        return canonical_json(value)
    except ValueError:
        text = json.dumps(
            value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
        )
        return text.encode()
