"""What one rule looks at: a document as its author wrote it, and the world it must fit into."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchspec.problems import Problem, Severity
from batchspec.records import frozen
from batchspec.spec.document import Document, NodePath
from batchspec.spec.facts import ModelFacts
from batchspec.spec.model import ProjectFile
from batchspec.spec.policy import Policy


@frozen
class Subject:
    """One spec under examination.

    Its data may be of any shape: a rule looks only at values whose type it knows, since the JSON
    Schema has its own say and both are reported together.
    """

    document: Document
    name: str
    root: Path
    """The project's root, resolved."""
    config: ProjectFile
    """The project's settings."""
    facts: Mapping[str, ModelFacts]
    """Empty: nothing is known of any model, and no rule about models speaks."""
    today: dt.date | None
    """None: no rule about dates speaks."""
    policy: Policy | None = None
    """None: the spec is held against no policy."""

    def get(self, *path: str | int) -> Any:
        """Return the value at ``path``, or None."""
        return self.document.get(*path)

    def mapping(self, *path: str | int) -> dict[str, Any]:
        """Return the mapping at ``path``; empty when there is none."""
        value = self.document.get(*path)
        return value if isinstance(value, dict) else {}

    def entries(self, *path: str | int) -> list[Any]:
        """Return the list at ``path``; empty when there is none."""
        value = self.document.get(*path)
        return value if isinstance(value, list) else []

    @property
    def model(self) -> ModelFacts | None:
        """What is known of the spec's model."""
        model = self.get("model")
        return self.facts.get(model) if isinstance(model, str) else None

    @property
    def as_of(self) -> str:
        """A sentence on the age of what is known of the model; empty when that has no date."""
        if self.model is None or self.model.as_of is None:
            return ""
        return f" That was so on {self.model.as_of}; `batchspec models --refresh` asks the API."

    @property
    def anthropic_version(self) -> str:
        """The version header of the spec's requests."""
        own = self.get("anthropic_version")
        return own if isinstance(own, str) else self.config.api.anthropic_version

    @property
    def betas(self) -> tuple[str, ...]:
        """The betas of the spec's requests."""
        if "betas" not in self.mapping():
            return self.config.api.betas
        return tuple(beta for beta in self.entries("betas") if isinstance(beta, str))

    def error(
        self, code: str, path: NodePath, summary: str, detail: str, *, key: bool = False
    ) -> Problem:
        """Return an error at ``path``."""
        where = self.document.place(path, key=key)
        return Problem(code=code, summary=summary, detail=detail, where=where)

    def warning(
        self, code: str, path: NodePath, summary: str, detail: str, *, key: bool = False
    ) -> Problem:
        """Return a warning at ``path``."""
        where = self.document.place(path, key=key)
        return Problem(
            code=code, summary=summary, detail=detail, where=where, severity=Severity.WARNING
        )
