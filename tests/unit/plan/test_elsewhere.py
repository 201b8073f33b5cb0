"""What several specs of a plan ask is submitted by one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchspec.plan.elsewhere import Elsewhere
from batchspec.plan.model import Counts, Outcome

if TYPE_CHECKING:
    from tests.unit.plan.conftest import World


def test_questions_of_another_spec_are_left_out(world: World) -> None:
    """They stay items to submit, but are no requests; what is answered is nobody's any more."""
    first = world.spec
    second = first.model_copy(update={"name": "second"})
    with Elsewhere(lambda: world.root, [first, second]) as elsewhere:
        items = world.good({1: "a", 2: "b", 3: "b"})
        assert elsewhere.left_out(first, items) is items
        elsewhere.keep(first, items)
        world.answer({9: "c"}, Outcome.SUCCEEDED)
        world.spec = second
        items = elsewhere.left_out(second, world.good({1: "b", 2: "c", 3: "d", 4: "d", 5: "b"}))
        assert items.counts == Counts(submit=4, unchanged=1, duplicate=3)
        assert [key for *_, key in items.entries()] == ['"3"']
        assert items.elsewhere is not None


def test_only_those_that_submit_are_left_to(world: World) -> None:
    """What was dropped, another model's, or that of a spec outside the plan is nobody else's."""
    first = world.spec
    second = first.model_copy(update={"name": "second"})
    other = first.model_copy(update={"name": "other", "model": "another"})
    outside = first.model_copy(update={"name": "outside"})
    items = world.good({1: "a"})
    more = other.model_copy(update={"name": "more"})
    with Elsewhere(lambda: world.root, [first, second, other, more]) as elsewhere:
        for spec in (other, outside):
            elsewhere.keep(spec, items)
        assert elsewhere.left_out(second, items) is items
        elsewhere.keep(first, items)
        assert elsewhere.left_out(second, items).requests == 0
        elsewhere.drop("job-one")
        assert elsewhere.left_out(second, items) is items
        elsewhere.keep(first, items)
    assert not list(world.root.glob("*.asked.parquet"))
