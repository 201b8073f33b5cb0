"""Rules about content blocks: their keys, who may say them, and what does not go together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from batchspec.problems import Problem
from batchspec.spec.contents import KINDS, blocks, kind_of_block
from batchspec.spec.document import NodePath, dotted, shown
from batchspec.spec.rules_model import FIRST_WITHOUT_SAMPLING
from batchspec.spec.subject import Subject
from batchspec.spec.words import kind_of, listing, nearest

_KEYS = {
    "text": frozenset({"text", "citations", "cache"}),
    "image": frozenset({"image", "cache"}),
    "document": frozenset({"document", "title", "context", "citations", "cache"}),
    "search_result": frozenset({"search_result", "title", "content", "citations", "cache"}),
    "file_id": frozenset({"file_id", "as", "title", "context", "citations", "cache"}),
}
_KNOWN = frozenset(
    {
        "text", "image", "document", "search_result", "tool_use", "tool_result", "thinking",
        "redacted_thinking", "container_upload",
    }
)  # fmt: skip
_NEEDED = {
    "image": ("source",),
    "document": ("source",),
    "tool_use": ("id", "name", "input"),
    "tool_result": ("tool_use_id",),
    "search_result": ("source", "title", "content"),
    "thinking": ("thinking", "signature"),
    "redacted_thinking": ("data",),
    "container_upload": ("file_id",),
}
"""What a block has by the SDK's types, when it is written as the API takes it."""
_SOURCES = {
    "base64": ("media_type", "data"),
    "url": ("url",),
    "file": ("file_id",),
    "text": ("media_type", "data"),
    "content": ("content",),
}
_FAMILIES = ("_tool_use", "_tool_result")


def block_keys(subject: Subject) -> Iterator[Problem]:
    """Refuse blocks of no kind or of several, and keys that their kind does not have."""
    for path, _, block in blocks(subject):
        if "cache_control" in block:
            yield _cache_control(subject, (*path, "cache_control"))
        named = [kind for kind in KINDS if kind in block]
        if "type" in block:
            keys = _KEYS["text"] | {"type"} if block["type"] == "text" else None
        elif len(named) == 1:
            keys = _KEYS[named[0]]
        elif named:
            yield _several(subject, (*path, named[1]), named)
            continue
        else:
            keys = frozenset(KINDS)
        for name in block:
            if keys is not None and name not in keys and name != "cache_control":
                yield _unknown(subject, (*path, name), name, keys)


def _several(subject: Subject, path: NodePath, named: list[str]) -> Problem:
    return subject.error(
        "conflicting-keys",
        path,
        f"{dotted(path[:-1])} has {listing(named, 'and')}, of which only one can be used",
        "A block is one of them. Write a block of its own for each.",
        key=True,
    )


def _cache_control(subject: Subject, path: NodePath) -> Problem:
    return subject.error(
        "misplaced-param",
        path,
        f"{dotted(path)} is set here",
        "The breakpoint behind what all items share is placed by cache at the top of the spec. For"
        " another one behind this block, write cache: true.",
        key=True,
    )


def _unknown(subject: Subject, path: NodePath, name: str, keys: frozenset[str]) -> Problem:
    meant = nearest(name, keys)
    hint = (
        f"Did you mean {meant}?" if meant else f"The keys here are {listing(sorted(keys), 'and')}."
    )
    return subject.error(
        "unknown-key",
        path,
        f"{shown(name)} is not a key of {dotted(path[:-1])}",
        f"The API would refuse the request. {hint}",
        key=True,
    )


def block_parts(subject: Subject) -> Iterator[Problem]:
    """Refuse blocks that lack a part, or have one that their kind does not take."""
    for path, _, block in blocks(subject):
        if block.get("type") == "text" and "text" not in block:
            yield _lacking(subject, path, "text")
        if "type" in block:
            continue
        if "search_result" in block:
            yield from (
                _lacking(subject, path, key) for key in ("title", "content") if key not in block
            )
            yield from _texts(subject, (*path, "content"), block.get("content"))
        if "file_id" in block and block.get("as") in {"image", "container_upload"}:
            for name in ("title", "context", "citations"):
                if name in block:
                    yield _unknown(
                        subject, (*path, name), name, frozenset({"file_id", "as", "cache"})
                    )


