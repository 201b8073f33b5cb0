"""Frozen records behave as frozen dataclasses with slots, whenever their methods are written."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier
from typing import Any

import pytest

from batchspec.records import frozen


@frozen
class Point:
    """A place."""

    x: int
    y: int = 0
    tags: tuple[str, ...] = field(default_factory=tuple)

    @property
    def far(self) -> bool:
        """Whether it is far away."""
        return self.x > 9


@frozen
class Named(Point):
    """A place with a name."""

    name: str


def test_a_record_behaves_as_a_frozen_dataclass_with_slots() -> None:
    """It is compared, hashed, shown and matched by its fields, and does not change."""
    point = Point(x=10, tags=("a",))
    assert (point.x, point.y, point.tags, point.far) == (10, 0, ("a",), True)
    assert repr(point) == "Point(x=10, y=0, tags=('a',))"
    assert point == Point(x=10, tags=("a",))
    assert len({point, Point(x=10, tags=("a",)), Point(x=11)}) == 2
    assert dataclasses.replace(point, y=2) == Point(x=10, y=2, tags=("a",))
    assert not hasattr(point, "__dict__")
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.x = 1  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.x
    with pytest.raises(TypeError, match="positional"):
        Point(1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        Point(x=1, z=1)  # type: ignore[call-arg]


def test_a_record_of_another_class_is_not_equal() -> None:
    """A class that adds a field keeps its own methods, in whichever order both are used."""
    named = Named(x=1, name="home")
    assert repr(named) == "Named(x=1, y=0, tags=(), name='home')"
    assert named != Point(x=1)
    assert [one.name for one in dataclasses.fields(Named)] == ["x", "y", "tags", "name"]


def test_the_fields_are_there_before_the_first_record() -> None:
    """Who asks a class for its fields needs no record of it."""

    @frozen
    class Fresh:
        a: int
        b: str = "b"

    assert [one.name for one in dataclasses.fields(Fresh)] == ["a", "b"]
    assert Fresh(a=1) == Fresh(a=1, b="b")
    assert dataclasses.is_dataclass(Fresh)


def test_records_are_copied_and_pickled() -> None:
    """Copies are equal, although nothing can be assigned to their fields."""
    named = Named(x=1, tags=("a",), name="home")
    copies: list[Any] = [copy.copy(named), copy.deepcopy(named), pickle.loads(pickle.dumps(named))]  # noqa: S301 - our own bytes
    assert copies == [named, named, named]


def test_methods_are_not_written_before_they_are_needed() -> None:
    """Otherwise every command pays for the records of all others when it starts."""

    @frozen
    class Idle:
        a: int

    before = vars(Idle)["__init__"]
    assert "__repr__" not in vars(Idle)
    Idle(a=1)
    assert vars(Idle)["__init__"] is not before
    assert "__repr__" in vars(Idle)


def test_two_threads_may_make_the_first_records() -> None:
    """The methods are written once; default factories are lost when that happens twice."""
    for _ in range(50):

        @frozen
        class Shared:
            a: list[int] = field(default_factory=list)

        both = Barrier(2)

        def make(kind: type[Shared] = Shared, both: Barrier = both) -> Shared:
            both.wait()
            return kind()

        with ThreadPoolExecutor(2) as threads:
            first, second = threads.submit(make), threads.submit(make)
            assert first.result() == second.result() == Shared()


def test_records_and_dataclasses_agree() -> None:
    """The methods are those that the standard library writes."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Plain:
        a: int
        b: tuple[int, ...] = ()

    @frozen
    class Ours:
        a: int
        b: tuple[int, ...] = ()

    assert hash(Ours(a=1)) == hash(Plain(a=1))
    assert Ours.__slots__ == Plain.__slots__  # type: ignore[attr-defined]
    assert Ours.__match_args__ == Plain.__match_args__ == ()
