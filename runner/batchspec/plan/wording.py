"""How one rendered request differs from a former one of the same item, word by word.

Bounded in time and in size: texts are cut to what differs first, and what is too long to be
compared by words is compared by lines. It is for people and decides nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any, Literal

from batchspec.prompt.contents import NAME
from batchspec.records import frozen

MAX_PARTS = 12
"""So many places of a request are compared; further ones are counted."""
MAX_TOKENS = 1500
"""Longest run of words, or else of lines, that is compared; its time grows with its square."""
CONTEXT = 40
"""Characters that are kept of an unchanged text before and after a change."""
_LONG_WORD = 15
"""A word longer than this may be cut."""
LONGEST = 1200
"""Characters that are kept of one removed or added text."""
MAX_PIECES = 60
"""So many pieces of one place are kept."""
_WORD = re.compile(r"\s+|\w+|[^\w\s]")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")

Op = Literal["same", "removed", "added", "skipped"]


@frozen
class Piece:
    """Part of a text."""

    op: Op
    """``skipped`` stands for characters that are left out here."""
    text: str = ""
    characters: int = 0
    """How many characters a skipped piece stands for; 0 for all others."""


@frozen
class Wording:
    """What differs at one place of a request."""

    path: str
    """As in ``system`` or ``messages[0].content[1].text``."""
    pieces: tuple[Piece, ...]


@frozen
class Rewording:
    """What differs between two requests."""

    wordings: tuple[Wording, ...]
    more: int = 0
    """Places beyond `MAX_PARTS` that differ too."""


def compare_requests(former: bytes, current: bytes) -> Rewording:
    """Compare the params of two requests, place by place in the order of the current one."""
    before, after = dict(_leaves(_load(former))), dict(_leaves(_load(current)))
    places = [*after, *(place for place in before if place not in after)]
    changed = [place for place in places if before.get(place) != after.get(place)]
    wordings = tuple(
        Wording(
            path=_label(place, before, after),
            pieces=tuple(compare_texts(before.get(place, ""), after.get(place, ""))),
        )
        for place in changed[:MAX_PARTS]
    )
    return Rewording(wordings=wordings, more=max(0, len(changed) - MAX_PARTS))


def compare_texts(former: str, current: str) -> Iterator[Piece]:
    """Yield what is the same, removed and added, with little of what is the same."""
    pieces = list(_shortened(_merged(_compared(former, current))))
    yield from pieces[:MAX_PIECES]
    if len(pieces) > MAX_PIECES:
        rest = sum(len(piece.text) + piece.characters for piece in pieces[MAX_PIECES:])
        yield Piece(op="skipped", characters=rest)


def _load(request: bytes) -> Any:
    params = json.loads(request)
    if isinstance(params.get("system"), str):
        params["system"] = _as_blocks(params["system"])
    for message in params.get("messages", ()):
        if isinstance(message.get("content"), str):
            message["content"] = _as_blocks(message["content"])
    return params


def _as_blocks(text: str) -> list[dict[str, str]]:
    """Return a plain text as the one block it stands for, so that both spellings compare."""
    return [{"type": "text", "text": text}]


def _leaves(
    value: Any, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield path and text of everything that is not a mapping or a list; of a file, its digest."""
    media = _media(value)
    if media is not None:
        yield path, media
    elif isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, (*path, name))
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value):
            yield from _leaves(inner, (*path, number))
    else:
        yield path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _media(value: Any) -> str | None:
    """Return a file as its digest: what was sent in full is compared with a reference."""
    if not isinstance(value, dict):
        return None
    if NAME in value:
        return f"{value[NAME]['media_type']} sha256:{value[NAME]['sha256']}"
    if value.get("type") == "base64" and isinstance(value.get("data"), str):
        data = base64.b64decode(value["data"])
        return f"{value.get('media_type')} sha256:{hashlib.sha256(data).hexdigest()}"
    return None


