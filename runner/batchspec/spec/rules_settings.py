"""Rules about needs and budgets."""

from __future__ import annotations

from collections.abc import Iterator

from batchspec.problems import Problem
from batchspec.spec.betas import unknown_betas
from batchspec.spec.document import shown
from batchspec.spec.settings import API_VERSIONS
from batchspec.spec.subject import Subject
from batchspec.spec.words import listing

_CEILINGS = ("max_usd", "max_requests")


def unknown_version(subject: Subject) -> Iterator[Problem]:
    """Warn of a version header that the API is not known to take."""
    own = subject.get("anthropic_version")
    if isinstance(own, str) and own and own not in API_VERSIONS:
        yield subject.warning(
            "unknown-api-version",
            ("anthropic_version",),
            f"the API version {shown(own)} is not known",
            "The API refuses versions it does not have. The known ones are"
            f" {listing(API_VERSIONS, 'and')}.",
        )


def betas_not_on_record(subject: Subject) -> Iterator[Problem]:
    """Warn of betas that the API is not known to have (API facts §6.8)."""
    own = subject.entries("betas")
    for beta, detail in unknown_betas(beta for beta in own if isinstance(beta, str)):
        place = ("betas", own.index(beta))
        yield subject.warning("unknown-beta", place, f"the beta {shown(beta)} is not known", detail)


def types_of_a_table(subject: Subject) -> Iterator[Problem]:
    """Warn of column types where there is no table."""
    if subject.get("inputs", "types") is not None and subject.get("inputs", "table") is None:
        yield subject.warning(
            "no-effect",
            ("inputs", "types"),
            "inputs.types has no effect",
            "It says what the columns of inputs.table hold. In inputs.sql, read_csv has an option"
            " types of its own. Remove it.",
            key=True,
        )


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def empty_budget(subject: Subject) -> Iterator[Problem]:
    """Warn of a budget of nothing."""
    for name in _CEILINGS:
        if _number(subject.get("budget", name)) == 0:
            yield subject.warning(
                "empty-budget",
                ("budget", name),
                f"budget.{name} is 0",
                "Every run that has something to submit is refused. Raise it, or leave it so to"
                " forbid new requests on purpose.",
            )


def budget_above_project(subject: Subject) -> Iterator[Problem]:
    """Warn of a ceiling that the project's own ceiling makes useless."""
    for name in _CEILINGS:
        own = _number(subject.get("budget", name))
        ceiling = getattr(subject.config.budget, name)
        if own is not None and ceiling is not None and own > ceiling:
            yield subject.warning(
                "budget-above-project",
                ("budget", name),
                f"budget.{name} is {own:,g}, and the project's is {float(ceiling):,g}",
                "The lower ceiling holds, so this one is never reached. Lower it, or raise the"
                " budget in batchspec.yaml.",
            )
