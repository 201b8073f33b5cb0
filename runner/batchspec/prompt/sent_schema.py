"""What of ``response.schema`` is sent as structured output, and its bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from batchspec.inputs.hardened import FileRefused
from batchspec.problems import Problem
from batchspec.prompt.answer_form import sends_schema
from batchspec.prompt.canonical import (
    canonical_json,
    canonical_text,
    ordered_schema,
    unsorted_properties,
)
from batchspec.prompt.templates import read_text
from batchspec.records import frozen
from batchspec.spec.model import FileRef, Response
from batchspec.spec.project import LoadedSpec
from batchspec.spec.schema_split import divided

_NAMED = 3


@frozen
class SentSchema:
    """A schema on its way into requests."""

    sent: dict[str, Any] | None = None
    """None: no schema is sent."""
    ordered: bytes | None = None
    """Its bytes when the order of properties is kept."""
    notes: tuple[str, ...] = ()

    @property
    def value(self) -> Any:
        """What stands for it in the params until `splice`."""
        return self.sent if self.ordered is None else _mark(self.ordered)

    @property
    def identity(self) -> Any:
        """Plain data that changes whenever its bytes do."""
        return self.sent if self.ordered is None else self.ordered.decode()

    def splice(self, encoded: bytes) -> bytes:
        """Return canonical params with the ordered schema in the place of its mark."""
        if self.ordered is None:
            return encoded
        return encoded.replace(canonical_text(_mark(self.ordered)), self.ordered, 1)


def _mark(ordered: bytes) -> str:
    """Return a text that stands nowhere else in a request: it begins with all of the schema."""
    return f"{ordered.decode()}\0"


def sent_schema(response: Response, schema: dict[str, Any] | None) -> SentSchema:
    """Return what is sent of a spec's schema, and what a plan's reader should know of that."""
    if schema is None or not sends_schema(response, schema):
        return SentSchema()
    kept: tuple[str, ...] = ()
    if response.send == "subset":
        parts = divided(schema)
        schema, kept = parts.sent, parts.kept
    keeps = response.order == "written"
    return SentSchema(
        sent=schema,
        ordered=ordered_schema(schema) if keeps else None,
        notes=tuple(_notes(schema, kept, keeps_order=keeps)),
    )


def _notes(schema: dict[str, Any], kept: tuple[str, ...], *, keeps_order: bool) -> Iterator[str]:
    if kept:
        named = ", ".join(kept[:_NAMED])
        more = f" and {len(kept) - _NAMED} more" if len(kept) > _NAMED else ""
        yield (
            f"Structured outputs cannot have {named}{more} of the schema as written; answers are "
            "validated against all of it here."
        )
    names = [] if keeps_order else unsorted_properties(schema)
    if names:
        yield (
            f"The schema's properties are sent sorted by name ({', '.join(sorted(names)[:_NAMED])}"
            f"{', …' if len(names) > _NAMED else ''}), and answers follow that order; "
            "response.order: written keeps yours."
        )


def read_schema(root: Path, loaded: LoadedSpec) -> tuple[dict[str, Any] | None, list[Problem]]:
    """Return ``response.schema``, read from its file if it has one, and every problem found."""
    given = loaded.spec.response.schema_
    if not isinstance(given, FileRef):
        return given, []
    where = loaded.document.place(("response", "schema", "file"))
    try:
        schema = json.loads(read_text(root, given.file))
        canonical_json(schema)
    except FileRefused as refused:
        summary = f"the file {given.file} {refused.reason}"
    except (ValueError, RecursionError) as error:
        summary = f"the file {given.file} is not valid JSON: {error}"
    else:
        if isinstance(schema, dict):
            return schema, []
        summary = f"the file {given.file} holds no JSON object"
    detail = "The schema decides what answers must look like. Correct the file."
    return None, [Problem(code="bad-schema-file", summary=summary, detail=detail, where=where)]
