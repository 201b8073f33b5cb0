"""From a spec and an item to the Messages params that are sent, byte for byte.

Everything that no item reaches is encoded once. Per item, the templates are rendered, their texts
encoded as JSON strings, and spliced between the constant pieces: the result is the canonical JSON
of the whole, and costs about what rendering costs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import jinja2

from batchspec.clock import SystemClock
from batchspec.inputs.columns import Column
from batchspec.problems import Problem, Severity, has_errors
from batchspec.prompt.answer_form import AnswerForm
from batchspec.prompt.assembly import Assembly, Grouping, digest_of
from batchspec.prompt.caching import Ttl
from batchspec.prompt.compiler import Compiler
from batchspec.prompt.contents import measure
from batchspec.prompt.layout import Turn, read_turns
from batchspec.prompt.meter import Meter
from batchspec.prompt.sent_schema import read_schema
from batchspec.prompt.shelf import ContentRules, Shelf
from batchspec.prompt.slots import Slot
from batchspec.prompt.templates import ITEM_NAMES, ItemError, Scope
from batchspec.prompt.unsized import SOURCE
from batchspec.records import frozen
from batchspec.spec.facts import CHARS_PER_TOKEN, ModelFacts
from batchspec.spec.model import Api
from batchspec.spec.project import LoadedSpec

__all__ = ["ItemError", "Renderer", "compile_prompt"]

RENDER_VERSION = 1
"""Raised whenever the same spec and row would give other bytes than before."""


@frozen
class Group:
    """What an item's prefix has in common with those of other items."""

    digest: bytes
    chars: int
    """Characters that count for its price."""


class Renderer:
    """Makes the request of each item of one spec. Not for several threads at once.

    Files in a request are references, see `prompt.contents`; without files, a request is the bytes
    that are sent. Use `compile_prompt` to make one.
    """

    parts: dict[str, str]
    """Hex digest by what it covers, for reasons: prompt, files, model, params, schema and so on."""
    files: dict[str, str]
    """Hex digest of each file that the prompt reads, by its path. For reasons."""
    render_digest: str
    """Hex digest over everything that rendering reads, except the row."""
    identity: bytes
    """Canonical JSON of what changes an answer besides the params: version header and betas."""
    columns_used: tuple[str, ...]
    """Columns that the prompt depends on, sorted."""
    form: AnswerForm
    """How answers are read and validated."""
    sent_schema: dict[str, Any] | None
    """The JSON Schema that is sent as structured output."""
    prefix_chars: int
    """Characters of the cacheable prefix; 0 without a breakpoint."""
    cache_ttl: Ttl | None
    """None: no breakpoint."""
    short_prefix: tuple[int, Ttl] | None
    """Characters and lifetime of a marked prefix that seems too short for the model to cache it."""
    dearest_ttl: Ttl | None
    """The longest lifetime of all breakpoints, the author's included; None: there is none."""
    grouping: Grouping | None
    """The breakpoint behind values of the item, if there is one."""
    chars_per_token: Decimal
    """Characters of text that cost a token of its model."""
    page_tokens: int
    """Tokens that a page of a PDF is taken for."""
    shows_files: bool
    """Whether requests may show pictures or documents, of the project or from elsewhere."""
    has_files: bool
    """Whether requests carry files of the project."""
    reads_files: bool
    """Whether items name files whose content no column holds, so that a row says too little."""
    notes: tuple[str, ...]
    """What the plan's reader should know of the schema and of caching."""

    def __init__(
        self, plan: Assembly, pieces: Sequence[bytes], slots: Sequence[Slot], scope: Scope
    ) -> None:
        self.parts = plan.parts()
        self.files = plan.files()
        self.render_digest = digest_of(
            {"parts": self.parts, "version": RENDER_VERSION, "jinja2": jinja2.__version__}
        )
        self.identity = plan.identity
        self.form = plan.form
        self.sent_schema = plan.schema.sent
        self._document = plan.document
        self.prefix_chars = plan.breakpoint.prefix_chars
        self.cache_ttl = plan.breakpoint.ttl
        self.short_prefix = plan.breakpoint.short
        self.notes = (*_samples_note(plan.spec.samples), *plan.schema.notes, *plan.breakpoint.notes)
        self.columns_used = tuple(sorted(plan.columns_used()))
        self._pieces = tuple(pieces)
        self.grouping = plan.grouping
        self.chars_per_token = CHARS_PER_TOKEN[plan.tokenizer]
        self.page_tokens = plan.spec.assume.page_tokens
        constant = b"".join(pieces)
        self.shows_files = SOURCE in constant
        self.dearest_ttl = _dearest(constant)
        self._slots = tuple(slots)
        self.has_files = any(slot.holds_file for slot in plan.slots)
        self.reads_files = any(slot.reads_file for slot in slots)
        self._vars = dict(scope.vars)
        self._key = scope.key
        self.nulls: dict[str, int] = {}
        """Texts in which a NULL of a column became the word None, by column."""

    def render(self, row: Mapping[str, Any]) -> bytes:
        """Return the canonical JSON of one item's params, its files as references.

        Raises:
            ItemError: when a template fails for this row, leaves a block empty, or names a file
                that cannot be sent.
        """
        scope = {**self._vars, "row": row, "key": self._key_of(row), **row}
        pieces = [self._pieces[0]]
        for slot, after in zip(self._slots, self._pieces[1:], strict=True):
            try:
                encoded = slot.encoded(scope)
                pieces += (encoded, after)
            except ItemError as error:
                error.where = self._document.place(slot.template.text.path)
                raise
            if b"None" in encoded:
                self._note_nulls(slot, row)
        return b"".join(pieces)

    def _note_nulls(self, slot: Slot, row: Mapping[str, Any]) -> None:
        """Count a text that shows a NULL as the word None, unless the template writes the word."""
        if "None" not in slot.template.text.source:
            for name in slot.template.found.columns:
                if name in row and row[name] is None:
                    self.nulls[name] = self.nulls.get(name, 0) + 1

    def problems(self) -> tuple[Problem, ...]:
        """Return what rendering showed so far that was hardly meant."""
        return tuple(
            Problem(
                code="null-in-prompt",
                summary=f"prompts show missing values of {name} as the word None",
                detail=f"{count:,} {'prompt does' if count == 1 else 'prompts do'}."
                f' Leave such items out, or write {{{{ {name} or "" }}}} where it may be'
                " missing; that is another question for these items alone.",
                severity=Severity.WARNING,
                where=self._document.place(("prompt",), key=True),
            )
            for name, count in sorted(self.nulls.items())
        )

    def group(self, row: Mapping[str, Any]) -> Group | None:
        """Return what the prefixes of items have in common that should travel together.

        None: no breakpoint stands behind a value of the item. Raises ItemError as `render` does.
        """
        if self.grouping is None:
            return None
        scope = {**self._vars, "row": row, "key": self._key_of(row), **row}
        written = b"".join(slot.encoded(scope) for slot in self.grouping.slots)
        measured = measure(written, uploaded=False, per_token=self.chars_per_token)
        return Group(
            digest=hashlib.blake2b(written, digest_size=8).digest(),
            chars=len(measured.text) + measured.chars,
        )

    def _key_of(self, row: Mapping[str, Any]) -> Any:
        if len(self._key) == 1:
            return row.get(self._key[0])
        return [row.get(name) for name in self._key]


