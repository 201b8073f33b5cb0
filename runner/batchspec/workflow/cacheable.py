"""How much of its prompts a spec without caching could cache, by what its answers really used."""

from __future__ import annotations

from dataclasses import replace

from batchspec.inputs.engine import Engine
from batchspec.inputs.tables import open_inputs
from batchspec.problems import has_errors
from batchspec.prompt.request import Renderer, compile_prompt
from batchspec.records import frozen
from batchspec.spec.facts import CHARS_PER_TOKEN, ModelFacts
from batchspec.spec.project import LoadedSpec
from batchspec.state.ledger import LedgerReader
from batchspec.workflow.context import Session
from batchspec.workflow.pricing import past_answers
from batchspec.workflow.upstream import standing_upstream


@frozen
class Cacheable:
    """The prefix that all requests of a spec share, and that nothing caches."""

    tokens: int
    """About so many, by the characters of the prefix and what past answers used for theirs."""
    least: int
    """From so many tokens on the model caches a prefix."""


def cacheable(
    session: Session, engine: Engine, loaded: LoadedSpec, reader: LedgerReader
) -> Cacheable | None:
    """Return what `cache: auto` would cache; None when that is nothing or is not known."""
    facts = session.catalogue.facts().get(loaded.spec.model)
    if loaded.spec.cache != "off" or facts is None or facts.min_cache_tokens is None:
        return None
    renderer = _cached(session, loaded)
    if renderer is None or not renderer.prefix_chars:
        return None
    known = past_answers(session, engine, loaded.spec, facts.tokenizer, reader)
    tokens = int(renderer.prefix_chars * known.input_ratio / CHARS_PER_TOKEN[facts.tokenizer])
    return _long_enough(tokens, facts)


def _long_enough(tokens: int, facts: ModelFacts) -> Cacheable | None:
    least = facts.min_cache_tokens or 0
    return Cacheable(tokens=tokens, least=least) if tokens >= least else None


def _cached(session: Session, loaded: LoadedSpec) -> Renderer | None:
    """Return the spec's prompt as `cache: auto` would have it."""
    root = session.project.root
    upstream = standing_upstream(root, loaded, (session,))
    if upstream.waiting:
        return None
    with session.engine() as engine:
        table, problems = open_inputs(engine, root, loaded, upstream.relations)
        if table is None or has_errors(problems):
            return None
        renderer, problems = compile_prompt(
            root,
            replace(loaded, spec=loaded.spec.model_copy(update={"cache": "auto"})),
            table.columns,
            api=session.project.config.api,
            facts=session.catalogue.facts(),
        )
        return None if has_errors(problems) else renderer