def _label(place: tuple[str | int, ...], *sides: dict[tuple[str | int, ...], str]) -> str:
    """Return a place as people write it; the only text of a turn is called after the turn."""
    if place[-2:] == (0, "text") and not any((*place[:-2], 1, "type") in side for side in sides):
        place = place[:-2]
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return "".join(steps).removeprefix(".")


def _compared(former: str, current: str) -> Iterator[Piece]:
    """Yield pieces, by words where that is affordable, else by lines, else as a whole."""
    for pattern in (_WORD, _LINE):
        before, after = pattern.findall(former), pattern.findall(current)
        head, tail = _shared(before, after)
        left, right = before[head : len(before) - tail], after[head : len(after) - tail]
        if max(len(left), len(right)) <= MAX_TOKENS:
            yield Piece(op="same", text="".join(before[:head]))
            yield from _matched(left, right)
            yield Piece(op="same", text="".join(before[len(before) - tail :]))
            return
    yield Piece(op="removed", text=former)
    yield Piece(op="added", text=current)


def _shared(before: Sequence[str], after: Sequence[str]) -> tuple[int, int]:
    """Return how many tokens two texts share at their beginnings and at their ends."""
    shorter = min(len(before), len(after))
    head = next((n for n in range(shorter) if before[n] != after[n]), shorter)
    left = shorter - head
    tail = next((n for n in range(left) if before[-1 - n] != after[-1 - n]), left)
    return head, tail


def _matched(before: Sequence[str], after: Sequence[str]) -> Iterator[Piece]:
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for op, start, stop, begin, end in matcher.get_opcodes():
        if op == "equal":
            yield Piece(op="same", text="".join(before[start:stop]))
            continue
        yield Piece(op="removed", text="".join(before[start:stop]))
        yield Piece(op="added", text="".join(after[begin:end]))


def _merged(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Join changes with nothing but a space between them: they read as one."""
    removed, added = "", ""
    for piece in pieces:
        if piece.op == "removed":
            removed += piece.text
        elif piece.op == "added":
            added += piece.text
        elif piece.text.isspace() and len(piece.text) == 1 and (removed or added):
            removed, added = removed + piece.text, added + piece.text
        elif piece.text:
            yield from _change(removed, added)
            removed, added = "", ""
            yield piece
    yield from _change(removed, added)


def _change(removed: str, added: str) -> Iterator[Piece]:
    space = removed[-1:] if removed[-1:] == added[-1:] and removed[-1:].isspace() else ""
    cut = len(space)
    if removed[: len(removed) - cut]:
        yield Piece(op="removed", text=removed[: len(removed) - cut])
    if added[: len(added) - cut]:
        yield Piece(op="added", text=added[: len(added) - cut])
    if space:
        yield Piece(op="same", text=space)


def _shortened(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Leave out what is far from a change, and the inside of long changes."""
    listed = list(pieces)
    for number, piece in enumerate(listed):
        if piece.op == "same":
            head = 0 if number == 0 else CONTEXT
            tail = 0 if number == len(listed) - 1 else CONTEXT
        else:
            head, tail = LONGEST - CONTEXT, CONTEXT
        yield from _cut(piece, head, tail)


def _cut(piece: Piece, head: int, tail: int) -> Iterator[Piece]:
    """Yield the two ends of a piece, at whole words, and between them how much is left out."""
    text = piece.text
    if len(text) - head - tail <= CONTEXT:
        yield piece
        return
    first = text[: _space(text, range(head, head - _LONG_WORD, -1))] if head else ""
    last = (
        text[_space(text, range(len(text) - tail, len(text) - tail + _LONG_WORD)) :] if tail else ""
    )
    if first:
        yield Piece(op=piece.op, text=first)
    yield Piece(op="skipped", characters=len(text) - len(first) - len(last))
    if last:
        yield Piece(op=piece.op, text=last)


def _space(text: str, places: range) -> int:
    """Return the first of some places where a space stands, else the first of them."""
    return next((at for at in places if text[at].isspace()), places[0])
