"""Rules about checks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from batchspec.problems import Problem
from batchspec.spec.checks import KINDS, LIMIT_KINDS, RATE_KINDS, default_title
from batchspec.spec.contents import outputs
from batchspec.spec.document import shown
from batchspec.spec.subject import Subject
from batchspec.spec.words import listing

_THRESHOLDS = ("warn_if", "error_if")
_OF_TABLES = ("table", "where")


def _checks(subject: Subject) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield each check that is of one kind: its number, its kind, and the mapping."""
    for number, check in enumerate(subject.entries("checks")):
        kinds = [kind for kind in KINDS if kind in check] if isinstance(check, dict) else []
        if len(kinds) == 1:
            yield number, kinds[0], check


def named_checks(subject: Subject) -> Iterator[tuple[int, str, str, dict[str, Any]]]:
    """Yield each check that is of one kind: its number, kind, name (given or made) and mapping."""
    for number, kind, check in _checks(subject):
        name = check.get(
            "name", default_title(kind, check[kind], str(check.get("table", "output")))
        )
        if isinstance(name, str):
            yield number, kind, name, check


def duplicate_checks(subject: Subject) -> Iterator[Problem]:
    """Refuse two checks of one name, given or made."""
    first: dict[str, int] = {}
    for number, kind, name, check in named_checks(subject):
        if first.setdefault(name, number) != number:
            given = "name" in check
            yield subject.error(
                "duplicate-check",
                ("checks", number, "name") if given else ("checks", number, kind),
                f"the check {shown(name)} is there twice",
                "Reports tell checks apart by their names. Say in the name what this one checks."
                if given
                else "Reports tell checks apart by their names. Give one of them a name.",
                key=not given,
            )


def check_options(subject: Subject) -> Iterator[Problem]:
    """Refuse options that the kind of a check does not have."""
    for number, kind, check in _checks(subject):
        for option, why in _unfitting(kind):
            if option in check:
                yield subject.error(
                    "check-option",
                    ("checks", number, option),
                    f"{option} has no meaning beside {kind}",
                    why,
                    key=True,
                )


def _unfitting(kind: str) -> Iterator[tuple[str, str]]:
    """Yield the options that a kind does not have, and why."""
    if kind == "sql":
        why = "A check with sql says itself which rows of which table it means."
        yield from ((option, why) for option in _OF_TABLES)
    if kind in LIMIT_KINDS:
        why = f"{kind} has a limit of its own. Write two checks, one of them with severity: warn,"
        yield from ((option, f"{why} to be warned before it fails.") for option in _THRESHOLDS)
    if kind in RATE_KINDS:
        yield "table", f"{kind} counts the items of the spec. Remove it."
    if kind == "drift":
        yield "where", "The manifest remembers the values of all rows. Remove it."


def drift_of_outputs(subject: Subject) -> Iterator[Problem]:
    """Refuse drift of what has no manifest, or no columns."""
    templates = ["{{" in str(output.get("path")) for _, output in outputs(subject)]
    for number, kind, check in _checks(subject):
        table = check.get("table", "output")
        if kind != "drift" or not isinstance(table, str):
            continue
        part = table.partition("_")[2] or "1"
        index = int(part) - 1 if part.isdecimal() else 0
        if table.startswith("output") and not any(templates[index : index + 1]):
            continue
        yield subject.error(
            "check-option",
            ("checks", number, "drift"),
            f"drift cannot be measured on {table}",
            "It is measured between an output that is one file and the one before it. Use drift on"
            " such an output.",
            key=True,
        )


def check_bounds(subject: Subject) -> Iterator[Problem]:
    """Refuse bounds that no value, or every value, satisfies."""
    for number, kind, check in _checks(subject):
        bounds = check[kind]
        if kind not in {"range", "row_count"} or not isinstance(bounds, dict):
            continue
        given = [name for name in ("min", "max", "equals") if name in bounds]
        low: Any = bounds.get("min")
        high: Any = bounds.get("max")
        if not given:
            words = listing(["min", "max"] if kind == "range" else ["min", "max", "equals"], "or")
            what, why = f"{kind} has no bound", f"Without {words}, it says nothing."
        elif _numeric(low) and _numeric(high) and low > high:
            what = f"min is {shown(str(low))} and max is {shown(str(high))}"
            why = "No value is both. Exchange them."
        elif low is not None and high is not None and _numeric(low) != _numeric(high):
            what = "one bound is a number and the other is text"
            why = "A column holds numbers or dates. Write both bounds in the same way."
        else:
            continue
        yield subject.error("check-bounds", ("checks", number, kind), what, why, key=True)


def _numeric(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
