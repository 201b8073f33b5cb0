"""From the blocks of an answer to the value it stands for, by the form that a spec gives it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from batchspec.prompt.answer_form import AnswerForm
from batchspec.spec.patterns import Match, compiled

_FENCE: Final = re.compile(r"\s*```[A-Za-z]*[ \t]*\r?\n(.*?)\r?\n?```\s*", re.DOTALL)
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,4000}")
_WORDS: Final = {"true": True, "false": False}


class Unreadable(Exception):  # noqa: N818 - it names what an answer is
    """An answer that has not the form it must have; the message is one sentence."""


def read_answer(form: AnswerForm, text: str, content: Sequence[Mapping[str, Any]]) -> Any:
    """Return the value of an answer.

    Args:
        form: How it is read.
        text: Its text blocks, joined.
        content: All of its blocks; only ``tool`` looks at them.

    Raises:
        Unreadable: It has another form.
        ValueError, RecursionError: JSON that cannot be carried.
    """
    if form.parse == "json":
        return _json(_unfenced(text) if form.fenced else text)
    if form.parse == "regex":
        return _found(form, text)
    return _called(form, content) if form.parse == "tool" else text


def _json(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        reason = f"The answer is not JSON: {error.msg} at character {error.pos + 1}."
        raise Unreadable(reason) from None


def _unfenced(text: str) -> str:
    fence = _FENCE.fullmatch(text)
    return text if fence is None else fence[1]


def _found(form: AnswerForm, text: str) -> Any:
    match = compiled(form.pattern or "").search(text)
    if match is None:
        raise Unreadable("The pattern is not found in the answer.")
    names = match.groupdict()
    if names:
        properties = (form.schema or {}).get("properties")
        parts = properties if isinstance(properties, dict) else {}
        return {name: _typed(value, parts.get(name)) for name, value in names.items()}
    return _typed(_only(match, compiled(form.pattern or "").groups), form.schema)


def _only(match: Match, groups: int) -> str | None:
    return match.group(1) if groups == 1 else match.group()


def _typed(value: str | None, schema: Any) -> Any:
    """Return a text as the type that its schema asks for, where it is written like one."""
    kinds = schema.get("type") if isinstance(schema, dict) else None
    if value is None or not isinstance(kinds, str | list):
        return value
    text = value.strip()
    if "integer" in kinds and _WHOLE.fullmatch(text):
        return int(text)
    if "number" in kinds:
        try:
            return _finite(float(text))
        except ValueError:
            pass
    return _WORDS.get(text.lower(), value) if "boolean" in kinds else value


def _finite(number: float) -> float | int:
    """Return a number that JSON can carry; a whole one as JSON would write it."""
    if number - number != 0:  # infinities and NaN
        raise ValueError(number)
    return number


def _called(form: AnswerForm, content: Sequence[Mapping[str, Any]]) -> Any:
    calls = [block for block in content if block.get("type") == "tool_use"]
    wanted = [call for call in calls if form.tool is None or call.get("name") == form.tool]
    what = "a tool" if form.tool is None else f"the tool {form.tool}"
    if not wanted:
        others = sorted({str(call.get("name")) for call in calls})
        instead = f"; it calls {', '.join(others)}" if others else ""
        raise Unreadable(f"The answer does not call {what}{instead}.")
    if len(wanted) > 1:
        raise Unreadable(f"The answer calls {what} {len(wanted)} times, and only one call counts.")
    return wanted[0].get("input")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Unreadable(f"The answer names the key {short(repr(twice))} twice in one object.")
    return record


def _no_constant(name: str) -> object:
    raise Unreadable(f"The answer holds {name}, which is not JSON.")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def short(message: str, most: int = 300) -> str:
    """Return a message of bounded length: what it quotes comes from an answer."""
    return message if len(message) <= most else f"{message[:most]}…"
