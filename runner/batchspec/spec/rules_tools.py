"""Rules about tools: their definitions, strict schemas, and the choice among them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from batchspec.problems import Problem
from batchspec.spec.document import NodePath, dotted, shown
from batchspec.spec.rules_response import invalid_parts, sent_schema
from batchspec.spec.schema_subset import TOO_COMPLEX, complexity, over_limits, subset_findings
from batchspec.spec.subject import Subject
from batchspec.spec.tools import FAMILIES, FIXED_NAMES, UNDATED, family, is_dated
from batchspec.spec.words import kind_of, listing, nearest

MAX_STRICT = 20
"""Strict tools of one request (fact sheet §6.1)."""
CHOICES = ("auto", "any", "tool", "none")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_TOOLS: NodePath = ("params", "tools")


def _tools(subject: Subject) -> Iterator[tuple[NodePath, dict[str, Any]]]:
    for number, tool in enumerate(subject.entries(*_TOOLS)):
        if isinstance(tool, dict):
            yield (*_TOOLS, number), tool


def tool_shapes(subject: Subject) -> Iterator[Problem]:
    """Refuse tools that are none: without a name or a schema of an object."""
    tools = subject.get(*_TOOLS)
    if tools is not None and not isinstance(tools, list):
        yield _bad(subject, _TOOLS, f"params.tools is {kind_of(tools)}", "Write a list of tools.")
    for number, tool in enumerate(subject.entries(*_TOOLS)):
        if not isinstance(tool, dict):
            place: NodePath = (*_TOOLS, number)
            yield _bad(subject, place, f"{dotted(place)} is {kind_of(tool)}", "Write a mapping.")
    for path, tool in _tools(subject):
        if family(tool) != "custom":  # what it takes is fixed by its type
            continue
        name, schema = tool.get("name"), tool.get("input_schema")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            yield _bad(
                subject,
                (*path, "name") if "name" in tool else path,
                f"{dotted(path)} has no valid name",
                "A tool's name has 1 to 128 letters, digits, underscores and hyphens.",
            )
        if not isinstance(schema, dict) or schema.get("type") != "object":
            yield _bad(
                subject,
                (*path, "input_schema") if "input_schema" in tool else path,
                f"{dotted(path)} has no input_schema of an object",
                "Describe what the tool takes as a JSON Schema with type: object.",
            )


def tool_parts(subject: Subject) -> Iterator[Problem]:
    """Refuse parts of tools that are of another type than the API takes."""
    for path, tool in _tools(subject):
        for key, kind, must in (("strict", bool, "true or false"), ("description", str, "text")):
            if not isinstance(tool.get(key, kind()), kind):
                place = (*path, key)
                yield _bad(subject, place, f"{dotted(place)} must be {must}", "Correct it.")


def tool_types(subject: Subject) -> Iterator[Problem]:
    """Warn of tools of a type that is not known."""
    for path, tool in _tools(subject):
        kind = family(tool)
        if kind in FAMILIES and (kind in UNDATED or is_dated(tool)):
            continue
        meant = nearest(kind, FAMILIES - {"custom"})
        hint = f"Did you mean {meant}, with its date?" if meant else "Check the spelling."
        yield subject.warning(
            "unknown-param",
            (*path, "type"),
            f"{shown(str(tool['type']))} is not a known type of tool",
            "It is sent as it is, and if the API does not know it either, every request comes back"
            f" as errored. {hint}",
        )


def service_tool_names(subject: Subject) -> Iterator[Problem]:
    """Refuse tools of the API that do not have the one name of their type."""
    for path, tool in _tools(subject):
        names = FIXED_NAMES.get(family(tool), ())
        if names and tool.get("name") not in names:
            yield _bad(
                subject,
                (*path, "name") if "name" in tool else path,
                f"{dotted(path)} is a tool of the API, and not named {listing(names, 'or')}",
                f"Write name: {names[0]}.",
            )


def tool_breakpoints(subject: Subject) -> Iterator[Problem]:
    """Refuse a cache breakpoint that is none (fact sheet §5)."""
    for path, tool in _tools(subject):
        control = tool.get("cache_control")
        known = isinstance(control, dict) and control.get("type") == "ephemeral"
        if control is not None and not (known and control.get("ttl", "5m") in ("5m", "1h")):
            place = (*path, "cache_control")
            hint = "Write {type: ephemeral}, and ttl: 5m or 1h."
            yield _bad(subject, place, f"{dotted(place)} is no cache breakpoint", hint)


def tool_schemas(subject: Subject) -> Iterator[Problem]:
    """Refuse schemas of tools that are no JSON Schema (API facts §6.8)."""
    for path, tool in _tools(subject):
        schema = tool.get("input_schema")
        for finding in invalid_parts(schema) if isinstance(schema, dict) else ():
            place = (*path, "input_schema", *finding.path)
            summary = f"{dotted(place)} is not valid in a JSON Schema"
            yield subject.error("schema-invalid", place, summary, finding.detail)


def tool_names(subject: Subject) -> Iterator[Problem]:
    """Refuse two tools of one name."""
    seen: set[str] = set()
    for path, tool in _tools(subject):
        name = tool.get("name")
        if isinstance(name, str) and name in seen:
            yield _bad(
                subject, (*path, "name"), f"the tool {shown(name)} is there twice", "Rename one."
            )
        elif isinstance(name, str):
            seen.add(name)


def strict_tools(subject: Subject) -> Iterator[Problem]:
    """Refuse strict schemas that the API could not compile, and too many of them."""
    strict = [(path, tool) for path, tool in _tools(subject) if tool.get("strict") is True]
    if len(strict) > MAX_STRICT:
        yield _bad(
            subject,
            strict[MAX_STRICT][0],
            f"params.tools has {len(strict)} strict tools",
            f"The API takes at most {MAX_STRICT} in one request. Make some of them not strict.",
        )
    facts = subject.model
    if strict and facts is not None and not facts.structured_outputs:
        yield subject.error(
            "schema-not-supported",
            (*strict[0][0], "strict"),
            f"a tool is strict, and {facts.id} has no structured outputs",
            "Every request would come back as errored. Use a newer model, or leave strict"
            f" out.{subject.as_of}",
            key=True,
        )
    for path, tool in strict:
        schema = tool.get("input_schema")
        for finding in subset_findings(schema) if isinstance(schema, dict) else ():
            yield subject.error(
                finding.code,
                (*path, "input_schema", *finding.path),
                f"the schema of a strict tool {finding.summary}",
                finding.detail,
                key=True,
            )


def schemas_together(subject: Subject) -> Iterator[Problem]:
    """Refuse schemas that are too complex together: the limits are those of one request."""
    tools = [tool.get("input_schema") for _, tool in _tools(subject) if tool.get("strict") is True]
    schemas = [schema for schema in (*tools, sent_schema(subject)) if isinstance(schema, dict)]
    parts = [complexity(schema) for schema in schemas]
    if not tools or any(any(over_limits(*part)) for part in parts):
        return
    optional, unions = (sum(column) for column in zip(*parts, strict=True)) if parts else (0, 0)
    for what in over_limits(optional, unions):
        yield subject.error(
            "schema-too-complex",
            _TOOLS,
            f"the strict tools and the response schema together have {what}",
            TOO_COMPLEX,
            key=True,
        )


def tool_choice(subject: Subject) -> Iterator[Problem]:
    """Refuse a choice that is none, or names what is not there."""
    choice = subject.get("params", "tool_choice")
    if choice is None:
        return
    path: NodePath = ("params", "tool_choice")
    kind = choice.get("type") if isinstance(choice, dict) else None
    names = [tool["name"] for _, tool in _tools(subject) if isinstance(tool.get("name"), str)]
    if kind not in CHOICES:
        hint = f"Write one of {listing([f'{{type: {kind}}}' for kind in CHOICES], 'or')}."
        yield _bad(subject, path, "params.tool_choice has no known type", hint)
    elif not subject.entries(*_TOOLS) and kind != "none":
        hint = "Define tools in params.tools, or remove it."
        yield _bad(subject, path, "params.tool_choice is set without params.tools", hint)
    elif kind == "tool" and choice.get("name") is None:
        yield _bad(subject, path, "params.tool_choice names no tool", "Write its name.")
    elif kind == "tool" and choice.get("name") not in names:
        wanted = str(choice.get("name"))
        meant = nearest(wanted, names)
        hint = f"Did you mean {meant}?" if meant else f"The tools are {listing(names, 'and')}."
        yield _bad(
            subject, path, f"params.tool_choice names {shown(wanted)}, which is no tool", hint
        )


def _bad(subject: Subject, path: NodePath, summary: str, hint: str) -> Problem:
    return subject.error(
        "bad-tool", path, summary, f"Every request would come back as errored. {hint}"
    )
