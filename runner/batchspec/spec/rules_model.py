"""Rules about the model: does it exist, does it still answer, and how long may an answer be."""

from __future__ import annotations

from collections.abc import Iterator

from batchspec.problems import Problem
from batchspec.spec.document import shown
from batchspec.spec.hints import SAMPLING
from batchspec.spec.subject import Subject
from batchspec.spec.words import listing, nearest

LONG_OUTPUT_BETA = "output-300k-2026-03-24"
LONG_OUTPUT = 300_000
"""Tokens of one answer with that beta, in batches only (fact sheet §6.6)."""
FIRST_WITHOUT_SAMPLING = "2026-10-21"
"""The API version that refuses sampling parameters (fact sheet §6.3)."""


def unknown_model(subject: Subject) -> Iterator[Problem]:
    """Warn of a model that the catalogue does not know."""
    model = subject.get("model")
    if not isinstance(model, str) or not model or not subject.facts or model in subject.facts:
        return
    meant = nearest(model, subject.facts)
    family = [known for known in subject.facts if model.lower() in known]
    hint = f"Did you mean {meant}?" if meant else "Check the spelling."
    if not meant and family:
        hint = f"The catalogue has {listing(family[:3], 'and')}."
    yield subject.warning(
        "unknown-model",
        ("model",),
        f"the model {shown(model)} is not in the catalogue",
        "Its limits and its price are unknown, and if the API does not know it either, every"
        f" request comes back as errored. {hint} For a new model, add its price to prices in"
        " batchspec.yaml.",
    )


def retired_model(subject: Subject) -> Iterator[Problem]:
    """Refuse a model that answers no more."""
    facts = subject.model
    if facts is None or not facts.retired:
        return
    when = "" if facts.retires_at is None else f" on {facts.retires_at}"
    yield subject.error(
        "model-retired",
        ("model",),
        f"the model {facts.id} was retired{when}",
        "Every request would come back as errored. Move the spec to a newer model; every item will"
        f" be asked again.{subject.as_of}",
    )


def retiring_model(subject: Subject) -> Iterator[Problem]:
    """Warn of a model whose retirement is announced."""
    facts, today = subject.model, subject.today
    if facts is None or today is None or not facts.deprecated or facts.retired:
        return
    if facts.retires_at is None:
        when, code = "is deprecated and may retire at any time", "model-retiring"
    elif facts.retires_at <= today:
        when, code = f"was to retire on {facts.retires_at}, which has passed", "model-overdue"
    else:
        days = (facts.retires_at - today).days
        when, code = f"retires on {facts.retires_at}, in {days} days", "model-retiring"
    yield subject.warning(
        code,
        ("model",),
        f"the model {facts.id} {when}",
        "Requests that reach a retired model fail, also those of a batch that was created before."
        f" Move the spec to a newer model; every item will be asked again.{subject.as_of}",
    )


def too_many_tokens(subject: Subject) -> Iterator[Problem]:
    """Refuse a max_tokens that the model cannot give."""
    facts, tokens = subject.model, subject.get("max_tokens")
    if facts is None or isinstance(tokens, bool) or not isinstance(tokens, int | float):
        return
    has_beta = facts.max_output_300k and LONG_OUTPUT_BETA in subject.betas
    limit = LONG_OUTPUT if has_beta else facts.max_output
    if tokens <= limit:
        return
    hint = f"Write at most {limit:,}."
    if facts.max_output_300k and not has_beta:
        hint += f" With {LONG_OUTPUT_BETA} in betas it is {LONG_OUTPUT:,}."
    yield subject.error(
        "max-tokens-too-large",
        ("max_tokens",),
        f"max_tokens is {tokens:,.0f}, and {facts.id} answers with at most {limit:,}",
        f"Every request would come back as errored. {hint}{subject.as_of}",
    )


def sampling(subject: Subject) -> Iterator[Problem]:
    """Refuse sampling parameters where the API does."""
    version, facts = subject.anthropic_version, subject.model
    if version >= FIRST_WITHOUT_SAMPLING:
        why = f"the API version {version} does not take"
        hint = "Remove it. A model that still takes it needs"
        hint += ' anthropic_version: "2023-06-01".'
    elif facts is not None and not facts.sampling:
        why = f"{facts.id} does not take"
        hint = f"Remove it, or use an older model.{subject.as_of}"
    else:
        return
    for name, value in subject.mapping("params").items():
        if (name, value, version >= FIRST_WITHOUT_SAMPLING) == ("temperature", 1, False):
            continue  # the default, which newer models still take (fact sheet §2.4)
        if name in SAMPLING:
            yield subject.error(
                "sampling-refused",
                ("params", name),
                f"params.{name} is set, which {why}",
                f"Every request would come back as errored. {hint}",
                key=True,
            )
