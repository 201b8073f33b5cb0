"""From the blocks an author writes to blocks of the API with slots for what templates decide."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchspec.inputs.hardened import FileRefused
from batchspec.problems import Problem
from batchspec.prompt.shelf import URL, Shelf, plain_text
from batchspec.prompt.slots import Block, Cache, Slot
from batchspec.prompt.templates import ItemError, Text, read_text

if TYPE_CHECKING:
    from batchspec.prompt.compiler import Compiler
    from batchspec.spec.document import NodePath
    from batchspec.spec.project import LoadedSpec

MARKUP = re.compile(r"\{\{|\{%|\{#")
_PATH = re.compile(r"\s*\{\{\s*(row\.)?path\s*\}\}\s*")
"""The path of an input file, whose digest is a column."""
_CACHE: dict[Any, Cache] = {True: "default", "5m": "5m", "1h": "1h"}
_FILE_BLOCKS = {"image": "image", "document": "document", "container_upload": "container_upload"}
Make = Callable[[str], Any]


class BlockReader:
    """Reads the blocks of one spec; what is wrong is collected in ``problems``.

    The keys of blocks were checked by `spec.rules_blocks`; here templates are compiled.
    """

    def __init__(self, root: Path, loaded: LoadedSpec, compiler: Compiler, shelf: Shelf) -> None:
        self.problems: list[Problem] = []
        self._root = root
        self._loaded = loaded
        self._compiler = compiler
        self._shelf = shelf

    def plain(self, given: Any, path: NodePath) -> Block | None:
        """Read a content that is one text: a template or ``{file: …}``."""
        text = self._text(given, path)
        slot = None if text is None else self._made(text, _visible(text))
        if text is None or slot is None:
            return None
        return Block(value=slot, written=text.written)

    def block(self, raw: dict[str, Any], path: NodePath) -> Block | None:
        """Read one block of a list."""
        before = len(self.problems) + len(self._compiler.problems)
        shape = {name: value for name, value in raw.items() if name != "cache"}
        value = self._value(shape, path)
        written: Any = shape
        if len(self.problems) + len(self._compiler.problems) > before:
            return None
        if value.get("type") == "text" and isinstance(value.get("text"), Slot):
            rest = {name: inner for name, inner in shape.items() if name not in {"type", "text"}}
            written = [value["text"].template.text.written, rest]
        return Block(value=value, written=written, cache=_CACHE.get(raw.get("cache", False)))

    def _value(self, raw: dict[str, Any], path: NodePath) -> dict[str, Any]:
        if raw.get("type", "text") == "text" and "text" in raw:
            rest = {name: value for name, value in raw.items() if name not in {"type", "text"}}
            return {**rest, "type": "text", "text": self._shown(raw["text"], (*path, "text"))}
        if "type" in raw:
            return {name: self._walked(value, (*path, name)) for name, value in raw.items()}
        return self._named(raw, path)

    def _named(self, raw: dict[str, Any], path: NodePath) -> dict[str, Any]:
        """Read a block by the key that says what it is."""
        if "image" in raw:
            makers = (self._shelf.image, self._shelf.image_data)
            return {"type": "image", "source": self._source(raw["image"], (*path, "image"), makers)}
        if "search_result" in raw:
            return self._search_result(raw, path)
        if "file_id" in raw:
            kind = _FILE_BLOCKS[raw.get("as", "document")]
            file_id = self._word(raw["file_id"], (*path, "file_id"))
            if kind == "container_upload":
                return {"type": kind, "file_id": file_id}
            source = {"type": "file", "file_id": file_id}
            return {"type": kind, "source": source, **self._details(raw, path)}
        makers = (self._shelf.document, self._shelf.document_data)
        source = self._source(raw["document"], (*path, "document"), makers)
        return {"type": "document", "source": source, **self._details(raw, path)}

    def _source(self, given: Any, path: NodePath, makers: tuple[Make, Make]) -> Any:
        by_path, by_data = makers
        if isinstance(given, str):
            slot = self._made(Text(source=given, path=path, file=None), by_path)
            if slot is not None:
                slot.holds_file = not given.startswith(URL)
                slot.reads_file = not self._is_known(given)
            return slot
        if "base64" in given:
            inner = Text(source=given["base64"], path=(*path, "base64"), file=None)
            return self._made(inner, by_data)
        if "file_id" in given:
            file_id = self._word(given["file_id"], (*path, "file_id"))
            return {"type": "file", "file_id": file_id}
        if "content" in given:
            parts = [
                self._value(
                    part if isinstance(part, dict) else {"text": part}, (*path, "content", n)
                )
                for n, part in enumerate(given["content"])
            ]
            return {"type": "content", "content": parts}
        text = self._text(given["text"], (*path, "text"))
        return None if text is None else self._made(text, plain_text)

    def _is_known(self, template: str) -> bool:
        """Tell whether a file's content is in its item's row, as its digest, or on another host."""
        by_glob = self._loaded.spec.inputs.files is not None
        return template.startswith(URL) or (by_glob and _PATH.fullmatch(template) is not None)

    def _search_result(self, raw: dict[str, Any], path: NodePath) -> dict[str, Any]:
        content = [
            {"type": "text", "text": self._shown(part, (*path, "content", number))}
            for number, part in enumerate(_parts(raw["content"]))
        ]
        value: dict[str, Any] = {
            "type": "search_result",
            "source": self._word(raw["search_result"], (*path, "search_result")),
            "title": self._word(raw["title"], (*path, "title")),
            "content": content,
        }
        return value | _citations(raw)

    def _details(self, raw: dict[str, Any], path: NodePath) -> dict[str, Any]:
        words = {
            name: self._word(raw[name], (*path, name))
            for name in ("title", "context")
            if name in raw
        }
        return words | _citations(raw)

    def _walked(self, value: Any, path: NodePath) -> Any:
        """Return a part of a raw block; texts with template markup become slots."""
        if isinstance(value, str) and MARKUP.search(value):
            return self._made(Text(source=value, path=path, file=None), str)
        if isinstance(value, dict):
            return {name: self._walked(inner, (*path, name)) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._walked(inner, (*path, number)) for number, inner in enumerate(value)]
        return value

    def _shown(self, given: Any, path: NodePath) -> Slot | None:
        """Return the slot of a text that must have a visible character."""
        text = self._text(given, path)
        return None if text is None else self._made(text, _visible(text))

    def _word(self, given: Any, path: NodePath) -> Slot | None:
        """Return the slot of a text that may be anything."""
        text = self._text(given, path)
        return None if text is None else self._made(text, str)

    def _made(self, text: Text, make: Make) -> Slot | None:
        template = self._compiler.compile(text)
        return None if template is None else Slot(template=template, make=make)

    def _text(self, given: Any, path: NodePath) -> Text | None:
        file = given if isinstance(given, str) else None
        if file is not None:
            return Text(source=file, path=path, file=None)
        name = given["file"] if isinstance(given, dict) else given.file
        try:
            return Text(source=read_text(self._root, name), path=path, file=name)
        except FileRefused as refused:
            self.problems.append(self._unreadable(name, refused, (*path, "file")))
            return None

    def _unreadable(self, file: str, refused: FileRefused, path: NodePath) -> Problem:
        return Problem(
            code="prompt-file-refused",
            summary=f"the file {file} {refused.reason}",
            detail="Prompts are read below the project folder only, without following links. Paths"
            " start at the project folder.",
            where=self._loaded.document.place(path),
        )


def _visible(text: Text) -> Make:
    def make(written: str) -> str:
        if not written or written.isspace():
            raise ItemError(
                f"a prompt is empty ({text.name})",
                "The API refuses text blocks without a visible character. Leave such items out, or"
                " give the template a text for them.",
            )
        return written

    return make


def _parts(content: Any) -> list[Any]:
    return [content] if isinstance(content, str) else list(content)


def _citations(raw: dict[str, Any]) -> dict[str, Any]:
    if "citations" not in raw:
        return {}
    wanted = raw["citations"]
    return {"citations": {"enabled": wanted} if isinstance(wanted, bool) else wanted}
