"""What a plain YAML scalar means: the core schema of YAML 1.2, nothing more.

``yes``, ``no``, ``on``, ``off``, dates and ``12:30:45`` are text. Numbers that JSON cannot carry
(infinities, NaN) or that DuckDB has no integer for are refused rather than bent.
"""

from __future__ import annotations

import math
import re

Scalar = str | int | float | bool | None

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_INT64 = 2**63
_LONGEST = 64


class NumberRefusedError(ValueError):
    """A number that cannot be carried exactly; the message says why."""


def plain(text: str) -> Scalar:
    """Return what an unquoted scalar means.

    Raises:
        NumberRefusedError: It is infinite, not a number, or outside 64 bits.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return _whole(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isinf(number):
            raise NumberRefusedError("is too large for a number")
        return number
    if _SPECIAL.fullmatch(text):
        raise NumberRefusedError("is not a number that JSON can carry")
    return text


def _whole(text: str) -> int:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    if len(text) > _LONGEST or not -_INT64 <= (number := int(text, base)) < _INT64:
        raise NumberRefusedError("does not fit into 64 bits")
    return number


_READERS = {"int": int, "float": float | int, "bool": bool, "null": type(None)}


def tagged(tag: str, text: str) -> Scalar:
    """Return what a scalar with an explicit core tag (``str``, ``int`` …) means.

    Raises:
        NumberRefusedError: The text is not of that type.
    """
    if tag == "str":
        return text
    value = plain(text)
    if tag == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, _READERS[tag]) or (tag == "int" and isinstance(value, bool)):
        raise NumberRefusedError(f"is not a YAML {tag}")
    return value
