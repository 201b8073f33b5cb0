"""Blocks as authors write them, and the blocks of the API that they become."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from batchspec.inputs.columns import Column
from batchspec.prompt.contents import NAME
from batchspec.prompt.request import ItemError, compile_prompt

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.prompt.conftest import Compile, Load, ParamsOf, RendererOf, Write

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (56).to_bytes(4, "big") * 2
HUGE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (8001).to_bytes(4, "big") * 2
PDF = b"%PDF-1.7\n<</Type/Pages/Count 3>>"
LONG = b"%PDF-1.7\n<</Type/Pages/Count 101>>"
TEXT = {"type": "text", "text": "7"}
ENCODED = base64.b64encode(PNG).decode()


def source(media: Any) -> Any:
    """Return what must be equal of a source: of a reference, path and media type."""
    if NAME in media:
        return [media[NAME]["path"], media[NAME]["media_type"]]
    return media


@pytest.mark.parametrize(
    ("block", "sent"),
    [
        (
            {"image": "img/{{ subject }}.png"},
            {"type": "image", "source": ["img/x.png", "image/png"]},
        ),
        (
            {"image": "https://example.com/{{ id }}.png"},
            {"type": "image", "source": {"type": "url", "url": "https://example.com/7.png"}},
        ),
        (
            {"image": {"base64": "{{ meta }}"}},
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": ENCODED},
            },
        ),
        (
            {"image": {"file_id": "file_{{ id }}"}},
            {"type": "image", "source": {"type": "file", "file_id": "file_7"}},
        ),
        (
            {"document": "a.pdf", "title": "No {{ id }}", "context": "c", "citations": True},
            {
                "type": "document",
                "source": ["a.pdf", "application/pdf"],
                "title": "No 7",
                "context": "c",
                "citations": {"enabled": True},
            },
        ),
        (
            {"document": "notes.txt"},
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "Notes {{ id }}."},
            },
        ),
        (
            {"document": {"text": {"file": "notes.txt"}}},
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "Notes 7."},
            },
        ),
        (
            {"document": {"content": ["{{ id }}", {"text": "b"}, {"image": "img/x.png"}]}},
            {
                "type": "document",
                "source": {
                    "type": "content",
                    "content": [
                        TEXT,
                        {"type": "text", "text": "b"},
                        {"type": "image", "source": ["img/x.png", "image/png"]},
                    ],
                },
            },
        ),
        (
            {"search_result": "s/{{ id }}", "title": "t", "content": ["{{ id }}"]},
            {"type": "search_result", "source": "s/7", "title": "t", "content": [TEXT]},
        ),
        (
            {"file_id": "f", "title": "t"},
            {"type": "document", "source": {"type": "file", "file_id": "f"}, "title": "t"},
        ),
        (
            {"file_id": "f", "as": "image"},
            {"type": "image", "source": {"type": "file", "file_id": "f"}},
        ),
        ({"file_id": "f", "as": "container_upload"}, {"type": "container_upload", "file_id": "f"}),
        (
            {"type": "new_kind", "n": 1, "inner": [{"a": "{{ id }}", "b": "x"}]},
            {"type": "new_kind", "n": 1, "inner": [{"a": "7", "b": "x"}]},
        ),
    ],
)
def test_each_kind_of_block(
    write: Write, compiled: Compile, params_of: ParamsOf, block: dict[str, Any], sent: Any
) -> None:
    """Templates are filled wherever an author may write them."""
    write({"img/x.png": PNG, "a.pdf": PDF, "notes.txt": "Notes {{ id }}."})
    text = json.dumps({"prompt": {"user": [block, {"text": "{{ id }}"}]}})
    row = {"id": 7, "subject": "x", "meta": ENCODED}
    first, second = params_of(compiled(text), row)["messages"][0]["content"]
    if isinstance(first.get("source"), dict):
        first["source"] = source(first["source"])
        for part in first["source"].get("content", []) if isinstance(first["source"], dict) else []:
            if "source" in part:
                part["source"] = source(part["source"])
    assert (first, second) == (sent, TEXT)


@pytest.mark.parametrize(
    ("block", "code", "detail"),
    [
        ({"image": "{{ subject }}"}, "content-missing", "x does not exist"),
        ({"image": "{{ empty or '' }}"}, "content-missing", "wrote nothing"),
        ({"image": "../{{ id }}"}, "content-missing", "leads upward"),
        ({"image": "{{ 'a.pdf' if id }}"}, "content-type", "of the kind application/pdf"),
        ({"image": "{{ 'zip' if id }}"}, "content-type", "of no kind that the API takes"),
        ({"document": "{{ 'zip' if id }}"}, "content-type", "PDF or text in UTF-8"),
        ({"document": {"text": "{{ empty or ' ' }}"}}, "content-missing", "documents without text"),
        ({"image": {"base64": "{{ subject }}"}}, "content-type", "must write base64"),
        ({"image": {"base64": "{{ 'aGk=' if id }}"}}, "content-type", "text/plain"),
        ({"document": {"base64": "{{ 'aGk=' if id }}"}}, "content-type", "text/plain"),
        ({"image": "{{ 'huge.png' if id }}"}, "content-too-large", "8,001 x 8,001 pixels"),
        ({"image": "{{ 'fat.png' if id }}"}, "content-too-large", "10,000,032 characters"),
        ({"document": "{{ 'long.pdf' if id }}"}, "content-too-large", "101 pages"),
        ({"document": "{{ 'vast.pdf' if id }}"}, "content-too-large", "has 32,000,001 bytes"),
    ],
)
def test_a_file_that_cannot_be_sent_is_an_items_mistake(
    write: Write,
    compiled: Compile,
    renderer_of: RendererOf,
    root: Path,
    *,
    block: dict[str, Any],
    code: str,
    detail: str,
) -> None:
    """It has a code of its own, its place in the spec, and names the file."""
    write(
        {
            "a.pdf": PDF,
            "long.pdf": LONG,
            "zip": b"PK\0",
            "huge.png": HUGE,
            "fat.png": PNG + bytes(7_500_000),
            "vast.pdf": PDF,
        }
    )
    os.truncate(root / "vast.pdf", 32_000_001)  # sparse
    renderer = renderer_of(compiled(json.dumps({"prompt": {"user": [block]}})))
    with pytest.raises(ItemError) as caught:
        renderer.render({"id": 7, "subject": "x", "empty": None})
    assert caught.value.code == code
    assert detail in caught.value.detail
    assert caught.value.where is not None


def test_uploaded_images_may_be_larger_than_base64(
    write: Write, compiled: Compile, renderer_of: RendererOf
) -> None:
    """The limit of 10 MB is one of base64."""
    write({"fat.png": PNG + bytes(7_500_000)})
    prompt = {"user": [{"image": "fat.png"}, {"text": "{{ id }}"}]}
    text = json.dumps({"files_api": True, "prompt": prompt})
    assert b'"path":"fat.png"' in renderer_of(compiled(text)).render({"id": 7})


def test_a_constant_file_is_one_of_the_files(
    write: Write, compiled: Compile, renderer_of: RendererOf
) -> None:
    """Its bytes decide, so that a changed picture is the reason, by its name."""
    text = json.dumps({"prompt": {"user": [{"image": "a.png"}, {"text": "{{ id }}"}]}})
    write({"a.png": PNG})
    before = renderer_of(compiled(text))
    write({"a.png": PNG + b"more"})
    after = renderer_of(compiled(text))
    assert {name for name in before.parts if before.parts[name] != after.parts[name]} == {"files"}
    assert before.files.keys() == {"a.png"}
    assert before.files != after.files
    assert not before.reads_files


@pytest.mark.parametrize(
    ("inputs", "image", "reads"),
    [
        ("files: 'img/*'", "{{ path }}", False),
        ("files: 'img/*'", "{{ row.path }}", False),
        ("files: 'img/*'", "thumbs/{{ path }}", True),
        ("table: a.csv\n  key: id", "{{ path }}", True),
        ("table: a.csv\n  key: id", "https://example.com/{{ path }}", False),
    ],
)
def test_it_is_known_whether_a_row_says_enough(
    load: Load, root: Path, renderer_of: RendererOf, inputs: str, image: str, *, reads: bool
) -> None:
    """A file that is an item itself has its digest in a column; any other has to be read."""
    loaded = load(f"inputs:\n  {inputs}\nprompt: {{user: [{{image: '{image}'}}]}}")
    found = compile_prompt(root, loaded, (Column(name="path", type="VARCHAR"),))
    assert renderer_of(found).reads_files is reads


def test_too_many_images(write: Write, compiled: Compile) -> None:
    """A model with a window of 200,000 tokens takes a hundred."""
    write({"a.png": PNG})
    blocks = [{"image": "a.png"}] * 101
    renderer, problems = compiled(json.dumps({"prompt": {"user": [*blocks, {"text": "{{ id }}"}]}}))
    assert renderer is None
    assert [problem.code for problem in problems] == ["too-many-images"]


@pytest.mark.parametrize(
    ("caches", "cache", "code"),
    [
        ([True] * 5, "auto", "too-many-breakpoints"),
        (["5m", "1h"], "auto", "cache-order"),
        ([True, "1h"], "5m", "cache-order"),
    ],
)
def test_breakpoints_have_their_limits(
    compiled: Compile, caches: list[Any], cache: str, code: str
) -> None:
    """Four in a request, and what lives longer first."""
    blocks = [{"text": f"{{{{ id }}}} {n}", "cache": life} for n, life in enumerate(caches)]
    renderer, problems = compiled(json.dumps({"cache": cache, "prompt": {"user": blocks}}))
    assert renderer is None
    assert [problem.code for problem in problems] == [code]


def test_authors_place_breakpoints(compiled: Compile, params_of: ParamsOf) -> None:
    """They stand where they are written; the shared prefix then has none of its own."""
    user = [{"text": "{{ subject }}", "cache": "5m"}, {"text": "{{ id }}", "cache": False}]
    text = json.dumps({"prompt": {"system": [{"text": "s " * 4000, "cache": True}], "user": user}})
    params = params_of(compiled(text), {"id": 7, "subject": "x"})
    assert params["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    marks = [block.get("cache_control") for block in params["messages"][0]["content"]]
    assert marks == [{"type": "ephemeral", "ttl": "5m"}, None]
