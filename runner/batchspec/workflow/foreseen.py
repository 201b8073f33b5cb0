"""Mistakes of specs that wait for others, found before those were paid.

Rows of an upstream output are known only after it ran; its columns are known before. Every output
that is waited for is made with its columns and no rows, and what reads it is held against that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from batchspec.inputs.engine import Engine
from batchspec.inputs.tables import InputTable, open_inputs
from batchspec.outputs.upstream import Queries, tables_of
from batchspec.problems import Problem, Severity, has_errors
from batchspec.prompt.request import Renderer, compile_prompt
from batchspec.spec.facts import ModelFacts
from batchspec.spec.model import Api, FileRef
from batchspec.spec.project import LoadedSpec
from batchspec.workflow.context import Session
from batchspec.workflow.preflight import preflight

_BY_ROWS = re.compile(r"\bPIVOT(?:_WIDER)?\b", re.IGNORECASE)
"""What makes columns of values: they are known with the rows only."""


def foreseen(session: Session, loaded: LoadedSpec, there: Mapping[str, str]) -> tuple[Problem, ...]:
    """Return the errors of a spec that waits for others; see `Foresight.problems`."""
    with session.engine() as engine:
        sight = Foresight(
            engine=engine,
            root=session.project.root,
            api=session.project.config.api,
            facts=session.catalogue.facts(),
        )
        return sight.problems(loaded, there)


@dataclass(slots=True, kw_only=True)
class Foresight:
    """Looks at specs whose inputs are not there yet."""

    engine: Engine
    root: Path
    api: Api
    facts: Mapping[str, ModelFacts]
    _outputs: dict[str, Queries | None] = field(default_factory=dict)

    def problems(self, loaded: LoadedSpec, there: Mapping[str, str]) -> tuple[Problem, ...]:
        """Return the errors of a spec that hold whatever its upstream will answer.

        Args:
            loaded: The spec; some of the outputs that it needs are not there.
            there: Those that are, as relations by their names.
        """
        relations = self._relations(loaded, there)
        if relations is None or _depends_on_rows(self.root, loaded):
            return ()
        table, found = self._open(loaded, relations)
        if table is not None:
            renderer, more = self._compiled(loaded, table)
            found += more
            if renderer is not None:
                found += preflight(self.engine, self.root, loaded, table, renderer.form)
        return tuple(problem for problem in found if problem.severity is Severity.ERROR)

    def _open(
        self, loaded: LoadedSpec, relations: Mapping[str, str]
    ) -> tuple[InputTable | None, tuple[Problem, ...]]:
        return open_inputs(self.engine, self.root, loaded, relations, blank=True)

    def _compiled(
        self, loaded: LoadedSpec, table: InputTable
    ) -> tuple[Renderer | None, tuple[Problem, ...]]:
        return compile_prompt(self.root, loaded, table.columns, api=self.api, facts=self.facts)

    def _relations(self, loaded: LoadedSpec, there: Mapping[str, str]) -> dict[str, str] | None:
        """Return the tables that a spec reads, blank where they are not there; None: unknown."""
        relations = dict(there)
        for needed in loaded.needed:
            name = needed.spec.name
            if name in there:
                continue
            if name not in self._outputs:
                self._outputs[name] = self._blank(needed)
            queries = self._outputs[name]
            if queries is None:
                return None
            relations |= tables_of(name, queries)
        return relations

    def _blank(self, needed: LoadedSpec) -> Queries | None:
        """Return the outputs of a spec without rows; its own mistakes are told by its own plan."""
        # What it imports takes longer than a small plan.
        from batchspec.outputs.preflight import blank_outputs  # noqa: PLC0415

        relations = self._relations(needed, {})
        if relations is None or _depends_on_rows(self.root, needed):
            return None
        table, problems = self._open(needed, relations)
        if table is None or has_errors(problems):
            return None
        renderer, problems = self._compiled(needed, table)
        if renderer is None or has_errors(problems):
            return None
        return blank_outputs(self.engine, self.root, needed, table, renderer.form)


def _depends_on_rows(root: Path, loaded: LoadedSpec) -> bool:
    """Tell whether the columns of a spec's SQL are made of values."""
    texts = [loaded.spec.inputs.sql, *(output.select for output in loaded.spec.outputs)]
    return any(_BY_ROWS.search(_text(root, text)) for text in texts if text is not None)


def _text(root: Path, given: str | FileRef) -> str:
    if isinstance(given, str):
        return given
    try:
        return (root / given.file).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
