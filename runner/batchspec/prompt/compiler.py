"""Finding the mistakes of templates before any item is rendered, and compiling the sound ones."""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING

from jinja2 import Template, meta, nodes
from jinja2.exceptions import TemplateSyntaxError

from batchspec.inputs.hardened import FileRefused
from batchspec.inputs.places import inside, one_line
from batchspec.problems import Place, Problem
from batchspec.prompt.sandbox import MAPPING_METHODS, PromptEnvironment
from batchspec.prompt.templates import Compiled, Found, Library, Scope, Text, error_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from batchspec.prompt.meter import Meter
    from batchspec.spec.project import LoadedSpec

MAX_DEPTH = 10
"""Templates included inside each other."""

_COMPILE_ERRORS = (SyntaxError, RecursionError, MemoryError, ValueError, OverflowError)
"""What Python itself raises for a template nested too deeply or with absurd literals."""


class Compiler:
    """Compiles the templates of one spec and collects their problems."""

    def __init__(self, root: Path, loaded: LoadedSpec, scope: Scope, meter: Meter) -> None:
        self.problems: list[Problem] = []
        self._loaded = loaded
        self._scope = scope
        self._meter = meter
        self._library = Library(root)
        self._environment = PromptEnvironment(meter, self._library)

    def compile(self, text: Text) -> Compiled | None:
        """Return the compiled template, or None after noting its problems."""
        before = len(self.problems)
        found = Found()
        self._examine(text, self._scope.names, found, (text.name,))
        if len(self.problems) > before:
            return None
        self._meter.reset()
        try:
            code = self._environment.compile(text.source, text.name, text.name)
            template = Template.from_code(self._environment, code, {})
        except TemplateSyntaxError as error:
            self._misspelt(text, error)
            return None
        except _COMPILE_ERRORS as error:
            self._too_complex(text, error)
            return None
        return Compiled(template, text, found, self._meter)

    def _examine(
        self, text: Text, known: frozenset[str], found: Found, stack: tuple[str, ...]
    ) -> None:
        """Check one template and, recursively, what it includes."""
        try:
            tree = self._environment.parse(text.source, text.name, text.name)
            if self._unknown_filters(text, tree):
                return
            undeclared = meta.find_undeclared_variables(tree)
        except TemplateSyntaxError as error:
            self._misspelt(text, error)
            return
        except _COMPILE_ERRORS as error:
            self._too_complex(text, error)
            return
        for name in sorted(undeclared):
            if name not in known:
                self._undefined(text, tree, name, known)
        found.names |= undeclared & self._scope.names
        self._columns_of(text, tree, undeclared, found)
        given = frozenset(
            name.name for name in tree.find_all(nodes.Name) if name.ctx in {"store", "param"}
        )
        for reference in _references(tree):
            inner = known | given if reference.with_context else frozenset()
            self._include(text, reference, inner, found, stack)

    def _misspelt(self, text: Text, error: TemplateSyntaxError) -> None:
        """Note what Jinja does not understand; columns with spaces in their names are often why."""
        detail = one_line(error.message or "")
        tags = " ".join(map(_in_tags, text.source.split("\n")))
        odd = [name for name in self._scope.columns if not name.isidentifier() and name in tags]
        if odd:
            detail = f"{detail} The column {odd[0]} is written {_spelt(odd[0])} in a template."
        self._note("template-syntax", text, error.lineno, detail)

    def _columns_of(
        self, text: Text, tree: nodes.Template, undeclared: set[str], found: Found
    ) -> None:
        columns = self._scope.columns
        found.columns |= undeclared.intersection(columns)
        if "key" in undeclared and "key" not in columns:
            found.columns |= set(self._scope.key)
        if "row" not in undeclared or "row" in columns:
            return
        uses = [node for node in tree.find_all(nodes.Name) if node.name == "row"]
        named = list(_row_fields(tree))
        for line, name in named:
            if name in columns:
                found.columns.add(name)
            elif name in MAPPING_METHODS:
                found.columns |= set(columns)
            else:
                self._missing(text, line, f"row.{name}", name, columns)
        if len(named) < len(uses):
            found.columns |= set(columns)

    def _include(
        self,
        text: Text,
        reference: nodes.Include | nodes.Import | nodes.FromImport,
        known: frozenset[str],
        found: Found,
        stack: tuple[str, ...],
    ) -> None:
        names = _constant_names(reference.template)
        if names is None:
            self._note(
                "dynamic-include",
                text,
                reference.lineno,
                "Write the file's name as text: what a prompt reads must be known before items are"
                " looked at, since it decides which questions changed.",
            )
            return
        optional = isinstance(reference, nodes.Include) and reference.ignore_missing
        for name in names:
            if name in stack or len(stack) > MAX_DEPTH:
                chain = " → ".join((*stack, name))
                detail = f"At most {MAX_DEPTH} templates may include each other, without a circle."
                self._note("include-cycle", text, reference.lineno, f"{chain}. {detail}")
                continue
            try:
                inner = self._library.text(name)
            except FileRefused as refused:
                if not (optional or len(names) > 1):
                    detail = f"The file {name} {refused.reason}. Names start at the project folder."
                    self._note("include-missing", text, reference.lineno, detail)
                continue
            found.files[name] = inner
            included = Text(source=inner, path=text.path, file=name)
            self._examine(included, known, found, (*stack, name))

    def _unknown_filters(self, text: Text, tree: nodes.Template) -> bool:
        known: dict[type[nodes.Filter | nodes.Test], tuple[str, Mapping[str, object]]] = {
            nodes.Filter: ("filter", self._environment.filters),
            nodes.Test: ("test", self._environment.tests),
        }
        clean = True
        for kind, (word, functions) in known.items():
            for node in tree.find_all(kind):
                if node.name not in functions:
                    clean = False
                    names = sorted(name for name in functions if name[0].isalpha())
                    self._missing(text, node.lineno, f"the {word} {node.name}", node.name, names)
        return not clean

    def _undefined(
        self, text: Text, tree: nodes.Template, name: str, known: frozenset[str]
    ) -> None:
        lines = [node.lineno for node in tree.find_all(nodes.Name) if node.name == name]
        self._missing(text, min(lines, default=1), name, name, sorted(known))

    def _missing(
        self, text: Text, line: int, shown: str, name: str, known: tuple[str, ...] | list[str]
    ) -> None:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {_spelt(near[0])}? " if near else ""
        listed = ", ".join(known) if known else "none, since it is imported without context"
        self.problems.append(
            Problem(
                code="undefined-name",
                summary=f"the template uses {shown}, which does not exist",
                detail=f"{hint}Known here: {listed}.",
                where=self._place(text, line, name),
            )
        )

    def _too_complex(self, text: Text, error: BaseException) -> None:
        detail = (
            f"It is nested too deeply or holds a number that is too long ({error_words(error)})."
        )
        self._note("template-too-complex", text, None, detail)

    def _note(self, code: str, text: Text, line: int | None, detail: str) -> None:
        self.problems.append(
            Problem(
                code=code,
                summary=_SUMMARIES[code],
                detail=detail,
                where=self._place(text, line, None),
            )
        )

    def _place(self, text: Text, line: int | None, name: str | None) -> Place:
        column = None
        lines = text.source.split("\n")
        if name is not None and line is not None and line <= len(lines):
            match = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", _in_tags(lines[line - 1]))
            column = None if match is None else match.start() + 1
        return inside(
            self._loaded,
            text.path,
            text=text.source,
            file=text.file,
            line=line,
            column=column,
        )


