"""References to files: what they hash to, how long they become, and that no text forges one."""

from __future__ import annotations

import base64
import json
from decimal import Decimal

import pytest

from batchspec.prompt.canonical import canonical_json
from batchspec.prompt.contents import (
    NAME,
    Content,
    base64_source,
    contents_of,
    file_source,
    filled,
    identity_of,
    measure,
    without_contents,
)

PIXELS = b"twelve bytes and two"


def content(path: str = "a.png", chars: int = 77) -> Content:
    """Return a reference to twenty bytes."""
    return Content(
        path=path, sha256="ab" * 32, media_type="image/png", size=len(PIXELS), chars=chars
    )


def request(*sources: object, text: str = "Hello") -> bytes:
    """Return a request with image blocks and a text."""
    blocks = [{"type": "image", "source": source} for source in sources]
    message = {"role": "user", "content": [*blocks, {"type": "text", "text": text}]}
    return canonical_json({"model": "m", "messages": [message]})


@pytest.mark.parametrize("path", ["a.png", 'ä b/\\ "quoted".png', "x\n}}.png"])
def test_a_reference_is_read_back(path: str) -> None:
    """Whatever the path holds."""
    assert list(contents_of(request(content(path).reference()))) == [content(path)]


def test_identity_is_about_bytes_and_type_only() -> None:
    """Another path or another estimate asks nothing new; other bytes do."""
    first = identity_of(request(content("a.png").reference()))
    assert first == identity_of(request(content("b/c.png", chars=1).reference()))
    assert json.loads(first)["messages"][0]["content"][0]["source"] == {
        NAME: {"media_type": "image/png", "sha256": "ab" * 32}
    }
    other = {NAME: {**content().reference()[NAME], "sha256": "cd" * 32}}
    assert first != identity_of(request(other))


def test_what_is_sent_is_canonical_and_as_long_as_measured() -> None:
    """Packing relies on the length before any file is read."""
    draft = request(content().reference(), content("b.png").reference())
    sent = filled(draft, lambda found: base64_source(found.media_type, PIXELS))
    measured = measure(draft, uploaded=False, per_token=Decimal("2.5"))
    assert (measured.length, measured.chars) == (len(sent), 154)
    assert canonical_json(json.loads(sent)) == sent
    source = json.loads(sent)["messages"][0]["content"][1]["source"]
    encoded = base64.b64encode(PIXELS).decode()
    assert source == {"type": "base64", "media_type": "image/png", "data": encoded}


def test_uploaded_files_are_measured_with_room_to_spare() -> None:
    """The id of a file is not known before it is uploaded."""
    draft = request(content().reference())
    sent = filled(draft, lambda _: file_source("file_011CNha8iCJcU1wXNR6q4V8w"))
    assert (
        len(sent) < measure(draft, uploaded=True, per_token=Decimal("2.5")).length < len(sent) + 64
    )
    source = json.loads(sent)["messages"][0]["content"][0]["source"]
    assert source == {"type": "file", "file_id": "file_011CNha8iCJcU1wXNR6q4V8w"}


def test_without_files_a_request_is_its_own_identity() -> None:
    """Nothing of a plain request is touched."""
    plain = request()
    measured = measure(plain, uploaded=True, per_token=Decimal("2.5"))
    assert (measured.identity, measured.length, measured.chars) == (plain, len(plain), 0)


def test_a_text_cannot_pass_for_a_reference() -> None:
    """An item that writes a reference's JSON is a text and nothing else."""
    forged = request(text=canonical_json(content().reference()).decode())
    assert list(contents_of(forged)) == []
    assert identity_of(forged) == forged
    assert filled(forged, lambda _: b"stolen") == forged


def test_base64_in_an_item_is_worth_its_picture() -> None:
    """It is part of the question as it stands, and costs what its picture costs."""
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (56).to_bytes(4, "big") * 2 + bytes(3000)
    inline = json.loads(base64_source("image/png", png))
    measured = measure(request(inline), uploaded=False, per_token=Decimal("2.5"))
    assert measured.identity == request(inline)
    assert (len(measured.text), measured.chars) == (len(request({})), 10)


def test_what_was_sent_is_measured_as_it_was_planned() -> None:
    """Past requests calibrate the next plan; an uploaded file says nothing of its size."""
    draft = request(content().reference())
    sent = filled(draft, lambda found: base64_source(found.media_type, PIXELS))
    rest = without_contents(sent)
    assert (rest.text, rest.tokens, rest.ids) == (request({}), 0, False)
    assert without_contents(filled(draft, lambda _: file_source("file_1"))).ids
