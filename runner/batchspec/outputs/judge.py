"""What an answer is worth: its outcome, and its parsed JSON where a schema asks for JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match
from referencing import Registry

from batchspec.outputs.lines import RawAnswer
from batchspec.plan.model import Outcome
from batchspec.prompt.canonical import canonical_json

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

TRUNCATIONS: Final = frozenset({"max_tokens", "model_context_window_exceeded", "pause_turn"})
"""Stop reasons of an answer that is not finished (fact sheet §6.7)."""

FORMATS: Final = ("date", "email", "ipv4", "ipv6", "uuid")
"""String formats checked here: those whose check needs no optional package on any machine."""

_MEMORY: Final = 4096
"""Texts whose verdict is remembered: labels come again and again."""
_SHORT: Final = 256
"""Longest text, in characters, worth remembering."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict on one answer."""

    outcome: Outcome
    result: bytes | None = None
    """The answer's JSON, canonical, when a schema asks for JSON and the text is JSON."""
    reason: str | None = None
    """Why an answer is invalid, in one sentence."""


_PLAIN: Final = {outcome: Judgement(outcome=outcome) for outcome in Outcome}


class Judge:
    """Judges the answers of one spec.

    Args:
        schema: The JSON Schema (draft 2020-12) of ``response.schema``; None: any text will do.
    """

    def __init__(self, schema: dict[str, Any] | None) -> None:
        self._validator = None
        if schema is not None:
            # An empty registry: a reference to another host is never fetched.
            self._validator = Draft202012Validator(
                schema, registry=Registry(), format_checker=FormatChecker(FORMATS)
            )
        self._seen: dict[str, Judgement] = {}

    @property
    def wants_json(self) -> bool:
        """Whether an answer must be JSON."""
        return self._validator is not None

    def outcome(self, answer: RawAnswer) -> Judgement:
        """Return the verdict on an answer; never raises for what the answer says."""
        if answer.kind != "succeeded":
            return _PLAIN[_unanswered(answer)]
        if answer.stop_reason == "refusal":
            return _PLAIN[Outcome.REFUSED]
        if answer.stop_reason in TRUNCATIONS:
            return _PLAIN[Outcome.TRUNCATED]
        return self.text(answer.text)

    def text(self, text: str) -> Judgement:
        """Return the verdict on the text of a complete answer."""
        if self._validator is None:
            return _PLAIN[Outcome.SUCCEEDED]
        known = self._seen.get(text)
        if known is None:
            known = _validated(text, self._validator)
            if len(text) <= _SHORT and len(self._seen) < _MEMORY:
                self._seen[text] = known
        return known


def _unanswered(answer: RawAnswer) -> Outcome:
    if answer.kind == "expired":
        return Outcome.EXPIRED
    if answer.kind == "canceled":
        return Outcome.CANCELED
    permanent = answer.kind == "errored" and answer.error_type in PERMANENT_ERRORS
    return Outcome.BAD_REQUEST if permanent else Outcome.ERRORED


def _validated(text: str, validator: Draft202012Validator) -> Judgement:
    try:
        value = _DECODER.decode(text)
        result = exact_json(value)
    except _Unusable as error:
        return Judgement(outcome=Outcome.INVALID, reason=str(error))
    except json.JSONDecodeError as error:
        reason = f"The answer is not JSON: {error.msg} at character {error.pos + 1}."
        return Judgement(outcome=Outcome.INVALID, reason=reason)
    except (ValueError, RecursionError):
        reason = "The answer holds a number, a character or a depth that JSON cannot carry."
        return Judgement(outcome=Outcome.INVALID, reason=reason)
    return _checked(value, result, validator)


def _checked(value: object, result: bytes, validator: Draft202012Validator) -> Judgement:
    try:
        error = best_match(validator.iter_errors(value))
    except RecursionError:
        reason = "The answer is nested too deeply to be checked against the schema."
        return Judgement(outcome=Outcome.INVALID, result=result, reason=reason)
    if error is None:
        return Judgement(outcome=Outcome.SUCCEEDED, result=result)
    reason = f"The answer does not satisfy the schema at {error.json_path}: {_short(error.message)}"
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


class _Unusable(Exception):  # noqa: N818 - never leaves this module
    """JSON by the letter that has no one meaning."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Unusable(f"The answer names the key {_short(repr(twice))} twice in one object.")
    return record


def _no_constant(name: str) -> object:
    raise _Unusable(f"The answer holds {name}, which is not JSON.")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def _short(message: str, most: int = 300) -> str:
    return message if len(message) <= most else f"{message[:most]}…"
