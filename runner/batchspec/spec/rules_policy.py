"""The rules of the project's policy, as far as a spec's text decides them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any

from batchspec.problems import Problem
from batchspec.records import frozen
from batchspec.spec.document import Document, NodePath, shown
from batchspec.spec.policy import PolicyRule
from batchspec.spec.rules_checks import named_checks
from batchspec.spec.subject import Subject
from batchspec.spec.words import listing


@frozen
class Breach:
    """A rule that a spec breaks."""

    code: str
    setting: str
    """The rule's."""
    path: NodePath
    """In the spec."""
    summary: str
    remedy: str
    at_key: bool = False
    """The key is at fault, not the value."""


Finder = Callable[[Subject, PolicyRule], Iterator[Breach]]


def policy_breaches(subject: Subject) -> Iterator[Problem]:
    """Yield every breach of the rules that hold for a spec today."""
    policy = subject.policy
    if policy is None:
        return
    for held in policy.rules_for(subject.name, subject.today):
        for find in _FINDERS:
            for breach in find(subject, held.rule):
                yield Problem(
                    code=breach.code,
                    summary=breach.summary,
                    detail=f"{policy.because(held, breach.setting)} {breach.remedy}",
                    where=subject.document.place(breach.path, key=breach.at_key),
                    rule=policy.place(held, breach.setting),
                )


def _model(subject: Subject, rule: PolicyRule) -> Iterator[Breach]:
    model, allowed = subject.get("model"), rule.allowed_models
    if allowed is None or not isinstance(model, str):
        return
    if not any(fnmatchcase(model, glob) for glob in allowed):
        yield Breach(
            code="policy-model",
            setting="allowed_models",
            path=("model",),
            summary=f"the policy does not allow the model {shown(model)}",
            remedy=f"Allowed here: {listing(allowed, 'and')}.",
        )


def _max_tokens(subject: Subject, rule: PolicyRule) -> Iterator[Breach]:
    tokens, most = subject.get("max_tokens"), rule.max_tokens
    if most is None or not isinstance(tokens, int) or tokens <= most:
        return
    yield Breach(
        code="policy-max-tokens",
        setting="max_tokens",
        path=("max_tokens",),
        summary=f"max_tokens is {tokens:,}, and the policy allows {most:,}",
        remedy="Lower it.",
    )


def _checks(subject: Subject, rule: PolicyRule) -> Iterator[Breach]:
    strict: set[str] = set()
    mild: dict[str, int] = {}
    for number, kind, name, check in named_checks(subject):
        if check.get("severity", "error") == "error":
            strict |= {kind, name}
        else:
            mild = {kind: number, name: number} | mild
    for wanted in rule.required_checks or ():
        if wanted in strict:
            continue
        number = mild.get(wanted, -1)
        warns = number >= 0
        yield Breach(
            code="policy-check",
            setting="required_checks",
            path=("checks", number, "severity") if warns else ("checks",),
            summary=f"the policy requires the check {shown(wanted)}"
            + (", and here it only warns" if warns else ""),
            remedy="Give it severity: error." if warns else "Add a check of this name or kind.",
        )


def _schema(subject: Subject, rule: PolicyRule) -> Iterator[Breach]:
    if rule.require_response_schema and subject.get("response", "schema") is None:
        yield Breach(
            code="policy-schema",
            setting="require_response_schema",
            path=("response",),
            summary="the policy requires a response schema",
            remedy="Say in response.schema what an answer must look like.",
        )


def _params(subject: Subject, rule: PolicyRule) -> Iterator[Breach]:
    for pointer in rule.forbidden_params or ():
        steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")]
        for path in _reached(subject.document, ("params",), steps):
            yield Breach(
                code="policy-param",
                setting="forbidden_params",
                path=path,
                summary=f"the policy forbids {pointer} in params",
                remedy="Remove it.",
                at_key=True,
            )


def _reached(document: Document, path: NodePath, steps: list[str]) -> Iterator[NodePath]:
    """Yield the paths that the rest of a pointer leads to; ``*`` is every entry."""
    if not steps:
        yield path
        return
    for key in _keys(document.get(*path)):
        if steps[0] in ("*", str(key)):
            yield from _reached(document, (*path, key), steps[1:])


def _keys(value: Any) -> list[str | int]:
    if isinstance(value, dict):
        return list(value)
    return list(range(len(value))) if isinstance(value, list) else []


def _budget(subject: Subject, rule: PolicyRule) -> Iterator[Breach]:
    if rule.require_budget and subject.get("budget", "max_usd") is None:
        yield Breach(
            code="policy-budget",
            setting="require_budget",
            path=("budget",),
            summary="the policy requires a budget in dollars",
            remedy="Say in budget.max_usd what one run may cost.",
        )


_FINDERS: tuple[Finder, ...] = (_model, _max_tokens, _checks, _schema, _params, _budget)