def _dearest(constant: bytes) -> Ttl | None:
    if b'"cache_control":' not in constant:
        return None
    return "1h" if b'"ttl":"1h"' in constant else "5m"


def _samples_note(samples: int) -> tuple[str, ...]:
    if samples == 1:
        return ()
    return (
        f"Each row of the inputs is asked {samples} times; its key ends in the sample's number.",
    )


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
    schema, found = read_schema(project_root, loaded)
    known = (facts or {}).get(spec.model)
    rules = ContentRules(facts=known, uploaded=spec.files_api, page_tokens=spec.assume.page_tokens)
    shelf = Shelf(project_root, rules)
    turns, more = read_turns(project_root, loaded, compiler, shelf)
    problems += [*found, *more, *compiler.problems]
    if has_errors(problems):
        return None, tuple(problems)
    problems += _constants(turns, scope, loaded)
    if has_errors(problems):
        return None, tuple(problems)
    plan = Assembly(loaded, turns, schema, api or Api(), known)
    problems += plan.problems()
    if has_errors(problems):
        return None, tuple(problems)
    pieces, slots = plan.encode()
    return Renderer(plan, pieces, slots, scope), tuple(problems)


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


def _constants(turns: Sequence[Turn], scope: Scope, loaded: LoadedSpec) -> list[Problem]:
    """Render once what no item reaches."""
    problems = []
    for slot in (slot for turn in turns for slot in turn.slots):
        used = slot.template.found.names
        if used - (scope.vars.keys() - set(scope.columns)):
            continue
        try:
            slot.constant = slot.value(dict(scope.vars))
        except ItemError as error:
            where = loaded.document.place(slot.template.text.path)
            problems.append(
                Problem(code=error.code, summary=error.summary, detail=error.detail, where=where)
            )
    return problems
