"""The prompt cache's rules (fact sheet §5)."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from batchspec.emulator.models import ModelFacts, find_model
from batchspec.emulator.usage import (
    InputUsage,
    PromptCache,
    block_tokens,
    prompt_tokens,
    text_tokens,
)

MARK = {"type": "ephemeral"}
HOUR_MARK = {"type": "ephemeral", "ttl": "1h"}


def model(name: str = "claude-opus-5") -> ModelFacts:
    """Return a model; this one caches from 512 tokens on."""
    found = find_model(name)
    assert found is not None
    return found


def block(tokens: int, letter: str, mark: Any = None) -> dict[str, Any]:
    """Return a text block of so many tokens."""
    text = {"type": "text", "text": letter * (tokens * 4)}
    return text if mark is None else {**text, "cache_control": mark}


def params(*blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return params with these system blocks and one short question."""
    return {"system": list(blocks), "messages": [{"role": "user", "content": "hey!"}], **more}


def test_tokens_are_four_characters() -> None:
    """Rounded up, never none; media out of sight count a fixed number, tools their JSON."""
    assert [text_tokens("x" * n) for n in (0, 1, 4, 5)] == [1, 1, 1, 2]
    assert block_tokens({"type": "image", "source": {"type": "url"}}) == 1500
    text = {"type": "document", "source": {"type": "text", "data": "x" * 40}}
    assert block_tokens(text) == 10
    assert prompt_tokens(params(block(10, "a"), tools=[{"name": "a"}])) == 10 + 1 + 3


def test_write_then_read_then_longer_write() -> None:
    """A longer prefix reads the known part and writes the rest."""
    cache = PromptCache()
    first = cache.account(params(block(600, "a", HOUR_MARK)), model(), 0, 2)
    assert first == InputUsage(fresh=1, written_1h=600)
    longer = params(block(600, "a", HOUR_MARK), block(700, "b", MARK))
    assert cache.account(longer, model(), 10, 2) == InputUsage(fresh=1, read=600, written_5m=700)
    assert cache.account(longer, model(), 20, 2) == InputUsage(fresh=1, read=1300)


def test_an_entry_is_usable_only_after_it_is_warm() -> None:
    """Before the first answer begins, everybody pays the write."""
    cache = PromptCache()
    asked = params(block(600, "a", MARK))
    cache.account(asked, model(), 0, 2)
    assert cache.account(asked, model(), 2, 2).read == 0
    assert cache.account(asked, model(), 2.1, 2).read == 600


def test_reads_refresh_and_silence_forgets() -> None:
    """Each read starts the five minutes anew."""
    cache = PromptCache()
    asked = params(block(600, "a", MARK))
    for now in (0, 290, 580):
        cache.account(asked, model(), now, 0)
    assert cache.account(asked, model(), 870, 0).read == 600
    assert cache.account(asked, model(), 1171, 0) == InputUsage(fresh=1, written_5m=600)
    cache.forget_before(5000)
    assert cache.entries == {}


def test_below_the_minimum_nothing_is_cached() -> None:
    """Silently: both counters 0; the minimum is the model's."""
    cache = PromptCache()
    asked = params(block(600, "a", MARK))
    assert cache.account(asked, model("claude-haiku-4-5"), 0, 0) == InputUsage(fresh=601)
    assert cache.account(asked, model(), 0, 0).written_5m == 600


def test_another_model_or_prefix_reads_nothing() -> None:
    """The prefix must be the same to the byte."""
    cache = PromptCache()
    cache.account(params(block(600, "a", MARK)), model(), 0, 0)
    assert cache.account(params(block(600, "b", MARK)), model(), 1, 0).read == 0
    asked = params(block(600, "a", MARK))
    assert cache.account(asked, model("claude-opus-5-5"), 1, 0).read == 0


def test_look_back_goes_twenty_blocks() -> None:
    """An earlier write is found up to 20 blocks before the breakpoint."""
    for between, read in ((18, 600), (30, 0)):
        cache = PromptCache()
        start = block(600, "a")
        cache.account(params({**start, "cache_control": MARK}), model(), 0, 0)
        middle = [block(1, "m") for _ in range(between)]
        asked = params(start, *middle, block(1, "z", MARK))
        assert cache.account(asked, model(), 1, 0).read == read


def test_automatic_mode_marks_the_last_block() -> None:
    """A top-level cache_control covers everything, so a varying tail never hits."""
    cache = PromptCache()
    first = params(block(600, "a"), cache_control=MARK)
    assert cache.account(first, model(), 0, 0) == InputUsage(fresh=0, written_5m=601)
    assert cache.account(first, model(), 1, 0).read == 601
    other = {**first, "messages": [{"role": "user", "content": "you!"}]}
    assert cache.account(other, model(), 2, 0).read == 0


@pytest.mark.parametrize(
    ("data", "media_type", "tokens"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\x2c\0\0\0\x1d", "image/png", 22),
        (b"GIF89a\x2c\1\x1d\0", "image/gif", 22),
        (b"\xff\xd8\xff\xc0\0\x11\x08\0\x1d\1\x2c", "image/jpeg", 22),
        (b"RIFF", "image/webp", 1500),
        (b"%PDF-1.4 /Type/Pages /Type /Page /Type/Page", "application/pdf", 4500),
        (b"%PDF-1.4", "application/pdf", 2250),
    ],
)
def test_media_are_counted_by_pixels_and_pages(data: bytes, media_type: str, tokens: int) -> None:
    """A token for each 28 by 28 pixels, and the middle of what a page may have."""
    source = {"type": "base64", "media_type": media_type, "data": base64.b64encode(data).decode()}
    assert block_tokens({"type": "image", "source": source}) == tokens


def test_workspaces_do_not_share_entries() -> None:
    """What one workspace wrote, another one writes again."""
    cache = PromptCache()
    asked = params(block(600, "a", MARK))
    cache.account(asked, model(), 0, 0, "wrkspc_a")
    assert cache.account(asked, model(), 1, 0, "wrkspc_b").written_5m == 600
    assert cache.account(asked, model(), 2, 0, "wrkspc_a").read == 600


@pytest.mark.parametrize(
    "more",
    [
        {"tool_choice": {"type": "none"}},
        {"thinking": {"type": "adaptive"}},
        {"output_config": {"effort": "low"}},
    ],
    ids=["tool choice", "thinking", "effort"],
)
def test_another_manner_misses_the_messages(more: dict[str, Any]) -> None:
    """System stays in the cache; a breakpoint in the messages is written anew."""
    cache = PromptCache()
    asked = {
        "system": [block(600, "a", MARK)],
        "messages": [{"role": "user", "content": [block(700, "b", MARK)]}],
    }
    assert cache.account(asked, model(), 0, 0) == InputUsage(fresh=0, written_5m=1300)
    other = cache.account({**asked, **more}, model(), 1, 0)
    assert other == InputUsage(fresh=0, read=600, written_5m=700)
