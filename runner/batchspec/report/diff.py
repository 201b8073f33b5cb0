"""How answers differ, as text, Markdown and JSON."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from batchspec.report.figures import count, key_label, number, table
from batchspec.report.hygiene import clean_line
from batchspec.report.style import PLAIN, Style

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchspec.outputs.compare import Comparison, FieldChange, RowChange

FORMAT_VERSION = 1
_VALUE = 120
_FIELDS = 12
_MARKS = {"changed": "~", "new": "+", "gone": "-"}
_NOTHING = "(nothing)"
_TICKS = re.compile("`+")


def agreement(comparison: Comparison) -> str:
    """Return the part of the rows of both versions whose answers are the same."""
    if not comparison.compared:
        return "no rows in common"
    rate = comparison.same * 10_000 // comparison.compared / 100
    return f"{rate:g} % of {count(comparison.compared, 'row')} agree"


def diff_text(comparisons: Sequence[Comparison], *, style: Style = PLAIN) -> str:
    """Return for each output its figures, the fields that differ, and the first changes."""
    blocks = ["\n".join(_text(comparison, style)) for comparison in comparisons]
    return "\n\n".join(blocks) + "\n"


def _text(comparison: Comparison, style: Style) -> Iterator[str]:
    yield (
        f"{style.bold(clean_line(comparison.path))}: {clean_line(comparison.before)} → "
        f"{clean_line(comparison.after)}"
    )
    yield from (f"  {line}" for line in _figures(comparison))
    yield f"  {agreement(comparison)}"
    fields = _field_rows(comparison)
    if fields:
        yield from ("  " + line for line in table(fields, right=(1,)))
    for change in comparison.changes:
        yield from _change(change)
    more = _unnamed(comparison)
    if more:
        yield f"  … and {count(more, 'change')} more"


def _figures(comparison: Comparison) -> list[str]:
    rows = [
        (word, number(getattr(comparison, word))) for word in ("same", "changed", "new", "gone")
    ]
    return table(rows, right=(1,))


def _field_rows(comparison: Comparison) -> list[tuple[str, str]]:
    return [
        (clean_line(field, _VALUE), f"differs in {number(rows)}")
        for field, rows in comparison.fields[:_FIELDS]
    ]


def _change(change: RowChange) -> Iterator[str]:
    yield f"  {_MARKS[change.change]} {key_label(change.key)}"
    for field in change.fields:
        yield f"      {_field(field)}"


def _field(field: FieldChange) -> str:
    before, after = (_NOTHING if v is None else v for v in (field.before, field.after))
    name = clean_line(field.field, _VALUE)
    return f"{name}: {clean_line(before, _VALUE)} → {clean_line(after, _VALUE)}"


def _unnamed(comparison: Comparison) -> int:
    return comparison.changed + comparison.new + comparison.gone - len(comparison.changes)


def diff_markdown(comparisons: Sequence[Comparison]) -> str:
    """Return a headline and a table per output, with the changes folded in a fence.

    Keys and answers are foreign text: they stand in fences only.
    """
    blocks = [block for comparison in comparisons for block in _markdown(comparison)]
    return "\n\n".join(blocks) + "\n"


def _markdown(comparison: Comparison) -> Iterator[str]:
    yield f"### batchspec diff: {agreement(comparison)}"
    names = f"{comparison.before} → {comparison.after}"
    yield _fenced([f"{clean_line(comparison.path)}: {clean_line(names)}"])
    figures = (comparison.same, comparison.changed, comparison.new, comparison.gone)
    yield "\n".join(
        [
            "| same | changed | new | gone |",
            "|---:|---:|---:|---:|",
            "| " + " | ".join(number(figure) for figure in figures) + " |",
        ]
    )
    lines = [f"{name}  {rows}" for name, rows in _field_rows(comparison)]
    lines += [line[2:] for change in comparison.changes for line in _change(change)]
    if not lines:
        return
    more = _unnamed(comparison)
    lines += [f"… and {count(more, 'change')} more"] if more else []
    shown = count(len(comparison.changes), "change")
    yield f"<details><summary>{shown}</summary>\n\n{_fenced(lines)}\n\n</details>"


def _fenced(lines: Sequence[str]) -> str:
    text = "\n".join(lines)
    longest = max((len(ticks) for ticks in _TICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def diff_json(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Return the comparison as `diff --format json` prints it."""
    return {
        "format_version": FORMAT_VERSION,
        "outputs": [_json(comparison) for comparison in comparisons],
    }


def _json(comparison: Comparison) -> dict[str, Any]:
    compared = comparison.compared
    return {
        "path": comparison.path,
        "before": comparison.before,
        "after": comparison.after,
        "counts": {
            "same": comparison.same,
            "changed": comparison.changed,
            "new": comparison.new,
            "gone": comparison.gone,
        },
        "agreement": round(comparison.same / compared, 6) if compared else None,
        "fields": dict(comparison.fields),
        "changes": [
            {
                "key": json.loads(change.key),
                "change": change.change,
                "fields": {
                    field.field: {"before": _value(field.before), "after": _value(field.after)}
                    for field in change.fields
                },
            }
            for change in comparison.changes
        ],
    }


def _value(text: str | None) -> Any:
    return None if text is None else json.loads(text)
