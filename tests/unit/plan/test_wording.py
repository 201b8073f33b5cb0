"""Comparing two requests of one item."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from batchspec.plan.wording import (
    CONTEXT,
    MAX_PARTS,
    Piece,
    Rewording,
    compare_requests,
    compare_texts,
)


def request(system: Any, user: Any, **more: Any) -> bytes:
    """Return the params of a request."""
    messages = [{"role": "user", "content": user}]
    return json.dumps({"system": system, "messages": messages, **more}).encode()


def marked(former: str, current: str) -> str:
    """Return a comparison in the style of `git diff --word-diff`."""
    signs = {"same": ("", ""), "removed": ("[-", "-]"), "added": ("{+", "+}"), "skipped": ("…", "")}
    return "".join(
        f"{signs[piece.op][0]}{piece.text}{signs[piece.op][1]}"
        for piece in compare_texts(former, current)
    )


def test_words_are_compared_as_people_read_them() -> None:
    """Neighbouring changes are one change, punctuation is its own word."""
    assert marked("Label these tickets.", "Label the tickets!") == (
        "Label [-these-]{+the+} tickets[-.-]{+!+}"
    )
    assert marked("a b c d", "a x y d") == "a [-b c-]{+x y+} d"
    assert marked("", "new") == "{+new+}"
    assert marked("gone", "") == "[-gone-]"


def test_what_is_far_from_a_change_is_left_out() -> None:
    """The text before, between and after changes is cut to its context."""
    long = "word " * 100
    pieces = list(compare_texts(f"{long}old {long}", f"{long}new {long}"))
    assert [piece.op for piece in pieces] == [
        "skipped", "same", "removed", "added", "same", "skipped",
    ]  # fmt: skip
    assert pieces[0].characters + len(pieces[1].text) == len(long)
    assert pieces[1].text == " word" * 7 + " "
    assert len(pieces[1].text) <= CONTEXT


def test_places_are_named_and_both_spellings_of_a_text_compare() -> None:
    """A plain text and its one block are the same place; a changed breakpoint shows alone."""
    former = request("Be short.", "Hello", model="a")
    block = {"type": "text", "text": "Be short.", "cache_control": {"type": "ephemeral"}}
    current = request([block], "Hello you", model="b")
    found = {w.path: w.pieces for w in compare_requests(former, current).wordings}
    assert found == {
        "system[0].cache_control.type": (Piece(op="added", text="ephemeral"),),
        "messages[0].content": (Piece(op="same", text="Hello"), Piece(op="added", text=" you")),
        "model": (Piece(op="removed", text="a"), Piece(op="added", text="b")),
    }


def test_blocks_are_named_by_number_when_there_are_several() -> None:
    """The second text of a turn is not mistaken for the first."""
    texts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    changed = [texts[0], {"type": "text", "text": "three"}]
    (wording,) = compare_requests(request("s", texts), request("s", changed)).wordings
    assert wording.path == "messages[0].content[1].text"


def test_further_places_are_counted() -> None:
    """A schema with a hundred changed fields does not fill a plan."""
    former = request("s", "u", metadata={str(n): n for n in range(20)})
    current = request("s", "u", metadata={str(n): n + 1 for n in range(20)})
    found = compare_requests(former, current)
    assert (len(found.wordings), found.more) == (MAX_PARTS, 20 - MAX_PARTS)


def test_huge_texts_take_no_time_and_no_space() -> None:
    """Texts without a word in common are compared by lines, then as a whole, and cut."""
    former = " ".join(f"a{n}" for n in range(200_000))
    current = "\n".join(f"b{n}" for n in range(200_000))
    started = time.monotonic()
    pieces = list(compare_texts(former, current))
    assert time.monotonic() - started < 2
    assert sum(len(piece.text) for piece in pieces) < 5_000
    assert sum(piece.characters for piece in pieces) > 1_000_000


@given(st.text(max_size=60), st.text(max_size=60))
def test_both_texts_can_be_read_out_of_a_comparison(former: str, current: str) -> None:
    """Nothing is lost or invented while nothing is skipped."""
    pieces = list(compare_texts(former, current))
    if any(piece.op == "skipped" for piece in pieces):
        return
    for text, other in ((former, "added"), (current, "removed")):
        assert "".join(piece.text for piece in pieces if piece.op != other) == text


def test_files_are_compared_by_their_digest() -> None:
    """A picture that was sent in full is the same as the reference to it."""
    data = base64.b64encode(b"picture").decode()
    sent = {"type": "base64", "media_type": "image/png", "data": data}
    inner = {"chars": 1, "media_type": "image/png", "path": "a.png", "size": 7}
    same = {"batchspec_content": {**inner, "sha256": hashlib.sha256(b"picture").hexdigest()}}
    other = {"batchspec_content": {**inner, "sha256": "0" * 64}}
    former = request("s", [{"type": "image", "source": sent}])
    assert compare_requests(former, request("s", [{"type": "image", "source": same}])) == Rewording(
        wordings=()
    )
    (wording,) = compare_requests(
        former, request("s", [{"type": "image", "source": other}])
    ).wordings
    assert wording.path == "messages[0].content[0].source"
