"""Frozen records that cost nothing before they are used.

`@frozen` is `@dataclass(frozen=True, slots=True, kw_only=True)`, and the standard library writes
the methods here as there. That takes it almost a millisecond for each class, though, and a command
imports two hundred classes and uses some of them: so the methods are written when the first record
of a class is made, or when its fields are asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, TypeVar, cast, dataclass_transform

T = TypeVar("T")

_FIELDS = "__dataclass_fields__"
_WRITTEN = (
    "__init__",
    "__repr__",
    "__eq__",
    "__hash__",
    "__setattr__",
    "__delattr__",
    "__match_args__",
    "__dataclass_params__",
    _FIELDS,
)
_LOCK = RLock()
"""The methods of a class are written once, also when two threads make its first records."""


class _Awaited:
    """Stands for the fields of a class whose methods are not written yet."""

    def __init__(self, write: Callable[[], None]) -> None:
        self.write = write

    def __get__(self, _: object, owner: type) -> Any:
        self.write()
        return getattr(owner, _FIELDS)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def frozen(plain: type[T]) -> type[T]:
    """Make a class a frozen record with slots, whose fields are given by name.

    Every annotation of the class is a field; there are no class variables.
    """
    own = plain.__annotations__
    inherited = {name for base in plain.__mro__ for name in getattr(base, "__slots__", ())}
    left_out = {*own, "__dict__", "__weakref__"}
    body = {name: value for name, value in vars(plain).items() if name not in left_out}
    body["__slots__"] = tuple(name for name in own if name not in inherited)
    body["__getstate__"], body["__setstate__"] = _state, _restore
    made: Any = type(plain)(plain.__name__, plain.__bases__, body)  # type: ignore[misc]
    made.__qualname__ = plain.__qualname__

    def write() -> None:
        with _LOCK:
            if isinstance(vars(made)[_FIELDS], _Awaited):
                written = vars(dataclass(frozen=True, kw_only=True)(plain))
                for name in _WRITTEN:
                    setattr(made, name, written[name])

    def first(self: T, /, **values: Any) -> None:
        write()
        made.__init__(self, **values)  # the one just written

    setattr(made, _FIELDS, _Awaited(write))
    made.__init__ = first
    return cast("type[T]", made)


def _state(record: Any) -> list[Any]:
    """Return what copying and pickling carry over, as for any frozen dataclass with slots."""
    return [getattr(record, name) for name in getattr(record, _FIELDS)]


def _restore(record: Any, state: list[Any]) -> None:
    for name, value in zip(getattr(record, _FIELDS), state, strict=True):
        object.__setattr__(record, name, value)
