"""The filters of prompts: a list of plain ones, each bounded in what it makes.

Left out of Jinja2's own: those that reach attributes (attr), mark text as safe, use randomness, or
build HTML. Changed: ``tojson`` writes plain JSON, not JSON for HTML; ``escape`` returns plain text.
"""

from __future__ import annotations

import datetime as dt
import html
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from jinja2 import filters as stock
from jinja2 import pass_context, pass_environment
from jinja2.exceptions import TemplateRuntimeError
from jinja2.runtime import Undefined

from batchspec.prompt.meter import NO_TEXT, PLAIN, Meter, Metered
from batchspec.prompt.tree import JOINED, LOOP, MADE, SLICE

if TYPE_CHECKING:
    from batchspec.prompt.sandbox import PromptEnvironment

_MAX_WIDTH = 10_000
_MAX_INDENT = 64
_MAX_PRECISION = 20
_STEPS_PER_ITEM = 5
"""What sorting, mapping or grouping one element takes, in rounds of an empty loop."""


def as_text(meter: Meter, value: Any) -> str:
    """Return what a template writes for a value; every output passes through here.

    Raises:
        TemplateRuntimeError: for bytes and for what is no data.
        TooMuch: for a list or mapping with too many elements.
    """
    if type(value) is str:
        return value
    if isinstance(value, bytes):
        raise TemplateRuntimeError("writes binary data; convert it to text in the inputs first")
    if isinstance(value, list | tuple | dict):
        meter.parts(value)
    elif not isinstance(value, (str, *PLAIN)):
        raise TemplateRuntimeError(NO_TEXT)
    return str(value)


def internal_filters(meter: Meter) -> dict[str, Callable[..., Any]]:
    """Return the filters that `tree.guard_tree` puts around loops, literals, joins and slices."""

    # Filters that take the context are never computed while a template is compiled.
    @pass_context
    def loop(_: Any, value: Any) -> Any:
        return Metered(_sequence(meter, value), meter)

    @pass_context
    def made(_: Any, value: Any) -> Any:
        return meter.parts(value)

    @pass_context
    def joined(_: Any, values: Sequence[Any]) -> str:
        return meter.text(meter.concat(as_text(meter, value) for value in values))

    @pass_context
    def cut(_: Any, value: Any, start: Any, stop: Any, step: Any) -> Any:
        if isinstance(value, str):
            return meter.text(value[start:stop:step])
        if not isinstance(value, list | tuple | Undefined):
            raise TemplateRuntimeError("takes a part of a value that is no text and no list")
        return meter.parts(value[start:stop:step])

    return {LOOP: loop, MADE: made, JOINED: joined, SLICE: cut}


def _sequence(meter: Meter, value: Any) -> Sequence[Any]:
    """Return the elements of what a template loops over or sorts."""
    if isinstance(value, str | list | tuple):
        return value
    if isinstance(value, Mapping):
        return list(value)
    items: list[Any] = []
    for item in value:  # a stock filter's generator, or an undefined value, which raises
        meter.spend(1)
        items.append(item)
    return items


