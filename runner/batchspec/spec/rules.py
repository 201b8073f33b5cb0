"""The rules of a spec: one function each, all applied, none stopping another."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from batchspec.problems import Problem
from batchspec.spec.facts import ModelFacts
from batchspec.spec.subject import Subject

__all__ = ["RULES", "ModelFacts", "Rule", "rule_problems"]

Rule = Callable[[Subject], Iterator[Problem]]

RULES: tuple[Rule, ...] = ()


def rule_problems(subject: Subject) -> tuple[Problem, ...]:
    """Apply every rule to one spec."""
    return tuple(problem for rule in RULES for problem in rule(subject))
