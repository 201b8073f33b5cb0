"""The headers that govern every request of a batch: the API's version and its betas."""

from __future__ import annotations

from batchspec.records import frozen
from batchspec.spec.model import Api, Spec


@frozen
class Headers:
    """They are per batch, never per request (fact sheet §1.2), and part of each question."""

    anthropic_version: str
    betas: tuple[str, ...]
    """In the order in which they are written; the order means nothing."""

    def document(self) -> dict[str, object]:
        """Return them as data to be hashed."""
        return {"anthropic_version": self.anthropic_version, "betas": sorted(set(self.betas))}


def headers_of(spec: Spec, api: Api) -> Headers:
    """Return a spec's headers: its own where it has some, else the project's."""
    return Headers(
        anthropic_version=spec.anthropic_version or api.anthropic_version,
        betas=api.betas if spec.betas is None else spec.betas,
    )