_SUMMARIES = {
    "dynamic-include": "the template computes the name of what it includes",
    "include-cycle": "templates include each other without end",
    "include-missing": "the template includes a file that cannot be read",
    "template-syntax": "the template cannot be understood",
    "template-too-complex": "the template is too complex",
}


def _spelt(name: str) -> str:
    """Return how a template writes a column's name."""
    return name if name.isidentifier() else f"row[{json.dumps(name, ensure_ascii=False)}]"


def _in_tags(line: str) -> str:
    """Return a line with the text outside ``{{ }}`` and ``{% %}`` blanked, columns kept."""
    if "{{" not in line and "{%" not in line:
        return line
    blank = re.compile(r"(\{\{.*?(?:\}\}|$)|\{%.*?(?:%\}|$))|.")
    return blank.sub(lambda match: match[1] or " ", line)


def _references(
    tree: nodes.Template,
) -> Iterator[nodes.Include | nodes.Import | nodes.FromImport]:
    yield from tree.find_all(nodes.Include)
    yield from tree.find_all(nodes.Import)
    yield from tree.find_all(nodes.FromImport)


def _constant_names(template: nodes.Expr) -> list[str] | None:
    """Return the names an include can mean, or None when they are computed."""
    items = template.items if isinstance(template, nodes.List | nodes.Tuple) else [template]
    names = [item.value for item in items if isinstance(item, nodes.Const)]
    known = [name for name in names if isinstance(name, str)]
    return known if len(known) == len(items) else None


def _row_fields(tree: nodes.Template) -> Iterator[tuple[int, str]]:
    """Yield line and name for each ``row.name`` and ``row["name"]``."""
    for attribute in tree.find_all(nodes.Getattr):
        if isinstance(attribute.node, nodes.Name) and attribute.node.name == "row":
            yield attribute.lineno, attribute.attr
    for item in tree.find_all(nodes.Getitem):
        owner, argument = item.node, item.arg
        of_row = isinstance(owner, nodes.Name) and owner.name == "row"
        if of_row and isinstance(argument, nodes.Const) and isinstance(argument.value, str):
            yield item.lineno, argument.value
