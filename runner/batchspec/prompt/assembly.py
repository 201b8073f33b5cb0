"""Everything about a spec's requests that is known before items are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from batchspec.problems import Problem
from batchspec.prompt.answer_form import form_of
from batchspec.prompt.caching import (
    MAX_BREAKPOINTS,
    Breakpoint,
    Place,
    Segment,
    Ttl,
    given_ttl,
    place_breakpoint,
)
from batchspec.prompt.canonical import canonical_json, canonical_text
from batchspec.prompt.contents import NAME
from batchspec.prompt.layout import SYSTEM, Turn
from batchspec.prompt.sent_schema import sent_schema
from batchspec.prompt.shelf import IMAGES, has_large_context
from batchspec.prompt.slots import Block, Slot, filled
from batchspec.records import frozen
from batchspec.spec.facts import ModelFacts
from batchspec.spec.headers import headers_of
from batchspec.spec.model import Api
from batchspec.spec.project import LoadedSpec


@frozen
class Grouping:
    """A breakpoint behind values of the item: only items that agree in them share its prefix."""

    slots: tuple[Slot, ...]
    """What of the prefix an item variable reaches."""
    place: Place
    ttl: Ttl


class Assembly:
    """The params of a spec's requests, with slots where items differ.

    Args:
        loaded: The spec.
        turns: Its prompt, constants rendered.
        schema: The response's schema, if there is one.
        api: The project's version header and betas, where the spec has none of its own.
        facts: The model's, if it is known.
    """

    def __init__(
        self,
        loaded: LoadedSpec,
        turns: Sequence[Turn],
        schema: dict[str, Any] | None,
        api: Api,
        facts: ModelFacts | None,
    ) -> None:
        self.spec = loaded.spec
        self.document = loaded.document
        self.turns = turns
        self.form = form_of(self.spec.response, schema, self.spec.params)
        self.schema = sent_schema(self.spec.response, schema)
        self._facts = facts
        self.identity = canonical_json(headers_of(self.spec, api).document())
        self.breakpoint: Breakpoint = place_breakpoint(
            self.spec.cache,
            [
                Segment(
                    place=(*path, number),
                    chars=block.chars,
                    cache=block.cache,
                    given=given_ttl(block.value),
                )
                for path, turn in self._turns()
                for number, block in enumerate(turn.blocks)
            ],
            tools=self.spec.params.get("tools"),
            facts=facts,
        )

    @property
    def tokenizer(self) -> Literal["old", "new"]:
        """The model's tokenizer; of an unknown model, the newer one."""
        return "new" if self._facts is None else self._facts.tokenizer

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Every slot of the prompt, in the order of the turns."""
        return tuple(slot for turn in self.turns for slot in turn.slots)

    def parts(self) -> dict[str, str]:
        """Return the digests that explain a change."""
        written: list[Any] = []
        for turn in self.turns:
            said = {"turns": turn.file} if turn.file is not None else _written(turn)
            if not written or written[-1] != said:  # a file of turns is named once
                written.append(said)
        constants = [slot.constant for slot in self.slots if isinstance(slot.constant, dict)]
        key = self.spec.inputs.key or ("path",)
        marks = [[list(place), ttl] for place, ttl in self.breakpoint.marks]
        return {
            "prompt": digest_of([written, list(key)]),
            "files": digest_of([self.files(), constants]),
            "model": digest_of(self.spec.model),
            "params": digest_of([self.spec.params, self.spec.max_tokens, self.identity.decode()]),
            "schema": digest_of(self.schema.identity),
            "vars": digest_of(self.spec.vars),
            "cache": digest_of([marks, self.breakpoint.ttl]),
        }

    def files(self) -> dict[str, str]:
        """Return the digest of each file whose content every request holds, by its path."""
        found: dict[str, list[Any]] = {}
        for slot in self.slots:
            text = slot.template.text
            held = dict(slot.template.found.files)
            if text.file is not None:
                held[text.file] = text.source
            if isinstance(slot.constant, dict) and NAME in slot.constant:
                held[slot.constant[NAME]["path"]] = slot.constant[NAME]["sha256"]
            for name, content in held.items():
                found[name] = [content]
        for turn in self.turns:
            if turn.file is not None:
                found.setdefault(turn.file, []).append(_written(turn))
        return {name: digest_of(found[name]) for name in sorted(found)}

    @property
    def grouping(self) -> Grouping | None:
        """The last breakpoint that an item variable reaches; None: there is none."""
        marks = dict(self.breakpoint.every)
        before: list[Slot] = []
        found: Grouping | None = None
        for path, turn in self._turns():
            for number, block in enumerate(turn.blocks):
                before += [slot for slot in block.slots if slot.constant is None]
                place = (*path, number)
                if before and place in marks:
                    found = Grouping(slots=tuple(before), place=place, ttl=marks[place])
        return found

    def columns_used(self) -> set[str]:
        """Return the columns that any template depends on."""
        return {name for slot in self.slots for name in slot.template.found.columns}

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with the request as a whole."""
        marks = self.breakpoint.every
        if len(marks) > MAX_BREAKPOINTS:
            yield self._of_cache(
                "too-many-breakpoints",
                f"the request has {len(marks)} cache breakpoints",
                f"The API takes at most {MAX_BREAKPOINTS} in one request, the automatic one"
                " included. Remove cache from some blocks, or cache_control from some tools.",
            )
        lives = [ttl for _, ttl in marks]
        if "5m" in lives and "1h" in lives[lives.index("5m") :]:
            yield self._of_cache(
                "cache-order",
                "a cache breakpoint of 1h stands after one of 5m",
                "The API takes them the other way round only: what lives longer comes first. Change"
                " the lifetimes, or the spec's cache.",
            )
        images = sum(_is_image(block) for turn in self.turns for block in turn.blocks)
        most = IMAGES[has_large_context(self._facts)]
        if images > most:
            yield Problem(
                code="too-many-images",
                summary=f"a request has {images} images",
                detail=f"The API takes at most {most} in one request to this model. Ask about fewer"
                " at once.",
                where=self.document.place(("prompt",), key=True),
            )

    def _of_cache(self, code: str, summary: str, detail: str) -> Problem:
        where = self.document.place(("prompt",), key=True)
        return Problem(code=code, summary=summary, detail=detail, where=where)

    def encode(self) -> tuple[list[bytes], list[Slot]]:
        """Return the constant pieces of the params' canonical JSON, and the slots between them."""
        varying = [slot for slot in self.slots if slot.constant is None]
        marker = self._marker()
        names = {id(slot): f"{marker}{number}\0" for number, slot in enumerate(varying)}
        encoded = self.schema.splice(canonical_json(self._params(names)))
        places = sorted(
            (encoded.index(canonical_text(names[id(slot)])), number, slot)
            for number, slot in enumerate(varying)
        )
        pieces, at = [], 0
        for start, _, slot in places:
            pieces.append(encoded[at:start])
            at = start + len(canonical_text(names[id(slot)]))
        return [*pieces, encoded[at:]], [slot for _, _, slot in places]

    def _marker(self) -> str:
        """Return a text that stands in no constant of the request."""
        constants = canonical_json(self._params({})).decode()
        number = 0
        while f"batchspec-{number}-" in constants:
            number += 1
        return f"\0batchspec-{number}-"

    def _params(self, names: Mapping[int, str]) -> dict[str, Any]:
        params = dict(self.spec.params)
        params["model"] = self.spec.model
        params["max_tokens"] = self.spec.max_tokens
        params["messages"] = []
        for path, turn in self._turns():
            content = self._content(path, turn, names)
            if turn.role == SYSTEM:
                params["system"] = content
            else:
                params["messages"].append({"role": turn.role, "content": content})
        if self.schema.value is not None:
            form = {"type": "json_schema", "schema": self.schema.value}
            params["output_config"] = {**params.get("output_config", {}), "format": form}
        control = self.breakpoint.control(("tools",))
        if control is not None:
            *others, last = params["tools"]
            params["tools"] = [*others, {**last, "cache_control": control}]
        return params

    def _content(
        self, path: Place, turn: Turn, names: Mapping[int, str]
    ) -> str | list[dict[str, Any]]:
        values = [filled(block.value, names) for block in turn.blocks]
        controls = [self.breakpoint.control((*path, number)) for number in range(len(values))]
        if turn.plain and controls == [None]:
            return str(values[0])
        content: list[dict[str, Any]] = []
        for value, control in zip(values, controls, strict=True):
            block = {"type": "text", "text": value} if isinstance(value, str) else value
            content.append(block if control is None else {**block, "cache_control": control})
        return content

    def _turns(self) -> list[tuple[Place, Turn]]:
        messages = [turn for turn in self.turns if turn.role != SYSTEM]
        system = [turn for turn in self.turns if turn.role == SYSTEM]
        return [
            *((("system",), turn) for turn in system),
            *((("messages", number), turn) for number, turn in enumerate(messages)),
        ]


def _is_image(block: Block) -> bool:
    return isinstance(block.value, dict) and block.value.get("type") == "image"


def _written(turn: Turn) -> list[Any]:
    return [turn.role, turn.plain, [block.written for block in turn.blocks]]


def digest_of(value: Any) -> str:
    """Return the SHA-256 of plain data, hex.

    It labels changes and is no identity, so JSON with sorted keys will do.
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