def raw_parts(subject: Subject) -> Iterator[Problem]:
    """Refuse blocks written as the API takes them that lack a part which it needs."""
    for path, _, block in blocks(subject):
        kind = block.get("type")
        needed = _NEEDED.get(kind, ()) if isinstance(kind, str) else ()
        yield from (_lacking(subject, path, key) for key in needed if key not in block)
        source = block.get("source")
        if "source" not in needed or kind == "search_result" or source is None:
            continue
        place = (*path, "source")
        form = source.get("type") if isinstance(source, dict) else None
        if form not in _SOURCES:
            yield subject.error(
                "bad-value",
                place,
                f"{dotted(place)} has no known type",
                f"The API would refuse the request. Its type is {listing(sorted(_SOURCES), 'or')}.",
            )
        else:
            yield from (
                _lacking(subject, place, key) for key in _SOURCES[form] if key not in source
            )


def _texts(subject: Subject, path: NodePath, content: Any) -> Iterator[Problem]:
    """Refuse parts of a search result that are no texts."""
    for number, part in enumerate(content if isinstance(content, list) else ()):
        is_file = isinstance(part, dict) and part.keys() == {"file"}
        if not isinstance(part, str) and not is_file:
            place = (*path, number)
            yield subject.error(
                "wrong-type",
                place,
                f"{dotted(place)} is {kind_of(part)}, and must be text",
                "A search result is made of texts: write each part as a template, or as {file: …}.",
            )


def _lacking(subject: Subject, path: NodePath, key: str) -> Problem:
    return subject.error(
        "missing-key",
        path,
        f"{dotted(path)} needs {key}",
        "The API would refuse the request without it.",
    )


def unknown_blocks(subject: Subject) -> Iterator[Problem]:
    """Warn of block types that are passed through without being known."""
    for path, _, block in blocks(subject):
        kind = block.get("type")
        if not isinstance(kind, str) or kind in _KNOWN or kind.endswith(_FAMILIES):
            continue
        meant = nearest(kind, _KNOWN)
        yield subject.warning(
            "unknown-block",
            (*path, "type"),
            f"{shown(kind)} is not a known type of block",
            "It is sent as it is, and if the API does not know it either, every request comes back"
            f" as errored. {f'Did you mean {meant}?' if meant else 'Check the spelling.'}",
        )


def block_roles(subject: Subject) -> Iterator[Problem]:
    """Refuse blocks that their speaker cannot say (fact sheet §6.3)."""
    version = subject.anthropic_version
    for path, role, block in blocks(subject):
        kind = kind_of_block(block)
        if path[:2] == ("prompt", "system") and kind in _KNOWN - {"text"}:
            why = "the system prompt takes text only"
        elif role == "assistant" and kind == "document" and version >= FIRST_WITHOUT_SAMPLING:
            why = f"the API version {version} takes no documents from the assistant"
        else:
            continue
        yield subject.error(
            "block-not-allowed",
            path,
            f"{dotted(path)} is a block of the kind {kind}, and {why}",
            "Every request would come back as errored. Move it into a message of the user.",
        )


def citations_of_some(subject: Subject) -> Iterator[Problem]:
    """Warn of documents with citations beside others without (API facts §6.8)."""
    found = [
        (path, _cites(block))
        for path, role, block in blocks(subject)
        if role == "user" and kind_of_block(block) == "document"
    ]
    without = [path for path, cites in found if not cites]
    if without and len(without) < len(found):
        yield subject.warning(
            "citations-of-some",
            without[0],
            f"{dotted(without[0])} has no citations, and another document has",
            "Citations are documented to be enabled on all or none of the documents of a request."
            " Write citations: true here, too, or nowhere.",
        )


def _cites(block: dict[str, Any]) -> bool:
    wanted = block.get("citations")
    return bool(wanted.get("enabled") if isinstance(wanted, dict) else wanted)


def citations_with_schema(subject: Subject) -> Iterator[Problem]:
    """Refuse citations beside structured outputs (fact sheet §6.4)."""
    if subject.get("response", "schema") is None:
        return
    for path, _, block in blocks(subject):
        wanted = block.get("citations")
        asked = wanted.get("enabled") if isinstance(wanted, dict) else wanted
        if asked and kind_of_block(block) in {"document", "search_result"}:
            yield subject.error(
                "citations-with-schema",
                (*path, "citations"),
                f"{dotted(path)} asks for citations, and response.schema for structured output",
                "The API does not do both. Remove one of them.",
                key=True,
            )
