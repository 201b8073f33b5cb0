"""Rules about the response: settings without effect, and the schema that is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from batchspec.problems import Place, Problem
from batchspec.spec.document import Document, NodePath
from batchspec.spec.load import parse_yaml
from batchspec.spec.paths import complaint
from batchspec.spec.schema_subset import Finding, subset_findings
from batchspec.spec.subject import Subject

_SCHEMA: NodePath = ("response", "schema")
_SCHEMA_FILE_CODES = frozenset({"duplicate-key", "yaml-too-deep", "bad-number"})


def response_without_effect(subject: Subject) -> Iterator[Problem]:
    """Warn of settings for invalid answers where no answer can be invalid."""
    response = subject.mapping("response")
    if "schema" not in response:
        names, why = ["on_invalid", "attempts"], "without response.schema no answer is invalid"
    elif response.get("on_invalid", "retry") != "retry":
        names, why = ["attempts"], "on_invalid does not ask again"
    else:
        return
    for name in names:
        # Inherited from the project's defaults it may well matter to other specs.
        place = subject.document.place(("response", name))
        if name in response and place.file == subject.document.source.file:
            yield subject.warning(
                "no-effect",
                ("response", name),
                f"response.{name} has no effect",
                f"It is about answers that do not satisfy the schema, and {why}. Remove it.",
                key=True,
            )


def schema_without_support(subject: Subject) -> Iterator[Problem]:
    """Refuse a schema for a model that takes none (fact sheet §6.1)."""
    facts = subject.model
    if facts is None or facts.structured_outputs or subject.get(*_SCHEMA) is None:
        return
    yield subject.error(
        "schema-not-supported",
        _SCHEMA,
        f"response.schema is set, and {facts.id} has no structured outputs",
        "Every request would come back as errored. Use a newer model, or remove the schema and ask"
        f" for JSON in the prompt.{subject.as_of}",
        key=True,
    )


def schema_subset(subject: Subject) -> Iterator[Problem]:
    """Refuse a schema that the API could not compile: every row of the batch would fail."""
    value = subject.get(*_SCHEMA)
    if not isinstance(value, dict):
        return
    if value.keys() != {"file"} or not isinstance(value["file"], str):
        yield from _problems(
            value, lambda path: subject.document.place((*_SCHEMA, *path), key=True)
        )
        return
    path = subject.root / value["file"]
    if complaint(value["file"], subject.root) is None and path.is_file():
        yield from _schema_file(path, value["file"])


def _schema_file(path: Path, file: str) -> Iterator[Problem]:
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
        yield from _problems(schema, _places(document, file))


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


def _problems(schema: dict[str, Any], place: Callable[[NodePath], Place]) -> Iterator[Problem]:
    findings = list(subset_findings(schema))
    for finding in findings or _invalid(schema):
        pointer = "/" + "/".join(str(step) for step in finding.path) if finding.path else "the top"
        yield Problem(
            code=finding.code,
            summary=f"the response schema {finding.summary}",
            detail=f"{finding.detail} The place in the schema is {pointer}.",
            where=place(finding.path),
        )


def _invalid(schema: dict[str, Any]) -> Iterator[Finding]:
    """Yield the most telling reason why this is no JSON Schema at all."""
    from jsonschema import Draft202012Validator, exceptions  # noqa: PLC0415 - 70 ms

    errors = Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(schema)
    worst = exceptions.best_match(errors)
    if worst is not None:
        yield Finding(
            code="schema-invalid",
            path=tuple(worst.absolute_path),
            summary="is not a valid JSON Schema",
            detail=f"The validator says: {worst.message[:200]}. The API would refuse every request"
            " with it. Correct it.",
        )
