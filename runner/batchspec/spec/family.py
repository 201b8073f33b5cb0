"""Rules between specs: names, needs, and files that two of them would write."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from batchspec.problems import Problem
from batchspec.spec.draft import Draft
from batchspec.spec.paths import normal
from batchspec.spec.words import listing, nearest

TABLES = frozenset({"inputs", "output", "results"})
"""Tables that the SQL of outputs and checks reads under these names."""


def family_problems(drafts: Sequence[Draft]) -> Iterator[Problem]:
    """Yield what is wrong between the specs of a project."""
    yield from _same_names(drafts)
    yield from _unknown_needs(drafts)
    yield from _reserved_needs(drafts)
    yield from _needs_of_one_table(drafts)
    yield from _databases_needed(drafts)
    yield from _circles(drafts)
    yield from _same_outputs(drafts)


def in_order(drafts: Sequence[Draft]) -> tuple[Draft, ...]:
    """Return drafts so that each comes after those it needs; else as given.

    Needs that are not among ``drafts``, and circles, are passed over: they are problems already.
    """
    named = {draft.name: draft for draft in drafts}
    done: dict[str, Draft] = {}

    def visit(draft: Draft, above: frozenset[str]) -> None:
        if draft.path in done or draft.path in above:
            return
        for name in draft.needs:
            if name in named:
                visit(named[name], above | {draft.path})
        done.setdefault(draft.path, draft)

    for draft in drafts:
        visit(draft, frozenset())
    return tuple(done.values())


def _problem(
    draft: Draft, code: str, path: tuple[str | int, ...], summary: str, detail: str
) -> Problem:
    assert draft.document is not None  # noqa: S101 - its needs or outputs were read from it
    where = draft.document.place(path)
    return Problem(code=code, summary=summary, detail=detail, where=where)


def _same_names(drafts: Sequence[Draft]) -> Iterator[Problem]:
    first: dict[str, Draft] = {}
    for draft in drafts:
        other = first.setdefault(draft.name, draft)
        if other is draft:
            continue
        for here, there in ((draft, other), (other, draft)):
            if here.document is not None:
                yield _problem(
                    here,
                    "duplicate-name",
                    ("name",),
                    f"the name {here.name} is also the name of {there.path}",
                    "State and commands tell specs apart by their names. Give one of them another"
                    " name.",
                )


def _unknown_needs(drafts: Sequence[Draft]) -> Iterator[Problem]:
    names = [draft.name for draft in drafts]
    for draft in drafts:
        for number, name in enumerate(draft.needs):
            if name not in names:
                meant = nearest(name, names)
                hint = f"Did you mean {meant}?" if meant else f"There are {listing(names, 'and')}."
                yield _problem(
                    draft,
                    "unknown-need",
                    ("needs", number),
                    f"{draft.name} needs {name}, which is no spec of this project",
                    f"Its outputs could never be read. {hint}",
                )


def _reserved_needs(drafts: Sequence[Draft]) -> Iterator[Problem]:
    for draft in drafts:
        for number, name in enumerate(draft.needs):
            if name in TABLES:
                yield _problem(
                    draft,
                    "reserved-need",
                    ("needs", number),
                    f"{draft.name} needs {name}, and a table of that name is always there",
                    "SQL could not tell the two apart. Give the needed spec another name.",
                )


def _needs_of_one_table(drafts: Sequence[Draft]) -> Iterator[Problem]:
    """Refuse a need whose table is called like a further output of another need."""
    named = {draft.name: draft for draft in drafts}
    for draft in drafts:
        further = {
            f"{name}_{number}".replace("-", "_"): name
            for name in draft.needs
            if name in named
            for number in range(2, len(list(_outputs(named[name]))) + 1)
        }
        for number, name in enumerate(draft.needs):
            other = further.get(name.replace("-", "_"))
            if other is not None:
                yield _problem(
                    draft,
                    "reserved-need",
                    ("needs", number),
                    f"{draft.name} needs {name}, and an output of {other} is a table of that name",
                    "SQL could not tell the two apart. Give the needed spec another name.",
                )


def _databases_needed(drafts: Sequence[Draft]) -> Iterator[Problem]:
    """Refuse to need a spec whose first output is a database, which SQL cannot read as a file."""
    named = {draft.name: draft for draft in drafts}
    for draft in drafts:
        for number, name in enumerate(draft.needs):
            if name in named and _first_output(named[name]).endswith(".duckdb"):
                yield _problem(
                    draft,
                    "database-need",
                    ("needs", number),
                    f"{draft.name} needs {name}, whose first output is a database",
                    f"The first output is what others read. Let {name} write a .parquet or .jsonl"
                    " file first, and the database after it.",
                )


def _first_output(draft: Draft) -> str:
    outputs = None if draft.document is None else draft.document.get("outputs")
    first = outputs[0] if isinstance(outputs, list) and outputs else outputs
    path = first.get("path") if isinstance(first, dict) else None
    return path if isinstance(path, str) else ""


def _circles(drafts: Sequence[Draft]) -> Iterator[Problem]:
    for draft in drafts:
        circle = circle_of(draft, drafts)
        # Each circle is reported once: at its member whose name comes first.
        if circle is not None and draft.name == min(circle):
            chain = " needs ".join([*circle, circle[0]])
            number = draft.needs.index(circle[1] if len(circle) > 1 else circle[0])
            yield _problem(
                draft,
                "needs-circle",
                ("needs", number),
                f"the needs form a circle: {chain}",
                "None of them could ever run first. Remove one of these needs.",
            )


def circle_of(start: Draft, drafts: Sequence[Draft]) -> list[str] | None:
    """Return a way along needs from ``start`` back to itself, as names, if there is one."""
    named = {draft.name: draft for draft in drafts}
    ways = [[start.name]]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        for name in named[way[-1]].needs:
            if name == start.name:
                return way
            if name in named and name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return None


def _outputs(draft: Draft) -> Iterator[tuple[tuple[str | int, ...], str]]:
    outputs = None if draft.document is None else draft.document.get("outputs")
    listed = isinstance(outputs, list)
    for number, output in enumerate(outputs if isinstance(outputs, list) else [outputs]):
        path = output.get("path") if isinstance(output, dict) else None
        if isinstance(path, str):
            yield ("outputs", number, "path") if listed else ("outputs", "path"), path


_BESIDE = ("", ".manifest.json", ".receipt.json", ".quarantine.jsonl")
"""What stands at an output's path, and beside it."""


def _folded(path: str) -> str:
    """Return what some file systems take for the same path."""
    return unicodedata.normalize("NFC", path).casefold()


def _same_outputs(drafts: Sequence[Draft]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for draft in drafts:
        for place, path in _outputs(draft):
            claimed = [_folded(normal(path) + ending) for ending in _BESIDE]
            taken = next((first[name] for name in claimed if name in first), None)
            if taken is not None:
                by = "the same spec" if taken == draft.path else taken
                yield _problem(
                    draft,
                    "output-collision",
                    place,
                    f"the output {normal(path)} is also written by {by}",
                    "Each run would replace the other's answers. Give each output a path of its"
                    " own; names that differ in case alone are one file on some systems.",
                )
            first.update({name: draft.path for name in claimed if name not in first})
