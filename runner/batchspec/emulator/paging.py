"""Pages of a list, by cursor (fact sheet §1.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from batchspec.emulator.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")

CursorPolicy = Literal["known", "empty", "any"]
"""``known``: a cursor that names nothing is 404. ``empty``: it gives an empty page. ``any``: the
same, and both cursors may be given at once."""

_DEFAULT_LIMIT = 20
_MAX_LIMIT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page of a list."""

    items: list[T]
    """Newest first."""
    ids: list[str]
    """Ids of the items."""
    has_more: bool
    """Whether there are more in the direction that was asked for."""

    def as_json(self, data: list[Any]) -> dict[str, Any]:
        """Return the answer with ``data`` as the objects of the items."""
        return {
            "data": data,
            "first_id": self.ids[0] if self.ids else None,
            "last_id": self.ids[-1] if self.ids else None,
            "has_more": self.has_more,
        }


def page_limit(query: Mapping[str, str]) -> int:
    """Return ``limit`` of a query.

    Raises:
        ApiError: 400 when it is not a number from 1 to 1000.
    """
    text = query.get("limit", str(_DEFAULT_LIMIT))
    if not text.isascii() or not text.isdigit() or len(text) > len(str(_MAX_LIMIT)):
        raise ApiError(400, "limit: Input should be a valid integer")
    limit = int(text)
    if not 1 <= limit <= _MAX_LIMIT:
        raise ApiError(400, f"limit: Input should be between 1 and {_MAX_LIMIT}")
    return limit


def page_of(
    items: Sequence[T],
    query: Mapping[str, str],
    *,
    cursors: CursorPolicy,
    id_of: Callable[[T], str],
) -> Page[T]:
    """Return the page of ``items`` that a query asks for.

    ``before_id`` gives the items adjacent to the cursor: the last ``limit`` newer ones, not the
    newest of all (fact sheet §1.6).

    Args:
        items: all items, newest first.
        query: query parameters ``limit``, ``after_id``, ``before_id``.
        cursors: what a cursor that names nothing gives.
        id_of: returns the id of an item.

    Raises:
        ApiError: 400 for a wrong query, 404 for an unknown cursor.
    """
    limit = page_limit(query)
    after, before = query.get("after_id"), query.get("before_id")
    if after and before and cursors != "any":
        raise ApiError(400, "Only one of after_id and before_id may be given")
    ids = [id_of(item) for item in items]
    cursor = after or before
    if cursor and cursor not in ids:
        if cursors != "known":
            return Page(items=[], ids=[], has_more=False)
        raise ApiError(404, f"No object with id '{cursor}' was found to continue from")
    if before:
        end = ids.index(before)
        start = max(0, end - limit)
        return Page(items=list(items[start:end]), ids=ids[start:end], has_more=start > 0)
    start = ids.index(after) + 1 if after else 0
    end = start + limit
    return Page(items=list(items[start:end]), ids=ids[start:end], has_more=end < len(ids))
