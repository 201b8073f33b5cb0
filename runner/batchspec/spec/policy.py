"""The policy file: rules that specs are held against, and the waivers that except them.

`schemas/policy.schema.json` is the structural authority. What the rules find is in
`spec.rules_policy` (what stands in a spec) and in `workflow.policing` (money).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from batchspec.problems import Place, Problem, Severity, has_errors
from batchspec.records import frozen
from batchspec.spec.document import Document, shown
from batchspec.spec.load import read_yaml
from batchspec.spec.model import Listed, Record
from batchspec.spec.paths import complaint
from batchspec.spec.secrets import secret_problems
from batchspec.spec.shape import shape_problems
from batchspec.spec.words import listing, nearest

POLICY_FILE = "policy.yaml"
SOON_DAYS = 14
"""A waiver that ends within so many days is told of."""


class PolicyRule(Record):
    """What some specs may do."""

    name: str
    specs: Annotated[tuple[str, ...], Listed] = ("*",)
    """Globs of spec names."""
    allowed_models: tuple[str, ...] | None = None
    """Globs of model names."""
    max_tokens: int | None = None
    required_checks: tuple[str, ...] | None = None
    """Kinds or names."""
    require_response_schema: bool = False
    forbidden_params: tuple[str, ...] | None = None
    """JSON pointers into ``params``."""
    require_budget: bool = False
    max_usd: Decimal | None = None
    max_usd_per_day: Decimal | None = None
    """Of all specs of the rule together, by UTC day."""
    max_usd_per_month: Decimal | None = None

    def holds_for(self, spec: str) -> bool:
        """Tell whether a spec of this name is one of the rule's."""
        return any(fnmatchcase(spec, glob) for glob in self.specs)


class Waiver(Record):
    """One spec is excepted from one rule until a day."""

    rule: str
    spec: str
    until: dt.date
    """The last day of the exception, in UTC."""
    reason: str
    by: str


class PolicyFile(Record):
    """``policy.yaml``."""

    version: Literal[1] = 1
    rules: tuple[PolicyRule, ...]
    waivers: tuple[Waiver, ...] = Field(default=())


@frozen
class HeldRule:
    """A rule that holds for a spec today."""

    number: int
    """Its position in the file."""
    rule: PolicyRule
    expired: Waiver | None
    """The newest waiver that ended."""


@frozen
class Policy:
    """A policy file without errors."""

    file: PolicyFile
    document: Document

    def rules_for(self, spec: str, today: dt.date | None) -> Iterator[HeldRule]:
        """Yield the rules that hold for a spec; without a day, every waiver is in force."""
        for number, rule in enumerate(self.file.rules):
            if not rule.holds_for(spec):
                continue
            own = [w for w in self.file.waivers if (w.rule, w.spec) == (rule.name, spec)]
            if any(today is None or today <= waiver.until for waiver in own):
                continue
            expired = max(own, key=lambda waiver: waiver.until, default=None)
            yield HeldRule(number=number, rule=rule, expired=expired)

    def place(self, held: HeldRule, setting: str) -> Place:
        """Return where a setting of a rule stands."""
        return self.document.place(("rules", held.number, setting), key=True)

    def because(self, held: HeldRule, setting: str) -> str:
        """Return which rule says so, and whether a waiver has ended, as sentences."""
        where = self.place(held, setting)
        said = f"The rule {held.rule.name} ({where.file}:{where.line}) says so."
        if held.expired is None:
            return said
        waiver = held.expired
        return f"{said} The waiver for this spec by {waiver.by} expired after {waiver.until}."

    def warnings(
        self, specs: Sequence[str], chosen: Sequence[str], today: dt.date | None, *, unused: bool
    ) -> Iterator[Problem]:
        """Yield the waivers of chosen specs that end soon, and all that except nothing.

        Args:
            specs: The names of all specs.
            chosen: Of those, the ones that a command is about.
            today: None: nothing is said of days.
            unused: ``specs`` are all there are, so that waivers of others except nothing.
        """
        for number, waiver in enumerate(self.file.waivers):
            left = None if today is None else (waiver.until - today).days
            idle = self._unused(number, waiver, specs) if unused else None
            if idle is not None:
                yield idle
            elif waiver.spec in chosen and left is not None and 0 <= left <= SOON_DAYS:
                yield Problem(
                    code="waiver-expiring",
                    summary=f"the waiver of {waiver.rule} for {waiver.spec} ends after"
                    f" {waiver.until}",
                    detail="From the day after, the rule holds again, and a spec that breaks it is"
                    " refused. Mend the spec before, or have the waiver prolonged.",
                    severity=Severity.WARNING,
                    where=self.document.place(("waivers", number, "until")),
                )

    def _unused(self, number: int, waiver: Waiver, specs: Sequence[str]) -> Problem | None:
        named = {rule.name: rule for rule in self.file.rules}
        if waiver.rule not in named:
            key, known = "rule", list(named)
            summary = f"there is no rule {shown(waiver.rule)}"
        elif waiver.spec not in specs:
            key, known = "spec", list(specs)
            summary = f"there is no spec {shown(waiver.spec)}"
        elif not named[waiver.rule].holds_for(waiver.spec):
            key, known = "spec", []
            summary = f"the rule {waiver.rule} does not hold for {waiver.spec} anyway"
        else:
            return None
        meant = nearest(getattr(waiver, key), known)
        return Problem(
            code="waiver-unused",
            summary=summary,
            detail="The waiver excepts nothing. "
            + (f"Did you mean {meant}?" if meant else "Correct or remove it."),
            severity=Severity.WARNING,
            where=self.document.place(("waivers", number, key)),
        )


