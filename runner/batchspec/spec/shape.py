"""Turn what the JSON Schema says about a document into problems that say what to change.

One mistake gives one problem: alternatives are reduced to the one the author meant, and a missing
key is not reported beside the misspelled key that was to be it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from batchspec.problems import Problem
from batchspec.spec.document import Document, NodePath, dotted, shown
from batchspec.spec.hints import home
from batchspec.spec.schema import SchemaName, published_schema, published_validator
from batchspec.spec.words import about, advice, kind_of, listing, nearest, type_words

JsonError = Any
"""jsonschema.ValidationError, each of whose attributes is typed as perhaps unset."""

_NOTHING_IGNORED = "Nothing is ignored, so that a typing error cannot change a job unseen."


def shape_problems(document: Document, name: SchemaName) -> tuple[Problem, ...]:
    """Return every way in which a document's keys and types differ from its schema."""
    if not isinstance(document.data, dict):
        what = "is empty" if document.data is None else f"holds {kind_of(document.data)}"
        problem = Problem(
            code="not-a-mapping",
            summary=f"the file {what}",
            detail="It must hold keys with values, beginning with: version: 1.",
            where=document.place(()),
        )
        return (problem,)
    shape = _Shape(document, name)
    shape.take(published_validator(name).iter_errors(document.data))
    return tuple(shape.problems())


class _Shape:
    """Collects the schema's errors of one document and words them."""

    def __init__(self, document: Document, name: SchemaName) -> None:
        self._document = document
        self._schema = published_schema(name)
        self._unknown: dict[NodePath, set[str]] = {}
        """By mapping: the keys that unknown keys there were probably meant to be."""
        self._missing: dict[tuple[NodePath, tuple[str, ...]], None] = {}
        """Mappings without one of these keys. Ordered, and each once."""
        self._found: list[Problem] = []

    def take(self, errors: Iterable[JsonError]) -> None:
        """Word each error; alternatives are taken apart first."""
        for error in errors:
            path: NodePath = tuple(error.absolute_path)
            match error.validator:
                case "anyOf":
                    self._alternatives(error, path)
                case "oneOf":
                    self._exactly_one(error, path)
                case "required":
                    absent = [key for key in error.validator_value if key not in error.instance]
                    self._missing.update({(path, (key,)): None for key in absent})
                case "additionalProperties":
                    self._extras(error, path)
                case "type":
                    self._wrong_type(path, error.instance, [error.validator_value])
                case _:
                    self._bad_value(error, path)

    def problems(self) -> Iterator[Problem]:
        """Return everything found, less what only follows from another mistake."""
        yield from self._found
        for path, keys in self._missing:
            meant = self._unknown.get(path, set())
            if not meant.intersection(keys) and "" not in meant:
                yield self._missing_key(path, keys)

    def _add(
        self, code: str, path: NodePath, summary: str, detail: str, *, key: bool = False
    ) -> None:
        self._found.append(
            Problem(
                code=code,
                summary=summary,
                detail=detail,
                where=self._document.place(path, key=key),
            )
        )

    def _alternatives(self, error: JsonError, path: NodePath) -> None:
        """Report the one alternative whose type fits; when none does, the types that would."""
        branches: dict[Any, list[JsonError]] = {}
        for inner in error.context or ():
            branches.setdefault(inner.relative_schema_path[0], []).append(inner)
        mistyped = [
            inner.validator_value
            for inners in branches.values()
            for inner in inners
            if inner.validator == "type" and not inner.relative_path
        ]
        if len(mistyped) == len(branches):
            self._wrong_type(path, error.instance, mistyped)
            return
        fitting = [
            inners
            for inners in branches.values()
            if not any(e.validator == "type" and not e.relative_path for e in inners)
        ]
        closest = min(fitting, key=len)
        self.take(closest)

    def _exactly_one(self, error: JsonError, path: NodePath) -> None:
        if not isinstance(error.instance, dict):
            return  # another type is reported as such
        keys = tuple(branch["required"][0] for branch in error.validator_value)
        given = [key for key in error.instance if key in keys]
        if not given:
            self._missing[path, keys] = None
            return
        self._add(
            "conflicting-keys",
            (*path, given[1]),
            f"{dotted(path)} has {listing(given, 'and')}, of which only one can be used",
            f"Exactly one of {listing(keys, 'and')} says what is meant. Remove the others.",
            key=True,
        )

    def _missing_key(self, path: NodePath, keys: tuple[str, ...]) -> Problem:
        name = dotted(path) or "the file"
        what = keys[0] if len(keys) == 1 else f"exactly one of {listing(keys, 'and')}"
        return Problem(
            code="missing-key",
            summary=f"{name} needs {what}",
            detail=advice(self._schema, (*path, keys[0]) if len(keys) == 1 else path),
            where=self._document.place(path, key=True),
        )

    def _extras(self, error: JsonError, path: NodePath) -> None:
        keys = frozenset(error.schema["properties"])
        for name in error.instance:
            if name not in keys:
                self._unknown_key((*path, name), keys)

    def _unknown_key(self, path: NodePath, keys: frozenset[str]) -> None:
        name, parent = str(path[-1]), path[:-1]
        meant = nearest(name, keys)
        # An empty entry: whatever is missing there is missing because of this key.
        self._unknown.setdefault(parent, set()).add("" if keys == {"file"} else meant or name)
        place = home(path, keys)
        if meant is not None and place is None:
            place = f"Did you mean {meant}?"
        known = f"The keys here are {listing(sorted(keys), 'and')}."
        where = f"a key of {dotted(parent)}" if parent else "a key of this file"
        detail = f"{place or known} {_NOTHING_IGNORED}"
        self._add("unknown-key", path, f"{shown(name)} is not {where}", detail, key=True)

    def _wrong_type(self, path: NodePath, value: Any, types: list[str]) -> None:
        got = kind_of(value)
        if isinstance(value, str | int | float):
            got += f" ({shown(value)})"
        hint = ""
        if value is None:
            hint = " Give it a value, or remove the line."
        elif isinstance(value, str) and {"integer", "number"}.intersection(types):
            hint = " Write the number without quotes, units or separators."
        elif "string" in types and isinstance(value, int | float):
            hint = " Put it into quotes."
        summary = f"{dotted(path)} must be {type_words(types)}, not {got}"
        self._add("wrong-type", path, summary, advice(self._schema, path) + hint)

    def _bad_value(self, error: JsonError, path: NodePath) -> None:
        of_key = "propertyNames" in error.absolute_schema_path
        if of_key:
            path = (*path, error.instance)
        summary = f"{dotted(path)} {complaint(error)}"
        detail = advice(self._schema, path)
        if error.validator == "enum" and isinstance(error.instance, str):
            meant = nearest(error.instance, error.validator_value)
            detail = f"Did you mean {meant}? {detail}" if meant else detail
        elif of_key:
            detail = about(self._schema, path[:-1]).get("description", "")
        self._add("bad-value", path, summary, detail, key=of_key)


