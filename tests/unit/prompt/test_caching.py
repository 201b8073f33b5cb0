from __future__ import annotations

import dataclasses
from typing import Any, Literal

import pytest

from batchspec.prompt.caching import Breakpoint, Segment, place_breakpoint
from batchspec.spec.facts import ModelFacts

FACTS = ModelFacts(
    id="claude-x",
    max_output=1,
    max_output_300k=False,
    context=1,
    prefill=False,
    sampling=False,
    structured_outputs=True,
    min_cache_tokens=1000,
    tokenizer="old",
    retires_at=None,
    deprecated=False,
)
LONG = "x" * 3500
TOOLS = [{"name": "t", "description": LONG, "input_schema": {}}]


def place(
    *constants: str | None,
    mode: Literal["auto", "5m", "1h", "off"] = "auto",
    tools: Any = None,
    facts: ModelFacts | None = FACTS,
) -> Breakpoint:
    """Place a breakpoint over blocks given by their constant text, the last one in a message."""
    segments = [
        Segment(
            place=("system", number) if number < len(constants) - 1 else ("messages", 0, 0),
            chars=None if text is None else len(text),
        )
        for number, text in enumerate(constants)
    ]
    return place_breakpoint(mode, segments, tools=tools, facts=facts)


def test_it_stands_on_the_last_block_that_no_item_reaches() -> None:
    """Constant blocks before the first varying one form the prefix."""
    found = place(LONG, "short", None, LONG, None)
    assert (found.place, found.ttl, found.notes) == (("system", 1), "1h", ())
    assert found.prefix_chars == 3505
    assert found.control(("system", 1)) == {"type": "ephemeral", "ttl": "1h"}


@pytest.mark.parametrize("mode", ["5m", "1h"])
def test_the_lifetime_can_be_chosen(mode: Literal["5m", "1h"]) -> None:
    """5m and 1h are taken as they are."""
    assert place(LONG, None, mode=mode).ttl == mode


def test_tools_come_first() -> None:
    """A constant list of tools is a prefix of its own when the system prompt varies."""
    found = place(None, None, tools=TOOLS)
    assert found.place == ("tools",)
    assert found.prefix_chars > 3500


def test_tools_count_towards_the_prefix() -> None:
    """A short system prompt behind long tools is cached with them."""
    assert place("short", None, tools=TOOLS).place == ("system", 0)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (place("x" * 3499, None), "about 999 tokens, and claude-x caches from 1,000 on"),
        (place(None, LONG, None), "begins with a value of the item"),
        (place(LONG, LONG), "no value of the item is in the prompt"),
        (
            place(LONG, None, tools=[{"name": "t", "cache_control": {"type": "ephemeral"}}]),
            "params.tools carries a breakpoint of its own, so none was added.",
        ),
    ],
)
def test_without_a_breakpoint_a_note_says_why(found: Breakpoint, words: str) -> None:
    """Nothing is left out in silence."""
    assert (found.place, found.ttl, found.prefix_chars) == (None, None, 0)
    assert words in found.notes[0]


def test_off_is_off() -> None:
    """A spec that wants no caching gets none, and no note."""
    assert place(LONG, None, mode="off") == Breakpoint()


def test_the_new_tokenizer_makes_more_tokens_of_a_text() -> None:
    """2.5 instead of 3.5 characters per token let a shorter prefix reach the minimum."""
    new = dataclasses.replace(FACTS, tokenizer="new")
    assert place("x" * 2500, None, facts=new).ttl == "1h"
    assert place("x" * 2500, None).ttl is None


@pytest.mark.parametrize("facts", [None, dataclasses.replace(FACTS, min_cache_tokens=None)])
def test_an_unknown_minimum_is_no_reason_to_leave_it_out(facts: ModelFacts | None) -> None:
    """A breakpoint below the minimum does no harm (fact sheet §5)."""
    assert place("x", None, facts=facts).ttl == "1h"


def test_a_breakpoint_of_ones_own_that_is_too_short_is_told() -> None:
    """It is sent as it was written, nothing is expected of it, and the note names its block."""
    segments = [
        Segment(place=("system", 0), chars=300, cache="1h"),
        Segment(place=("messages", 0, 0), chars=None),
    ]
    found = place_breakpoint("auto", segments, tools=None, facts=FACTS)
    assert found.control(("system", 0)) == {"type": "ephemeral", "ttl": "1h"}
    assert (found.place, found.ttl, found.prefix_chars) == (None, None, 0)
    (note,) = found.notes
    assert "has about 85 tokens, and claude-x caches from 1,000 on" in note
    assert "The breakpoint behind block 1 of the system prompt has no effect." in note


@pytest.mark.parametrize(("control", "ttl"), [({}, "5m"), ({"ttl": "1h"}, "1h")])
@pytest.mark.parametrize("mode", ["auto", "off"])
def test_a_breakpoint_in_a_tool_is_counted_on(
    mode: Literal["auto", "off"], control: dict[str, str], ttl: str
) -> None:
    """What stands before it is cached whatever the spec's cache says, so that it has a price."""
    marked = {**TOOLS[0], "cache_control": {"type": "ephemeral", **control}}
    found = place(LONG, None, mode=mode, tools=[marked, {"name": "u", "description": LONG}])
    assert (found.place, found.ttl, found.marks) == (("tools", 0), ttl, ())
    assert found.every == ((("tools", 0), ttl),)
    assert 3500 < found.prefix_chars < 3700


def test_breakpoints_that_are_there_already_stand_in_order() -> None:
    """Those of tools come first, those of a file of turns where they are."""
    tools = [{"name": "t", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    segments = [
        Segment(place=("messages", 0, 0), chars=3500, given="5m"),
        Segment(place=("messages", 1, 0), chars=None, cache="5m"),
        Segment(place=("messages", 2, 0), chars=10, given="5m"),
    ]
    found = place_breakpoint("off", segments, tools=tools, facts=FACTS)
    assert [ttl for _, ttl in found.every] == ["1h", "5m", "5m", "5m"]
    assert found.marks == ((("messages", 1, 0), "5m"),)
    assert (found.place, found.ttl) == (("messages", 0, 0), "5m")
