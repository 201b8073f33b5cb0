"""One item, completely: its row, its request, what is known of it, and how often it was asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from batchspec.errors import UsageFailure
from batchspec.inputs.engine import Engine
from batchspec.inputs.lookup import find_row
from batchspec.inputs.tables import Row, open_inputs
from batchspec.outputs.history import Asked, history
from batchspec.plan.explain import Explained, Standing, explain_item
from batchspec.plan.hashing import request_hash
from batchspec.plan.model import JsonKey, Outcome
from batchspec.plan.render import sample_of
from batchspec.plan.wording import Rewording, compare_requests
from batchspec.problems import Problem, has_errors
from batchspec.prompt.contents import identity_of, shown
from batchspec.prompt.request import ItemError, Renderer, compile_prompt
from batchspec.records import frozen
from batchspec.spec.project import LoadedSpec
from batchspec.spec.words import listing
from batchspec.state.ledger import LedgerReader
from batchspec.workflow.baselines import fetch_baseline
from batchspec.workflow.context import Session
from batchspec.workflow.derive import answer_files
from batchspec.workflow.former import former_requests
from batchspec.workflow.planning import Planner, PlanOptions
from batchspec.workflow.upstream import Upstream


@frozen
class ItemView:
    """One item as it stands."""

    spec: str
    key: JsonKey
    row: Mapping[str, Any]
    request: bytes
    """Canonical params, as they are sent."""
    request_hash: str
    row_digest: str
    """32 hex digits; a changed row has another one."""
    explained: Explained
    """What a plan would do with it, and why."""
    rewording: Rewording | None
    """How the request differs from the one in the last applied plan; None: it does not, or what
    was sent then is not to be found."""
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
    upstream = _upstream(session, loaded)
    with session.engine() as engine:
        table, problems = open_inputs(engine, session.project.root, loaded, upstream.relations)
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
            view, found = _rendered(session, engine, loaded, renderer, row)
            return view, problems + found
    raise UsageFailure(
        f"Spec {loaded.spec.name!r} has no item with the key {key!r} now.",
        hint="A key is looked up as JSON first and as text second; a composite key is a JSON "
        "list, as in '[\"north\",3]'.",
    )


def _upstream(session: Session, loaded: LoadedSpec) -> Upstream:
    options = PlanOptions()
    upstream = Planner(session=session, reader=session.reader(), options=options).upstream(loaded)
    if upstream.waiting:
        names = listing(upstream.waiting, "and")
        raise UsageFailure(
            f"The items of {loaded.spec.name!r} are known after {names}.",
            hint=f"Run {upstream.waiting[0]} first: its output is not there, or no longer fresh.",
        )
    return upstream


def _rendered(
    session: Session, engine: Engine, loaded: LoadedSpec, renderer: Renderer, row: Row
) -> tuple[ItemView | None, tuple[Problem, ...]]:
    try:
        request = renderer.render(row.values)
    except ItemError as error:
        where = error.where or loaded.place("prompt")
        problem = Problem(code=error.code, summary=error.summary, detail=error.detail, where=where)
        return None, (problem,)
    return _view(session, engine, loaded, renderer, row, request), ()


def _view(
    session: Session,
    engine: Engine,
    loaded: LoadedSpec,
    renderer: Renderer,
    row: Row,
    request: bytes,
) -> ItemView:
    digest = request_hash(identity_of(request), renderer.identity, sample_of(row, loaded.spec))
    reader = session.reader()
    known = None if reader is None else reader.known(digest[:16])
    asked: tuple[Asked, ...] = ()
    if reader is not None and known is not None:
        files = answer_files(session, reader.submissions())
        prices = session.catalogue.prices(loaded.spec.model)
        asked = history(engine, files, digest[:16], prices)
    standing = next((a for a in asked if known is not None and a.submission == known.tag), None)
    fetch_baseline(session, loaded.spec.name)
    explained = explain_item(
        engine,
        row,
        renderer,
        spec=loaded.spec,
        paths=session.baseline(loaded.spec.name),
        standing=None if known is None else Standing(outcome=known.outcome, attempt=known.attempt),
    )
    return ItemView(
        spec=loaded.spec.name,
        key=row.key_json,
        row=row.values,
        request=shown(request),
        request_hash=digest.hex(),
        row_digest=row.digest.hex(),
        explained=explained,
        rewording=_rewording(session, reader, explained, digest, request),
        outcome=None if known is None else known.outcome,
        result=_result(standing),
        history=asked,
    )


def _rewording(
    session: Session,
    reader: LedgerReader | None,
    explained: Explained,
    digest: bytes,
    request: bytes,
) -> Rewording | None:
    """Compare the request with the one that the last applied plan had for the item."""
    former = explained.former
    if reader is None or former is None or former == digest:
        return None
    sent = former_requests(session, reader, (former,)).get(former)
    return None if sent is None else compare_requests(sent, request)


def _result(asked: Asked | None) -> Any:
    if asked is None:
        return None
    return asked.text or None if asked.result is None else json.loads(asked.result)
