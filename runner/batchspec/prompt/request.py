"""From a spec and an item to the Messages params that are sent, byte for byte.

Everything that no item reaches is encoded once. Per item, the templates are rendered, their texts
encoded as JSON strings, and spliced between the constant pieces: the result is the canonical JSON
of the whole, and costs about what rendering costs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from batchspec.clock import SystemClock
from batchspec.inputs.columns import Column
from batchspec.inputs.hardened import FileRefused
from batchspec.problems import Problem, has_errors
from batchspec.prompt.caching import Breakpoint, Segment, Ttl, place_breakpoint
from batchspec.prompt.canonical import canonical_json, canonical_text
from batchspec.prompt.compiler import Compiler
from batchspec.prompt.layout import SYSTEM, Block, Turn, read_turns
from batchspec.prompt.meter import Meter
from batchspec.prompt.templates import ITEM_NAMES, ItemError, Scope, read_text
from batchspec.spec.facts import ModelFacts
from batchspec.spec.model import Api, FileRef
from batchspec.spec.project import LoadedSpec

__all__ = ["ItemError", "Renderer", "compile_prompt"]

RENDER_VERSION = 1
"""Raised whenever the same spec and row would give other bytes than before."""


class Renderer:
    """Makes the params of each item of one spec. Not for several threads at once.

    Use `compile_prompt` to make one.
    """

    parts: dict[str, str]
    """Hex digest by what it covers: prompt, model, params, schema, vars, cache. For reasons."""
    render_digest: str
    """Hex digest over everything that rendering reads, except the row."""
    identity: bytes
    """Canonical JSON of what changes an answer besides the params: version header and betas."""
    columns_used: tuple[str, ...]
    """Columns that the prompt depends on, sorted."""
    schema: dict[str, Any] | None
    """The JSON Schema that is sent and that answers are validated against."""
    prefix_chars: int
    """Characters of the cacheable prefix; 0 without a breakpoint."""
    cache_ttl: Ttl | None
    """None: no breakpoint."""
    notes: tuple[str, ...]
    """What the plan's reader should know of caching."""

    def __init__(
        self, plan: _Plan, pieces: Sequence[bytes], blocks: Sequence[Block], scope: Scope
    ) -> None:
        self.parts = plan.parts()
        self.render_digest = _digest(
            {"parts": self.parts, "version": RENDER_VERSION, "jinja2": jinja2.__version__}
        )
        self.identity = plan.identity
        self.schema = plan.schema
        self._document = plan.document
        self.prefix_chars = plan.breakpoint.prefix_chars
        self.cache_ttl = plan.breakpoint.ttl
        self.notes = plan.breakpoint.notes
        self.columns_used = tuple(sorted(plan.columns_used()))
        self._pieces = tuple(pieces)
        self._blocks = tuple(blocks)
        self._vars = dict(scope.vars)
        self._key = scope.key

    def render(self, row: Mapping[str, Any]) -> bytes:
        """Return the canonical JSON of one item's params: the bytes that are sent.

        Raises:
            ItemError: when a template fails for this row, or leaves a block empty.
        """
        scope = {**self._vars, "row": row, "key": self._key_of(row), **row}
        pieces = [self._pieces[0]]
        for block, after in zip(self._blocks, self._pieces[1:], strict=True):
            try:
                pieces += (_rendered(block, scope), after)
            except ItemError as error:
                error.where = self._document.place(block.template.text.path)
                raise
        return b"".join(pieces)

    def _key_of(self, row: Mapping[str, Any]) -> Any:
        if len(self._key) == 1:
            return row.get(self._key[0])
        return [row.get(name) for name in self._key]