def read_policy(
    root: Path, named: str | None, where: Place | None
) -> tuple[Policy | None, tuple[Problem, ...]]:
    """Read the project's policy, if there is one.

    Args:
        root: The project's root.
        named: What the project file calls it; None: `POLICY_FILE`, where there is one.
        where: Where the project file names it.
    """
    wrong = None if named is None else complaint(named, root)
    if wrong is not None:
        summary = f"the path of policy {wrong}"
        return None, (_refused("path-outside-project", summary, where),)
    path = root / (named or POLICY_FILE)
    if not path.is_file():
        if named is None:
            return None, tuple(_misnamed(root))
        return None, (_refused("missing-policy", f"there is no file {shown(named)}", where),)
    document, problems = read_yaml(path, root)
    if document is None:
        return None, problems
    problems += (*shape_problems(document, "policy"), *secret_problems(document))
    problems += tuple(_bad_days(document))
    if has_errors(problems):
        return None, problems
    file = PolicyFile.model_validate(document.data)
    problems += tuple(_odd_rules(file, document))
    policy = Policy(file=file, document=document)
    return None if has_errors(problems) else policy, problems


def _refused(code: str, summary: str, where: Place | None) -> Problem:
    return Problem(
        code=code,
        summary=summary,
        detail="Specs are held against the policy, and without it nothing is sent. Name a file"
        " below the project.",
        where=where,
    )


def _misnamed(root: Path) -> Iterator[Problem]:
    if (root / "policy.yml").is_file():
        yield Problem(
            code="misnamed-policy-file",
            summary="the file policy.yml is not read",
            detail="The policy is called policy.yaml, or as policy: in batchspec.yaml says."
            " Rename it.",
            severity=Severity.WARNING,
            where=Place(file="policy.yml"),
        )


def _bad_days(document: Document) -> Iterator[Problem]:
    """Find days that the calendar does not have; the schema sees their form only."""
    waivers = document.get("waivers")
    for number, waiver in enumerate(waivers if isinstance(waivers, list) else ()):
        until = waiver.get("until") if isinstance(waiver, dict) else None
        if not isinstance(until, str) or not until.replace("-", "").isdecimal():
            continue
        try:
            dt.date.fromisoformat(until)
        except ValueError:
            yield Problem(
                code="bad-value",
                summary=f"waivers[{number}].until is no day: {shown(until)}",
                detail="The calendar does not have it. Write a day such as 2026-12-31.",
                where=document.place(("waivers", number, "until")),
            )


def _odd_rules(file: PolicyFile, document: Document) -> Iterator[Problem]:
    names = [rule.name for rule in file.rules]
    for number, rule in enumerate(file.rules):
        if rule.name in names[:number]:
            yield Problem(
                code="duplicate-rule",
                summary=f"the name {rule.name} is also the name of another rule",
                detail="Waivers tell rules apart by their names. Give one of them another name.",
                where=document.place(("rules", number, "name")),
            )
        said = rule.model_dump(exclude_defaults=True).keys() - {"name", "specs"}
        if not said:
            settings = sorted(PolicyRule.model_fields.keys() - {"name", "specs"})
            yield Problem(
                code="no-effect",
                summary=f"the rule {rule.name} demands nothing",
                detail=f"Give it one of {listing(settings, 'and')}, or remove it.",
                severity=Severity.WARNING,
                where=document.place(("rules", number)),
            )
