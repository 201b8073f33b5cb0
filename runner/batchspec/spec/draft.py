"""One spec file, read and examined, before it may become a spec."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from pathlib import Path

from batchspec.problems import Place, Problem
from batchspec.records import frozen
from batchspec.spec.defaults import under
from batchspec.spec.document import Document, shown
from batchspec.spec.environments import Environment, applied
from batchspec.spec.facts import ModelFacts
from batchspec.spec.load import read_yaml
from batchspec.spec.model import ProjectFile
from batchspec.spec.policy import Policy
from batchspec.spec.rules import rule_problems
from batchspec.spec.secrets import secret_problems
from batchspec.spec.shape import shape_problems
from batchspec.spec.subject import Subject

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@frozen
class Reading:
    """What reading a spec depends on besides its file."""

    root: Path
    config: ProjectFile
    defaults: Document | None
    """The project file, whose ``defaults`` every spec begins with."""
    facts: Mapping[str, ModelFacts]
    today: dt.date | None
    policy: Policy | None = None
    """What specs are held against; None: nothing, as for a command that spends nothing."""

    environment: Environment | None = None
    """The environment that the command works in."""


@frozen
class Draft:
    """A spec file and everything that is wrong with it."""

    path: str
    """Relative to the project's root, with forward slashes."""
    name: str
    """The spec's name, or the best guess when it has no valid one."""
    document: Document | None
    """None when the file could not be understood as YAML. Defaults are merged in."""
    problems: tuple[Problem, ...]

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the specs that this one needs, as far as they are written properly."""
        needs = None if self.document is None else self.document.get("needs")
        return tuple(n for n in needs if isinstance(n, str)) if isinstance(needs, list) else ()


def read_draft(path: str, *, reading: Reading) -> Draft:
    """Read and examine one spec file; ``path`` is relative to the root."""
    stem = Path(path).name.removesuffix(".yaml").removesuffix(".yml").removesuffix(".spec")
    document, problems = read_yaml(reading.root / path, reading.root)
    if document is None:
        return Draft(path=path, name=stem, document=None, problems=problems)
    secrets = tuple(secret_problems(document))
    document = under(reading.defaults, document)
    document = applied(document, reading.environment, reading.root)
    given = document.get("name")
    name = given if isinstance(given, str) else stem
    if given is None and not _NAME.fullmatch(stem):
        problems += (_nameless(path, stem),)
    subject = Subject(
        document=document,
        name=name,
        root=reading.root,
        config=reading.config,
        facts=reading.facts,
        today=reading.today,
        policy=reading.policy,
    )
    problems += (*secrets, *shape_problems(document, "spec"), *rule_problems(subject))
    return Draft(path=path, name=name, document=document, problems=problems)


def _nameless(path: str, stem: str) -> Problem:
    return Problem(
        code="bad-name",
        summary=f"the file's name gives no valid name for the spec: {shown(stem)}",
        detail="Without name: in the file, the spec is called like the file, and a name has 1 to 63"
        " lower-case letters, digits and hyphens. Add name:, or rename the file.",
        where=Place(file=path),
    )