def compile_prompt(
    project_root: Path,
    loaded: LoadedSpec,
    columns: Sequence[Column],
    *,
    facts: Mapping[str, ModelFacts] | None = None,
    api: Api | None = None,
    max_characters: int | None = None,
) -> tuple[Renderer | None, tuple[Problem, ...]]:
    """Compile a spec's prompt against the columns of its inputs.

    Args:
        project_root: The project root.
        loaded: The spec.
        columns: The inputs' columns.
        facts: What is known of models, by name; the spec's model decides whether the shared prefix
            is long enough to be cached. The same facts must be given every time, since a
            breakpoint is part of the request.
        api: Version header and betas, part of a question's identity.
        max_characters: Longest text of one template; None: `meter.MAX_CHARACTERS`.

    Returns:
        The renderer, or None when a problem makes it impossible, and every problem found.
    """
    spec = loaded.spec
    scope = Scope(
        columns=tuple(column.name for column in columns),
        key=spec.inputs.key or ("path",),
        vars=spec.vars,
    )
    limits = {} if max_characters is None else {"max_characters": max_characters}
    compiler = Compiler(project_root, loaded, scope, Meter(SystemClock().elapsed, **limits))
    problems = list(_clashes(loaded, scope))
    schema, found = _schema(project_root, loaded)
    turns, more = read_turns(project_root, loaded, compiler)
    problems += [*found, *more, *compiler.problems]
    if has_errors(problems):
        return None, tuple(problems)
    problems += _constants(turns, scope, loaded)
    if has_errors(problems):
        return None, tuple(problems)
    plan = _Plan(loaded, turns, schema, api or Api(), (facts or {}).get(spec.model))
    pieces, blocks = plan.encode()
    return Renderer(plan, pieces, blocks, scope), tuple(problems)


def _clashes(loaded: LoadedSpec, scope: Scope) -> list[Problem]:
    problems = []
    for name in scope.vars:
        if name not in scope.columns and name not in ITEM_NAMES:
            continue
        what = "a column" if name in scope.columns else "a name that every template has"
        problems.append(
            Problem(
                code="name-clash",
                summary=f'"{name}" is both a variable of vars and {what}',
                detail="A template could not tell them apart. Rename the variable.",
                where=loaded.document.place(("vars", name), key=True),
            )
        )
    return problems


def _schema(root: Path, loaded: LoadedSpec) -> tuple[dict[str, Any] | None, list[Problem]]:
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
    detail = "The schema is sent with every request. Correct the file."
    return None, [Problem(code="bad-schema-file", summary=summary, detail=detail, where=where)]


def _constants(turns: Sequence[Turn], scope: Scope, loaded: LoadedSpec) -> list[Problem]:
    """Render once what no item reaches."""
    problems = []
    for block in _blocks(turns):
        used = block.template.found.names
        if used - (scope.vars.keys() - set(scope.columns)):
            continue
        try:
            block.constant = block.template.render(dict(scope.vars))
            if not block.constant or block.constant.isspace():
                raise _empty(block)
        except ItemError as error:
            where = loaded.document.place(block.template.text.path)
            problems.append(
                Problem(
                    code="render-failed", summary=error.summary, detail=error.detail, where=where
                )
            )
    return problems


def _rendered(block: Block, scope: dict[str, Any]) -> bytes:
    text = block.template.render(scope)
    if not text or text.isspace():
        raise _empty(block)
    try:
        return canonical_text(text)
    except ValueError as error:
        raise ItemError("a prompt holds a broken character", f"{error}.") from None


def _empty(block: Block) -> ItemError:
    return ItemError(
        f"a prompt is empty ({block.template.text.name})",
        "The API refuses text blocks without a visible character. Leave such items out, or give"
        " the template a text for them.",
    )


def _blocks(turns: Sequence[Turn]) -> list[Block]:
    return [block for turn in turns for block in turn.blocks]


