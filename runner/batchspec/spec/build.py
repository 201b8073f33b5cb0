"""Build plain data from YAML events, refusing whatever could surprise a reviewer."""

from __future__ import annotations

import re
from typing import Any, NoReturn

from ruamel.yaml import events

from batchspec.problems import Problem
from batchspec.spec.document import Document, NodePath, Source, Spot, shown
from batchspec.spec.scalars import NumberRefusedError, Scalar, plain, tagged

MAX_DEPTH = 50
MAX_EVENTS = 200_000
MAX_PROBLEMS = 20
"""Of one file; a machine-made file should not bury its author."""

_CORE = "tag:yaml.org,2002:"
_LONGEST_TAG = 64
_SCALAR_TAGS = frozenset({"str", "int", "float", "bool", "null"})
_UNSENDABLE = re.compile("[\x00\ud800-\udfff]")


class Stop(Exception):  # noqa: N818 - a signal, caught one level up
    """The text cannot be understood any further; the builder's problems say why."""


def _joined(text: str) -> str:
    """Join pairs of surrogates, the escapes of JSON for characters beyond U+FFFF."""
    if _UNSENDABLE.search(text) is None:
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def problem_at(
    source: Source, position: tuple[int, int], code: str, summary: str, detail: str
) -> Problem:
    """Return an error at a 0-based line and column."""
    return Problem(code=code, summary=summary, detail=detail, where=source.at(*position))


class _Frame:
    """A mapping or list that is still open."""

    __slots__ = ("keys", "node", "path", "pending")

    def __init__(self, node: dict[str, Any] | list[Any], path: NodePath) -> None:
        self.node = node
        self.path = path
        self.pending: tuple[str, tuple[int, int], bool] | None = None
        """The key read last, where it stands, and whether it is the first of its name."""
        self.keys: dict[str, tuple[int, int]] = {}


