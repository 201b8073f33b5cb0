"""Failures of rendering, grouped by cause and place."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from batchspec.inputs.tables import Row
from batchspec.plan.render import MAX_CAUSES, RenderJob
from batchspec.problems import Place
from batchspec.prompt.request import Group, ItemError

if TYPE_CHECKING:
    from collections.abc import Mapping

PLACE = Place(file="specs/a.yaml", line=7, column=3)


@dataclass
class Failing:
    """A renderer that fails as each row says."""

    identity: bytes = b"{}"
    render_digest: str = "0"
    parts: dict[str, str] = field(default_factory=dict)
    reads_files: bool = False
    chars_per_token: Decimal = Decimal("2.5")
    page_tokens: int = 3000
    shows_files: bool = False
    files: dict[str, str] = field(default_factory=dict)

    def group(self, row: Mapping[str, Any]) -> Group | None:
        """Return what some rows share."""
        prefix = row.get("prefix")
        return None if prefix is None else Group(digest=prefix, chars=len(prefix))

    def render(self, row: Mapping[str, Any]) -> bytes:
        """Fail."""
        raise ItemError(row["why"], "Look.", PLACE)


def failures(*whys: str) -> list[tuple[str, str, Place | None]]:
    """Return summary, detail and place of the problems that rows with these causes make."""
    job = RenderJob(renderer=Failing(), spool=None, uploaded=False, on_progress=lambda _: None)
    rows = [Row(key_json=str(n), digest=b"", values={"why": why}) for n, why in enumerate(whys)]
    assert list(job.chunks(rows)) == []
    return [(problem.summary, problem.detail, problem.where) for problem in job.problems()]


def test_one_problem_per_cause() -> None:
    """Each cause names its place in the spec, how many items it hits, and the first of them."""
    assert failures("a", "b", "a", "c", "c", "c", "c") == [
        ("a", "This happened for 2 items: 0, 2. Look.", PLACE),
        ("b", "This happened for item 1. Look.", PLACE),
        ("c", "This happened for 4 items, for example 3, 4, 5. Look.", PLACE),
    ]


def test_causes_beyond_the_limit_are_counted() -> None:
    """A flood of different messages stays readable, and no item is forgotten."""
    found = failures(*(f"cause {n % (MAX_CAUSES + 2)}" for n in range(2 * MAX_CAUSES + 4)))
    assert len(found) == MAX_CAUSES + 1
    assert found[-1][1] == "4 more items fail for other reasons."
