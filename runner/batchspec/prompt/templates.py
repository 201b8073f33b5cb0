"""Templates: their texts, the names they can use, and rendering them.

Jinja2's defaults hold: one trailing newline of a template is dropped (`keep_trailing_newline`
false), `trim_blocks` and `lstrip_blocks` are off, NULL is written as ``None``. Includes and imports
name their file literally, relative to the project folder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jinja2 import BaseLoader, Template
from jinja2.exceptions import TemplateError, TemplateNotFound

from batchspec.inputs.hardened import FileRefused, read_below
from batchspec.inputs.places import one_line
from batchspec.records import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from jinja2 import Environment

    from batchspec.problems import Place
    from batchspec.prompt.meter import Meter
    from batchspec.spec.document import NodePath

MAX_SOURCE = 1_000_000
"""Longest template, in bytes."""
ITEM_NAMES = ("row", "key")
"""Names that templates have besides columns and vars: the whole row, and the item's key."""

_RENDER_ERRORS = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


class ItemError(Exception):
    """One item cannot be rendered.

    Args:
        summary: What is wrong, one sentence without a final full stop and without data.
        detail: Where and why, in full sentences.
        where: Where the template, or the reference to its file, stands in the spec.
        code: Of the problem that it becomes.
    """

    def __init__(
        self, summary: str, detail: str, where: Place | None = None, code: str = "render-failed"
    ) -> None:
        super().__init__(f"{summary}. {detail}")
        self.code = code
        self.summary = summary
        self.detail = detail
        self.where = where


@frozen
class Text:
    """A template as its author wrote it."""

    source: str
    path: NodePath
    """Where it, or the reference to its file, stands in the spec."""
    file: str | None
    """The file it was read from, relative to the root; None when it stands in the spec."""

    @property
    def written(self) -> Any:
        """What the spec says: the template itself, or the file that it stands in."""
        return self.source if self.file is None else {"file": self.file}

    @property
    def name(self) -> str:
        """How messages call it: the file, or ``prompt.user``."""
        if self.file is not None:
            return self.file
        steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return "".join(steps).removeprefix(".")


@frozen
class Scope:
    """The names a spec's templates can use."""

    columns: tuple[str, ...]
    key: tuple[str, ...]
    """Names of the key's columns."""
    vars: Mapping[str, Any]

    @property
    def names(self) -> frozenset[str]:
        """All of them."""
        return frozenset((*self.columns, *self.vars, *ITEM_NAMES))


@dataclass(slots=True, kw_only=True)
class Found:
    """What a template and everything it includes refers to."""

    names: set[str] = field(default_factory=set)
    """Columns, vars, ``row`` and ``key`` that are used."""
    columns: set[str] = field(default_factory=set)
    """Columns whose values it depends on."""
    files: dict[str, str] = field(default_factory=dict)
    """Included and imported files with their text."""


class Compiled:
    """A template ready to render many rows.

    Not for several threads at once: the context is reused, which halves the time of a render.
    """

    def __init__(self, template: Template, text: Text, found: Found, meter: Meter) -> None:
        self.text = text
        self.found = found
        self._meter = meter
        self._root = template.root_render_func
        self._context = template.new_context({})

    def render(self, scope: dict[str, Any]) -> str:
        """Return the text for the values of ``scope``; the same as ``template.render(scope)``.

        Raises:
            ItemError: an undefined value, a forbidden operation, too much of anything.
        """
        context = self._context
        context.parent = scope
        context.vars.clear()
        context.exported_vars.clear()
        self._meter.reset()
        try:
            return self._meter.concat(self._root(context))
        except _RENDER_ERRORS as error:
            raise self._failure(error) from None

    def _failure(self, error: BaseException) -> ItemError:
        name, line = self.text.name, None
        trace = error.__traceback__
        while trace is not None:
            template = trace.tb_frame.f_globals.get("__jinja_template__")
            if isinstance(template, Template):
                name = template.name or name
                line = template.get_corresponding_lineno(trace.tb_lineno)
            trace = trace.tb_next
        where = name if line is None else f"{name}, line {line}"
        words = str(error) if isinstance(error, TemplateError) else f"{error_words(error)}: {error}"
        return ItemError(f"a prompt cannot be rendered ({where})", one_line(words))


class Library(BaseLoader):
    """Finds included templates below the project root, and remembers what it read."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._texts: dict[str, str] = {}

    def text(self, name: str) -> str:
        """Return the text of a template file.

        Raises:
            FileRefused: when it cannot or must not be read.
        """
        if name not in self._texts:
            self._texts[name] = read_text(self._root, name, limit=MAX_SOURCE)
        return self._texts[name]

    def get_source(
        self,
        environment: Environment,  # noqa: ARG002 - Jinja2's own signature
        template: str,
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        """Return what Jinja2 asks a loader for."""
        try:
            return self.text(template), None, None
        except FileRefused as refused:
            raise TemplateNotFound(template, f"{template} {refused.reason}") from None


def read_text(root: Path, path: str, *, limit: int = MAX_SOURCE) -> str:
    """Return the text of a file below ``root``, without a byte order mark.

    Raises:
        FileRefused: when it cannot or must not be read, or is not UTF-8.
    """
    try:
        return read_below(root, path, limit=limit).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileRefused("is not UTF-8 text") from None


def error_words(error: BaseException) -> str:
    """Return the name of an exception's class as words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
