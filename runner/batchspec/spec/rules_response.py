"""Rules about the schema of answers: what is sent must be compilable, the rest be a schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from batchspec.problems import Place, Problem
from batchspec.spec.document import Document, NodePath
from batchspec.spec.load import parse_yaml
from batchspec.spec.paths import complaint
from batchspec.spec.schema_split import divided
from batchspec.spec.schema_subset import Finding, subset_findings
from batchspec.spec.subject import Subject

_SCHEMA: NodePath = ("response", "schema")
_WAY_OUT = (
    " Or set response.send: subset: the rest of the schema is sent, and answers are still validated"
    " against all of it here."
)


class _Use(Enum):
    """How much of a schema is sent."""

    WHOLE = "whole"
    SUBSET = "subset"
    NONE = "none"


_SCHEMA_FILE_CODES = frozenset({"duplicate-key", "yaml-too-deep", "bad-number"})


def schema_without_support(subject: Subject) -> Iterator[Problem]:
    """Refuse a schema for a model that takes none (fact sheet §6.1)."""
    facts = subject.model
    if facts is None or facts.structured_outputs or not is_sent(subject):
        return
    yield subject.error(
        "schema-not-supported",
        _SCHEMA,
        f"response.schema is set, and {facts.id} has no structured outputs",
        "Every request would come back as errored. Use a newer model, or ask for JSON in the prompt"
        f" and set response.send: none, so that the schema is only checked here.{subject.as_of}",
        key=True,
    )


def is_sent(subject: Subject) -> bool:
    """Tell whether a schema is sent as structured output, whole or in part."""
    response = subject.mapping("response")
    return (
        response.get("schema") is not None
        and response.get("parse", "json") == "json"
        and response.get("send") != "none"
    )


def sent_schema(subject: Subject) -> dict[str, Any] | None:
    """Return the schema that is sent, divided where it is; None: none is, or it cannot be read."""
    value = schema_of(subject) if is_sent(subject) else None
    if value is None:
        return None
    return divided(value).sent if subject.get("response", "send") == "subset" else value


def schema_of(subject: Subject) -> dict[str, Any] | None:
    """Return the response's schema, from its file where it has one; None: it cannot be read."""
    value = subject.get(*_SCHEMA)
    if not isinstance(value, dict):
        return None
    if value.keys() == {"file"} and isinstance(value["file"], str):
        path = subject.root / value["file"]
        if complaint(value["file"], subject.root) is not None or not path.is_file():
            return None
        try:
            value = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
    return value if isinstance(value, dict) else None


def schema_subset(subject: Subject) -> Iterator[Problem]:
    """Refuse a schema that the API could not compile: every row of the batch would fail."""
    value = subject.get(*_SCHEMA)
    if not isinstance(value, dict):
        return
    use = _Use.NONE
    if is_sent(subject):
        use = _Use.SUBSET if subject.get("response", "send") == "subset" else _Use.WHOLE
    if value.keys() != {"file"} or not isinstance(value["file"], str):
        yield from _problems(
            value, use, lambda path: subject.document.place((*_SCHEMA, *path), key=True)
        )
        return
    path = subject.root / value["file"]
    if complaint(value["file"], subject.root) is None and path.is_file():
        yield from _schema_file(path, value["file"], use)


def _schema_file(path: Path, file: str, use: _Use) -> Iterator[Problem]:
    try:
        raw = path.read_bytes()
        schema = json.loads(raw)
    except (OSError, ValueError, RecursionError) as error:
        yield _not_json(file, error)
        return
    # JSON is YAML, and YAML has positions, limits, and an opinion on duplicate keys.
    document, problems = parse_yaml(raw, file)
    yield from (problem for problem in problems if problem.code in _SCHEMA_FILE_CODES)
    if not isinstance(schema, dict):
        yield _not_json(file, ValueError("it holds no object"))
    elif not any(problem.code == "yaml-too-deep" for problem in problems):
        yield from _problems(schema, use, _places(document, file))


def _places(document: Document | None, file: str) -> Callable[[NodePath], Place]:
    if document is None:
        return lambda _: Place(file=file)
    return lambda path: document.place(path, key=True)


def _not_json(file: str, error: Exception) -> Problem:
    where = Place(file=file)
    if isinstance(error, json.JSONDecodeError):
        where = Place(file=file, line=error.lineno, column=error.colno)
    return Problem(
        code="bad-schema-file",
        summary="the schema's file is not a JSON object",
        detail=f"The reader says: {error}. Answers could not be validated against it. Correct it.",
        where=where,
    )


def _problems(
    schema: dict[str, Any], use: _Use, place: Callable[[NodePath], Place]
) -> Iterator[Problem]:
    findings, way_out = _findings(schema, use)
    for finding in findings or invalid_parts(schema):
        pointer = "/" + "/".join(str(step) for step in finding.path) if finding.path else "the top"
        yield Problem(
            code=finding.code,
            summary=f"the response schema {finding.summary}",
            detail=f"{finding.detail} The place in the schema is {pointer}.{way_out}",
            where=place(finding.path),
        )


def _findings(schema: dict[str, Any], use: _Use) -> tuple[list[Finding], str]:
    """Return what keeps a schema from being sent, and a sentence on another way."""
    if use is _Use.NONE:
        return [], ""
    if use is _Use.SUBSET:
        return list(subset_findings(divided(schema).sent)), ""
    findings = list(subset_findings(schema))
    if (
        not findings
        or next(invalid_parts(schema), None)
        or any(subset_findings(divided(schema).sent))
    ):
        return findings, ""
    return findings, _WAY_OUT


def invalid_parts(schema: dict[str, Any]) -> Iterator[Finding]:
    """Yield the most telling reason why a schema is no JSON Schema at all."""
    from jsonschema import Draft202012Validator, exceptions  # noqa: PLC0415 - 70 ms

    errors = Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(schema)
    worst = exceptions.best_match(errors)
    if worst is not None:
        yield Finding(
            code="schema-invalid",
            path=tuple(worst.absolute_path),
            summary="is not a valid JSON Schema",
            detail=f"The validator says: {worst.message[:200]}. Neither the API nor"
            " batchspec could use it. Correct it.",
        )
