"""The plan as JSON: the contract described by `schemas/plan.schema.json`."""

from __future__ import annotations

from batchspec.plan.document import encode, plan_document
from batchspec.plan.model import Plan


def plan_json(plan: Plan) -> str:
    """Return the plan as indented JSON, one change per line, ending with a line feed."""
    return encode(plan_document(plan)).decode()