def _listed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a stock filter over sequences, its result a list whose size is checked."""
    passed = getattr(function, "jinja_pass_arg", None)
    takes_first = passed is not None

    @pass_context
    def bounded(context: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        environment: PromptEnvironment = context.environment
        meter = environment.meter
        items = value if isinstance(value, Undefined) else _sequence(meter, value)
        meter.spend(1 if isinstance(items, Undefined) else _STEPS_PER_ITEM * len(items))
        first = _first(passed, context) if takes_first else []
        result = function(*first, items, *args, **kwargs)
        if isinstance(result, Iterator):
            result = _sequence(meter, result)
        return meter.parts(result) if isinstance(result, list | tuple) else result

    return bounded


def _first(passed: Any, context: Any) -> list[Any]:
    name = passed.name
    if name == "context":
        return [context]
    return [context.eval_ctx if name == "eval_context" else context.environment]


def _bounded_text(function: Callable[..., str]) -> Callable[..., str]:
    """Return a filter from text to text that checks the size of its result."""

    @pass_environment
    def bounded(environment: PromptEnvironment, value: Any, *args: Any, **kwargs: Any) -> str:
        text = value if isinstance(value, Undefined) else as_text(environment.meter, value)
        return environment.meter.text(str(function(text, *args, **kwargs)))

    return bounded


def _check(number: Any, limit: int, what: str) -> int:
    if not isinstance(number, int) or not 0 <= number <= limit:
        raise TemplateRuntimeError(f"gives the filter a {what} outside 0 to {limit:,}")
    return number


@pass_environment
def _join(environment: PromptEnvironment, value: Any, separator: str = "") -> str:
    meter = environment.meter
    texts = [as_text(meter, item) for item in _sequence(meter, value)]
    meter.room(sum(map(len, texts)) + len(separator) * max(0, len(texts) - 1))
    return meter.text(separator.join(texts))


@pass_environment
def _replace(
    environment: PromptEnvironment, value: Any, old: str, new: str, count: int = -1
) -> str:
    meter = environment.meter
    text = as_text(meter, value)
    found = text.count(old) if count < 0 else min(text.count(old), count)
    meter.room(len(text) + found * (len(new) - len(old)))
    return meter.text(text.replace(old, new, count))


@pass_environment
def _indent(
    environment: PromptEnvironment,
    value: Any,
    width: int = 4,
    first: bool = False,  # noqa: FBT001, FBT002 - Jinja2's own signature
    blank: bool = False,  # noqa: FBT001, FBT002
) -> str:
    text = as_text(environment.meter, value)
    margin = " " * _check(width, _MAX_INDENT, "width")
    environment.meter.room(len(text) + (text.count("\n") + 1) * len(margin))
    lines = text.split("\n")
    rest = [margin + line if line.strip() or blank else line for line in lines[1:]]
    return environment.meter.text("\n".join([(margin if first else "") + lines[0], *rest]))


@pass_environment
def _tojson(environment: PromptEnvironment, value: Any, indent: int | None = None) -> str:
    """Write plain JSON: keys in their order, characters as they are, dates as ISO 8601 text."""
    environment.meter.parts(value)
    width = None if indent is None else _check(indent, _MAX_INDENT, "width")
    text = json.dumps(
        value, ensure_ascii=False, allow_nan=False, indent=width, default=_json_default
    )
    return environment.meter.text(text)


def _json_default(value: Any) -> Any:
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, Decimal):
        number = float(value)
        return number if Decimal(repr(number)) == value else str(value)
    if isinstance(value, Undefined):
        return str(value)  # raises, naming what is undefined
    raise TemplateRuntimeError(f"has no JSON for a value of the type {type(value).__name__}")


def _round(value: Any, precision: int = 0, method: str = "common") -> Any:
    return stock.do_round(value, _check(precision, _MAX_PRECISION, "precision"), method)  # type: ignore[arg-type]  # checked by Jinja2


def _batch(value: Any, count: int, fill: Any = None) -> Iterator[Any]:
    return stock.do_batch(value, _check(count, _MAX_WIDTH, "size"), _scalar(fill))


def _slice(value: Any, count: int, fill: Any = None) -> Iterator[Any]:
    return stock.sync_do_slice(value, _check(count, _MAX_WIDTH, "number"), _scalar(fill))


def _scalar(fill: Any) -> Any:
    if isinstance(fill, list | tuple | dict):
        raise TemplateRuntimeError("fills up with a list or mapping; use a text or a number")
    return fill


@pass_environment
def _sum(
    environment: PromptEnvironment, value: Any, attribute: str | int | None = None, start: Any = 0
) -> Any:
    return stock.sync_do_sum(environment, value, attribute, _scalar(start))


def _truncate(
    text: str,
    length: int = 255,
    killwords: bool = False,  # noqa: FBT001, FBT002
    end: str = "...",
    leeway: int = 5,
) -> str:
    if len(text) <= length + leeway:
        return text
    cut = text[: max(0, length - len(end))]
    return (cut if killwords else cut.rsplit(" ", 1)[0]) + end


def _reverse(value: Any) -> Any:
    return value[::-1]


_TEXTS: dict[str, Callable[..., str]] = {
    "capitalize": lambda text: text.capitalize(),
    "escape": lambda text: html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
    "lower": lambda text: text.lower(),
    "string": lambda text: text,
    "title": stock.do_title,
    "trim": lambda text, characters=None: text.strip(characters),
    "truncate": _truncate,
    "upper": lambda text: text.upper(),
    "urlencode": stock.do_urlencode,
}
_LISTS: dict[str, Callable[..., Any]] = {
    "batch": _batch,
    "first": stock.sync_do_first,
    "groupby": stock.sync_do_groupby,
    "last": stock.do_last,
    "list": list,
    "map": stock.sync_do_map,
    "max": stock.do_max,
    "min": stock.do_min,
    "reject": stock.sync_do_reject,
    "rejectattr": stock.sync_do_rejectattr,
    "reverse": _reverse,
    "select": stock.sync_do_select,
    "selectattr": stock.sync_do_selectattr,
    "slice": _slice,
    "sort": stock.do_sort,
    "sum": _sum,
    "unique": stock.do_unique,
}
FILTERS: dict[str, Callable[..., Any]] = {
    **{name: _bounded_text(function) for name, function in _TEXTS.items()},
    **{name: _listed(function) for name, function in _LISTS.items()},
    "abs": abs,
    "default": stock.do_default,
    "dictsort": stock.do_dictsort,
    "filesizeformat": stock.do_filesizeformat,
    "float": stock.do_float,
    "indent": _indent,
    "int": stock.do_int,
    "items": stock.do_items,
    "join": _join,
    "length": len,
    "replace": _replace,
    "round": _round,
    "tojson": _tojson,
    "wordcount": stock.do_wordcount,
}
FILTERS |= {"count": len, "d": FILTERS["default"], "e": FILTERS["escape"]}
"""What a template may use, by name."""