class _Plan:
    """Everything about a spec's requests that is known before items are."""

    def __init__(
        self,
        loaded: LoadedSpec,
        turns: Sequence[Turn],
        schema: dict[str, Any] | None,
        api: Api,
        facts: ModelFacts | None,
    ) -> None:
        self.spec = loaded.spec
        self.document = loaded.document
        self.turns = turns
        self.schema = schema
        self.identity = canonical_json(
            {"anthropic_version": api.anthropic_version, "betas": sorted(set(api.betas))}
        )
        self.breakpoint: Breakpoint = place_breakpoint(
            self.spec.cache,
            [segment for _, segment in self._segments()],
            tools=self.spec.params.get("tools"),
            facts=facts,
        )

    def parts(self) -> dict[str, str]:
        """Return the digests that explain a change."""
        template_files: dict[str, str] = {}
        for block in _blocks(self.turns):
            template_files |= block.template.found.files
        written = [
            [turn.role, turn.plain, [[b.template.text.source, b.rest] for b in turn.blocks]]
            for turn in self.turns
        ]
        key = self.spec.inputs.key or ("path",)
        place = self.breakpoint.place
        return {
            "prompt": _digest([written, template_files, list(key)]),
            "model": _digest(self.spec.model),
            "params": _digest([self.spec.params, self.spec.max_tokens, self.identity.decode()]),
            "schema": _digest(self.schema),
            "vars": _digest(self.spec.vars),
            "cache": _digest([None if place is None else list(place), self.breakpoint.ttl]),
        }

    def columns_used(self) -> set[str]:
        """Return the columns that any template depends on."""
        return {name for block in _blocks(self.turns) for name in block.template.found.columns}

    def encode(self) -> tuple[list[bytes], list[Block]]:
        """Return the constant pieces of the params' canonical JSON, and the blocks between them."""
        varying = [block for block in _blocks(self.turns) if block.constant is None]
        marker = self._marker()
        names = {id(block): f"{marker}{number}\0" for number, block in enumerate(varying)}
        encoded = canonical_json(self._params(names))
        places = sorted(
            (encoded.index(canonical_text(names[id(block)])), block_number, block)
            for block_number, block in enumerate(varying)
        )
        pieces, at = [], 0
        for start, _, block in places:
            pieces.append(encoded[at:start])
            at = start + len(canonical_text(names[id(block)]))
        return [*pieces, encoded[at:]], [block for _, _, block in places]

    def _marker(self) -> str:
        """Return a text that stands in no constant of the request."""
        constants = canonical_json(self._params({})).decode()
        number = 0
        while f"batchspec-{number}-" in constants:
            number += 1
        return f"\0batchspec-{number}-"

    def _params(self, names: Mapping[int, str]) -> dict[str, Any]:
        params = dict(self.spec.params)
        params["model"] = self.spec.model
        params["max_tokens"] = self.spec.max_tokens
        params["messages"] = []
        for path, turn in self._turns():
            content = self._content(path, turn, names)
            if turn.role == SYSTEM:
                params["system"] = content
            else:
                params["messages"].append({"role": turn.role, "content": content})
        if self.schema is not None:
            form = {"type": "json_schema", "schema": self.schema}
            params["output_config"] = {**params.get("output_config", {}), "format": form}
        if self.breakpoint.place == ("tools",):
            *others, last = params["tools"]
            params["tools"] = [*others, {**last, "cache_control": self.breakpoint.control}]
        return params

    def _content(
        self, path: tuple[str | int, ...], turn: Turn, names: Mapping[int, str]
    ) -> str | list[dict[str, Any]]:
        texts = [
            block.constant if block.constant is not None else names.get(id(block), "")
            for block in turn.blocks
        ]
        marked = self.breakpoint.place
        if turn.plain and (marked is None or marked[:-1] != path):
            return texts[0]
        content: list[dict[str, Any]] = []
        for number, (block, text) in enumerate(zip(turn.blocks, texts, strict=True)):
            written = {**block.rest, "type": "text", "text": text}
            if marked == (*path, number):
                written["cache_control"] = self.breakpoint.control
            content.append(written)
        return content

    def _turns(self) -> list[tuple[tuple[str | int, ...], Turn]]:
        messages = [turn for turn in self.turns if turn.role != SYSTEM]
        system = [turn for turn in self.turns if turn.role == SYSTEM]
        return [
            *((("system",), turn) for turn in system),
            *((("messages", number), turn) for number, turn in enumerate(messages)),
        ]

    def _segments(self) -> list[tuple[Block, Segment]]:
        return [
            (block, Segment(place=(*path, number), constant=block.constant))
            for path, turn in self._turns()
            for number, block in enumerate(turn.blocks)
        ]


def _digest(value: Any) -> str:
    """Return the SHA-256 of plain data, hex.

    It labels changes and is no identity, so JSON with sorted keys will do.
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