class Builder:
    """Takes events one by one; afterwards `document` is what they said."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._frames: list[_Frame] = []
        self._spots: dict[NodePath, Spot] = {}
        self._data: Any = None
        self._problems: list[Problem] = []
        self._count = 0
        self._documents = 0
        self._broken = False

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything found so far, at most `MAX_PROBLEMS`."""
        return tuple(self._problems[:MAX_PROBLEMS])

    def document(self) -> Document | None:
        """Return what was built, or None when a refused feature left a hole in it."""
        if self._broken:
            return None
        return Document(source=self._source, data=self._data, spots=self._spots)

    def take(self, event: Any) -> None:
        """Take the next event.

        Raises:
            Stop: A limit is passed or a second document begins.
        """
        self._count += 1
        if self._count > MAX_EVENTS:
            self._stop(
                event,
                "yaml-too-large",
                f"the file has more than {MAX_EVENTS:,} parts",
                "Put the data into a file beside the spec and name it in inputs.table.",
            )
        match event:
            case events.DocumentStartEvent():
                self._begin(event)
            case events.AliasEvent():
                self._refuse(event, "an alias", "*")
                self._put(event, None)
            case events.ScalarEvent():
                self._scalar(event)
            case events.MappingStartEvent():
                self._open(event, {}, "map")
            case events.SequenceStartEvent():
                self._open(event, [], "seq")
            case events.MappingEndEvent() | events.SequenceEndEvent():
                self._frames.pop()
            case _:
                pass

    def _begin(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self._stop(
                event,
                "yaml-many-documents",
                "a second document begins here",
                "One file is one spec. Remove the line `---`, or move what follows it into"
                " a file of its own.",
            )
        if event.tags or event.version not in {None, (1, 2)}:
            self._refuse(event, "a directive", "%")

    def _open(self, event: Any, node: dict[str, Any] | list[Any], kind: str) -> None:
        frame = self._frames[-1] if self._frames else None
        if frame is not None and isinstance(frame.node, dict) and frame.pending is None:
            self._complex_key(event)
        if len(self._frames) >= MAX_DEPTH:
            self._stop(
                event,
                "yaml-too-deep",
                f"values are nested more than {MAX_DEPTH} deep",
                "No part of a spec is that deep. Put large data into a file of its own.",
            )
        self._features(event, frozenset({kind}))
        path = self._put(event, node)
        self._frames.append(_Frame(node, path))

    def _complex_key(self, event: Any) -> NoReturn:
        mark = event.start_mark
        if self._source.lines[mark.line].startswith("{{", mark.column - 1):
            self._stop(
                event,
                "unquoted-template",
                "a value begins with {{ and is not quoted",
                "YAML reads the braces as mappings, not as a template. Put the whole value"
                ' into quotes, or begin it with "|" and go on below.',
            )
        self._stop(
            event,
            "bad-key",
            "a mapping or list is used as a key",
            "Keys are text. Give the key a name.",
        )

    def _scalar(self, event: Any) -> None:
        tag = self._features(event, _SCALAR_TAGS)
        frame = self._frames[-1] if self._frames else None
        value = self._meaning(event, tag)
        if frame is not None and isinstance(frame.node, dict) and frame.pending is None:
            self._key(event, frame, value)
        else:
            self._put(event, value)

    def _meaning(self, event: Any, tag: str | None) -> Scalar:
        text = _joined(event.value)
        bad = _UNSENDABLE.search(text)
        if bad is not None:
            self._add(
                event,
                "bad-character",
                f"the text holds U+{ord(bad[0]):04X}",
                "JSON requests cannot carry it, so the API would refuse the request. Remove"
                " the escape.",
            )
            return _UNSENDABLE.sub("", text)
        try:
            if tag is not None:
                return tagged(tag, text)
            return plain(text) if event.implicit[0] else text
        except NumberRefusedError as error:
            self._add(
                event,
                "bad-number",
                f"{shown(text)} {error}",
                "Put it into quotes to use it as text, or write a smaller number.",
            )
            return 0

    def _key(self, event: Any, frame: _Frame, value: Scalar) -> None:
        here = (event.start_mark.line, event.start_mark.column)
        if event.value == "<<" and event.implicit[0]:
            self._refuse(event, "a merge key", "<<")
        elif not isinstance(value, str):
            self._add(
                event,
                "bad-key",
                f"the key {shown(event.value) or '(empty)'} is not text",
                "YAML reads it as a number, a truth value or nothing, and JSON has only text"
                " keys. Put it into quotes.",
            )
        name = _joined(event.value)
        first = frame.keys.setdefault(name, here)
        if first != here:
            self._add(
                event,
                "duplicate-key",
                f"the key {shown(name)} is given twice, first on line {first[0] + 1}",
                "Only one of the values could be used, and a reader cannot know which. Remove one.",
            )
        frame.pending = (name, here, first == here)

    def _put(self, event: Any, value: Any) -> NodePath:
        """Store a value where it belongs and return its path."""
        frame = self._frames[-1] if self._frames else None
        mark = event.start_mark
        style = getattr(event, "style", None) or ""
        key: tuple[int, int] | None = None
        path: NodePath = ()
        keep = True
        if frame is None:
            self._data = value
        elif isinstance(frame.node, list):
            path = (*frame.path, len(frame.node))
            frame.node.append(value)
        elif frame.pending is not None:
            name, key, keep = frame.pending
            path = (*frame.path, name)
            frame.pending = None
            frame.node.setdefault(name, value)
        if keep:
            self._spots.setdefault(path, Spot(self._source, mark.line, mark.column, style, key))
        return path

    def _features(self, event: Any, allowed: frozenset[str]) -> str | None:
        """Refuse anchors and foreign tags; return the core tag that was written out, if any."""
        if event.anchor is not None:
            self._refuse(event, "an anchor", "&")
        if event.ctag is None:
            return None
        if event.ctag.suffix == "!":  # "not what it looks like": text
            return "str" if allowed is _SCALAR_TAGS else None
        # str() of a long tag takes quadratic time in ruamel.yaml.
        long = len(event.ctag.suffix or "") > _LONGEST_TAG
        short = "" if long else str(event.ctag).removeprefix(_CORE)
        if short not in allowed:
            self._refuse(event, "a tag", "!")
            return None
        return short if short in _SCALAR_TAGS else None

    def _refuse(self, event: Any, feature: str, sign: str) -> None:
        self._broken = True
        self._add(
            event,
            "yaml-feature",
            f"{feature} ({sign}) is used",
            "Anchors, aliases, merge keys, tags and directives make a file mean something"
            " else than what stands there. Write the value out, use `defaults` in"
            " batchspec.yaml for what specs share, or put the text into quotes.",
        )

    def _add(self, event: Any, code: str, summary: str, detail: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            mark = event.start_mark
            position = (mark.line, mark.column)
            self._problems.append(problem_at(self._source, position, code, summary, detail))

    def _stop(self, event: Any, code: str, summary: str, detail: str) -> NoReturn:
        self._add(event, code, summary, detail)
        raise Stop
