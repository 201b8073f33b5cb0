"""The plan as JSON: the contract described by `schemas/plan.schema.json`."""

from __future__ import annotations

from collections.abc import Iterator

from batchspec.plan.document import encoded_plan
from batchspec.plan.model import Plan


def plan_json(plan: Plan) -> Iterator[str]:
    """Yield the plan as indented JSON, one change per line, ending with a line feed."""
    for piece in encoded_plan(plan):
        yield piece.decode()
