"""The form that a spec's answers must have: how they are read, and what they must satisfy."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from batchspec.records import frozen
from batchspec.spec.model import Response
from batchspec.spec.tools import client_tools

FORM_VERSION = 1
"""Raised whenever the same form would judge an answer in another way than before."""


@frozen
class AnswerForm:
    """How answers are read. It is no part of a question: another form reads the same answers."""

    parse: Literal["json", "text", "regex", "tool"] = "text"
    schema: dict[str, Any] | None = None
    """JSON Schema (draft 2020-12) that the parsed answer must satisfy."""
    pattern: str | None = None
    """For ``regex``; RE2 takes it."""
    tool: str | None = None
    """For ``tool``: whose call is the answer; None: any."""
    fenced: bool = False
    """JSON may stand in a Markdown fence, as models write it when no schema was sent."""

    @property
    def is_json(self) -> bool:
        """Whether a parsed answer is JSON rather than its own text."""
        return self.parse != "text"

    @property
    def is_plain(self) -> bool:
        """Whether any text will do."""
        return self.parse == "text" and self.schema is None

    @property
    def digest(self) -> str | None:
        """16 hex digits over all of it; None for a plain one. Verdicts are kept under it."""
        if self.is_plain:
            return None
        parts = [FORM_VERSION, self.parse, self.schema, self.pattern, self.tool, self.fenced]
        text = json.dumps(parts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def form_of(
    response: Response, schema: dict[str, Any] | None, params: dict[str, Any]
) -> AnswerForm:
    """Return the form of a spec's answers.

    Args:
        response: What the spec says of answers.
        schema: Its schema, read from its file if need be.
        params: The spec's ``params``, for its tools.
    """
    parse = response.parse or ("text" if schema is None else "json")
    tool = response.tool
    if parse == "tool" and tool is None:
        names = client_tools(params)
        tool = names[0] if len(names) == 1 else None
    return AnswerForm(
        parse=parse,
        schema=schema,
        pattern=response.pattern if parse == "regex" else None,
        tool=tool if parse == "tool" else None,
        fenced=parse == "json" and not sends_schema(response, schema),
    )


def sends_schema(response: Response, schema: dict[str, Any] | None) -> bool:
    """Tell whether a schema is sent as structured output, whole or in part."""
    return schema is not None and response.parse in {None, "json"} and response.send != "none"
