"""Rules about values of parameters that the API checks only when a request runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from batchspec.problems import Problem
from batchspec.spec.document import NodePath, dotted, shown
from batchspec.spec.facts import EFFORTS
from batchspec.spec.rules_model import FIRST_WITHOUT_SAMPLING
from batchspec.spec.subject import Subject
from batchspec.spec.words import listing

_HIGH = EFFORTS.index("high")
LEAST_THINKING = 1024
"""Tokens of the smallest budget (the SDK's own description of ``budget_tokens``)."""
THINKING = ("adaptive", "between_tools", "disabled", "enabled")
"""Fact sheet §6.2."""
_TIERS = ("auto", "standard_only")
_SAMPLING = {"temperature": 1, "top_p": 1, "top_k": None}
"""Sampling parameters with their highest value, if there is one."""


def stop_sequences(subject: Subject) -> Iterator[Problem]:
    """Refuse stop sequences that are no list of texts; warn of blank ones (API facts §6.8)."""
    given = subject.get("params", "stop_sequences")
    if given is not None and not (
        isinstance(given, list) and all(isinstance(stop, str) and stop for stop in given)
    ):
        yield _bad(subject, ("params", "stop_sequences"), "must be a list of texts", given)
        return
    for number, stop in enumerate(given or ()):
        if stop.isspace():
            yield subject.warning(
                "stop-doubtful",
                ("params", "stop_sequences", number),
                f"params.stop_sequences[{number}] has no visible character",
                "Others were answered 'each stop sequence must contain non-whitespace', in every"
                " request. Stop at a word or a mark, and ask for it in the prompt.",
            )


def sampling_values(subject: Subject) -> Iterator[Problem]:
    """Refuse sampling parameters that are no number of their range (API facts §6.8)."""
    for name, most in _SAMPLING.items():
        given = subject.get("params", name)
        if given is None:
            continue
        kinds = int if name == "top_k" else int | float
        number = isinstance(given, kinds) and not isinstance(given, bool)
        if not number or given < 0 or (most is not None and given > most):
            must = (
                "must be a whole number of 0 or more"
                if most is None
                else "must be a number from 0 to 1"
            )
            yield _bad(subject, ("params", name), must, given)


def sampling_together(subject: Subject) -> Iterator[Problem]:
    """Refuse sampling parameters beside thinking and beside each other (API facts §6.8)."""
    params, facts = subject.mapping("params"), subject.model
    taken = facts is not None and facts.sampling
    if not taken or subject.anthropic_version >= FIRST_WITHOUT_SAMPLING:
        return  # that is another rule's
    if "temperature" not in params:
        return
    thinks = subject.mapping("params", "thinking").get("type")
    if thinks in ("enabled", "adaptive") and params["temperature"] != 1:
        yield subject.error(
            "sampling-refused",
            ("params", "temperature"),
            f"params.temperature is set, and params.thinking.type is {thinks}",
            "The API answers '`temperature` may only be set to 1 when thinking is enabled' to every"
            " request. Remove one of them.",
            key=True,
        )
    if "top_p" in params:
        yield subject.error(
            "sampling-refused",
            ("params", "top_p"),
            "params.temperature and params.top_p are both set",
            "The API answers '`temperature` and `top_p` cannot both be specified for this model' to"
            " every request. Remove one of them.",
            key=True,
        )


def plain_texts(subject: Subject) -> Iterator[Problem]:
    """Refuse values that are no text where the API takes only that (fact sheet §1.5)."""
    for name in ("container", "inference_geo", "user_profile_id"):
        given = subject.get("params", name)
        if given is not None and not isinstance(given, str | dict):
            yield _bad(subject, ("params", name), "must be text", given)


def metadata(subject: Subject) -> Iterator[Problem]:
    """Refuse metadata that is no mapping (fact sheet §1.5)."""
    given = subject.get("params", "metadata")
    if given is not None and not isinstance(given, dict):
        yield _bad(subject, ("params", "metadata"), "must be a mapping with user_id", given)
    user = subject.mapping("params", "metadata").get("user_id")
    if user is not None and not isinstance(user, str):
        yield _bad(subject, ("params", "metadata", "user_id"), "must be text", user)


def service_tier(subject: Subject) -> Iterator[Problem]:
    """Refuse tiers that the API does not have (fact sheet §1.5)."""
    given = subject.get("params", "service_tier")
    if given is not None and given not in _TIERS:
        yield _bad(subject, ("params", "service_tier"), f"must be {listing(_TIERS, 'or')}", given)


def effort_value(subject: Subject) -> Iterator[Problem]:
    """Refuse an effort that is none."""
    given = subject.mapping("params", "output_config").get("effort")
    if given is not None and given not in EFFORTS:
        path = ("params", "output_config", "effort")
        yield _bad(subject, path, f"must be {listing(EFFORTS, 'or')}", given)


def output_config(subject: Subject) -> Iterator[Problem]:
    """Refuse an output_config that is no mapping (fact sheet §1.5)."""
    given = subject.get("params", "output_config")
    if given is not None and not isinstance(given, dict):
        yield _bad(subject, ("params", "output_config"), "must be a mapping with effort", given)


def thinking_kind(subject: Subject) -> Iterator[Problem]:
    """Refuse thinking without a known type; which of them a model takes is another rule's."""
    given, facts = subject.get("params", "thinking"), subject.model
    kind = given.get("type") if isinstance(given, dict) else None
    if given is None or (facts is not None and facts.thinking is not None and kind):
        return
    if kind not in THINKING:
        kinds = listing([f"{{type: {kind}}}" for kind in THINKING], "or")
        yield _bad(subject, ("params", "thinking"), f"must be {kinds}", given)


def thinking_budget(subject: Subject) -> Iterator[Problem]:
    """Refuse a budget that leaves no room for the answer, or is of no use (fact sheet §6.2)."""
    thinking, most = subject.mapping("params", "thinking"), subject.get("max_tokens")
    budget = thinking.get("budget_tokens")
    path = ("params", "thinking", "budget_tokens")
    if thinking.get("type") != "enabled":
        if budget is not None and thinking.get("type") in THINKING:
            yield _budget_for_others(subject, path, str(thinking["type"]))
    elif isinstance(budget, bool) or not isinstance(budget, int):
        yield subject.error(
            "bad-param",
            ("params", "thinking"),
            "params.thinking needs budget_tokens",
            "The type enabled thinks for so many tokens, as a whole number. The API would refuse"
            " every request without it.",
        )
    elif budget < LEAST_THINKING:
        yield _bad(subject, path, f"must be at least {LEAST_THINKING:,}", budget)
    elif isinstance(most, int) and budget >= most:
        yield subject.error(
            "bad-param",
            path,
            f"params.thinking.budget_tokens is {budget:,}, and max_tokens {most:,}",
            "Thinking is part of the answer's tokens, so max_tokens must be larger, or every"
            " request would come back as errored. Lower the budget, or raise max_tokens.",
        )


def _budget_for_others(subject: Subject, path: NodePath, kind: str) -> Problem:
    return subject.error(
        "bad-param",
        path,
        f"params.thinking.budget_tokens is set, which the type {kind} does not have",
        "Every request would come back as errored with 'Extra inputs are not permitted'. Remove it;"
        " output_config.effort says how much work goes into an answer.",
        key=True,
    )


def thinking_with_effort(subject: Subject) -> Iterator[Problem]:
    """Refuse ways of thinking that hold up to the effort high only (fact sheet §6.2)."""
    facts, kind = subject.model, subject.mapping("params", "thinking").get("type")
    effort = subject.mapping("params", "output_config").get("effort")
    if facts is None or kind not in facts.thinking_up_to_high or effort not in EFFORTS:
        return
    if EFFORTS.index(effort) > _HIGH:
        yield subject.error(
            "thinking-refused",
            ("params", "thinking", "type"),
            f"params.thinking.type is {kind}, which {facts.id} takes up to the effort high",
            f"Every request would come back as errored, since the effort is {effort}. Lower the"
            f" effort, or let the model think.{subject.as_of}",
        )


def inference_geo(subject: Subject) -> Iterator[Problem]:
    """Refuse a region for a model that takes none (fact sheet §4.1)."""
    facts, given = subject.model, subject.get("params", "inference_geo")
    if given is not None and facts is not None and facts.geo is False:
        yield subject.error(
            "geo-refused",
            ("params", "inference_geo"),
            f"params.inference_geo is set, which {facts.id} does not take",
            "Every request would come back as errored. Remove it, or use a newer"
            f" model.{subject.as_of}",
            key=True,
        )


def _written(given: Any) -> str:
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, default=str)


def _bad(subject: Subject, path: NodePath, must: str, given: Any) -> Problem:
    return subject.error(
        "bad-param",
        path,
        f"{dotted(path)} {must}, not {shown(_written(given))}",
        "Every request would come back as errored.",
    )
