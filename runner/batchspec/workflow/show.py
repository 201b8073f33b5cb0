"""One item, completely: its row, its request, what is known of it, and how often it was asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batchspec.errors import UsageFailure
from batchspec.inputs.engine import Engine
from batchspec.inputs.lookup import find_row
from batchspec.inputs.tables import Row, open_inputs
from batchspec.outputs.history import Asked, history
from batchspec.plan.hashing import request_hash
from batchspec.plan.model import JsonKey, Outcome
from batchspec.problems import Problem, has_errors
from batchspec.prompt.contents import identity_of
from batchspec.prompt.request import Renderer, compile_prompt
from batchspec.spec.project import LoadedSpec
from batchspec.workflow.collect import answer_files
from batchspec.workflow.context import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemView:
    """One item as it stands."""

    spec: str
    key: JsonKey
    row: Mapping[str, Any]
    request: bytes
    """Canonical params, as they are sent."""
    request_hash: str
    outcome: Outcome | None
    """What the state knows of the question; None: it was never asked."""
    result: Any
    """The answer that stands: parsed JSON with a schema, else text; None without an answer."""
    history: tuple[Asked, ...]


def show_item(
    session: Session, loaded: LoadedSpec, key: str
) -> tuple[ItemView | None, tuple[Problem, ...]]:
    """Return one item of a spec.

    Args:
        session: The session.
        loaded: The spec.
        key: The item's key, as text or as JSON.

    Raises:
        UsageFailure: the inputs have no such item.
    """
    with session.engine() as engine:
        table, problems = open_inputs(engine, session.project.root, loaded, {})
        if table is None:
            return None, problems
        renderer, found = compile_prompt(
            session.project.root,
            loaded,
            table.columns,
            api=session.project.config.api,
            facts=session.catalogue.facts(),
        )
        problems += found
        if renderer is None or has_errors(problems):
            return None, problems
        row = find_row(engine, table, key)
        if row is not None:
            return _view(session, engine, loaded, renderer, row), problems
    raise UsageFailure(
        f"Spec {loaded.spec.name!r} has no item with the key {key!r} now.",
        hint="A key is looked up as JSON first and as text second; a composite key is a JSON "
        "list, as in '[\"north\",3]'.",
    )


def _view(
    session: Session, engine: Engine, loaded: LoadedSpec, renderer: Renderer, row: Row
) -> ItemView:
    request = renderer.render(row.values)
    digest = request_hash(identity_of(request), renderer.identity)
    reader = session.reader()
    known = None if reader is None else reader.known(digest[:16])
    asked: tuple[Asked, ...] = ()
    if reader is not None and known is not None:
        asked = history(engine, answer_files(session, reader.submissions()), digest[:16])
    standing = next((a for a in asked if known is not None and a.submission == known.tag), None)
    return ItemView(
        spec=loaded.spec.name,
        key=row.key_json,
        row=row.values,
        request=request,
        request_hash=digest.hex(),
        outcome=None if known is None else known.outcome,
        result=_result(standing),
        history=asked,
    )


def _result(asked: Asked | None) -> Any:
    if asked is None:
        return None
    return asked.text or None if asked.result is None else json.loads(asked.result)