_COMPLAINTS: dict[str, Callable[[Any, Any], str]] = {
    "const": lambda limit, value: f"must be {limit}, not {kind_of(value)} ({shown(value)})",
    "enum": lambda limit, value: f"must be {listing(limit, 'or')}, not {shown(value)}",
    "minimum": lambda limit, value: f"must be at least {limit:,}, not {shown(value)}",
    "maximum": lambda limit, value: f"must be at most {limit:,}, not {shown(value)}",
    "exclusiveMinimum": lambda limit, value: f"must be more than {limit:,}, not {shown(value)}",
    "minLength": lambda *_: "must not be empty",
    "minItems": lambda *_: "must not be empty",
    "minProperties": lambda *_: "must not be empty",
    "maxLength": lambda limit, _: f"must not be longer than {limit:,} characters",
    "uniqueItems": lambda *_: "names something twice",
}


def complaint(error: JsonError) -> str:
    """Return what a value's error demands, to follow the value's name in a sentence."""
    if error.validator == "anyOf":  # the alternative that goes as deep as the value is meant
        return complaint(max(error.context, key=lambda inner: len(inner.absolute_path)))
    if error.validator == "type":
        return f"must be {type_words([error.validator_value])}, not {shown(error.instance)}"
    if error.validator == "pattern":
        wanted = error.schema.get("patternErrorMessage", f"of the form {error.validator_value}")
        return f"must be {wanted}, not {shown(error.instance)}"
    return _COMPLAINTS[str(error.validator)](error.validator_value, error.instance)
