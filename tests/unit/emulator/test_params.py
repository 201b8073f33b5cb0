"""Params of one request: each rule of the sheet as a case of ``params_cases.yaml``."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from batchspec.emulator.models import CATALOGUE, find_model
from batchspec.emulator.params import Terms, params_fault

CASES = YAML(typ="safe", pure=True).load(
    (Path(__file__).parent / "params_cases.yaml").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case: Any) -> None:
    """The fault is found, or none is."""
    standing = {
        "model": "claude-haiku-4-5",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": "hello"}],
    }
    params = {key: value for key, value in {**standing, **case["params"]}.items()
              if value is not None}  # fmt: skip
    terms = Terms(
        version=case.get("version", "2026-10-21"),
        betas=tuple(case.get("betas", ())),
        profile="profile",
    )
    fault = params_fault(params, terms)
    if case["fault"] is None:
        assert fault is None
    else:
        assert fault is not None
        assert case["fault"] in fault


def asked(*blocks: dict[str, Any], model: str = "claude-haiku-4-5") -> str | None:
    """Return the fault of a request with these blocks."""
    messages = [{"role": "user", "content": list(blocks)}]
    params = {"model": model, "max_tokens": 64, "messages": messages}
    return params_fault(params, Terms(version="2026-10-21"))


def media(kind: str, media_type: str, data: bytes) -> dict[str, Any]:
    """Return a block that carries these bytes."""
    text = base64.b64encode(data).decode()
    return {"type": kind, "source": {"type": "base64", "media_type": media_type, "data": text}}


def png(width: int, height: int, filling: int = 0) -> dict[str, Any]:
    """Return an image block: the head of a PNG file, and so many bytes."""
    sides = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return media("image", "image/png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + sides + b"\0" * filling)


def test_limits_of_pictures() -> None:
    """A side, the characters, and how many there are, by the model's window."""
    assert asked(png(8000, 8000)) is None
    assert "8000 pixels" in str(asked(png(10, 8001)))
    assert "10000000 characters" in str(asked(png(10, 10, 7_500_000)))
    assert asked(*[png(1, 1)] * 100) is None
    assert "at most 100 images, not 101" in str(asked(*[png(1, 1)] * 101))
    assert asked(*[png(1, 1)] * 101, model="claude-opus-5") is None
    broken = {"type": "base64", "media_type": "image/png", "data": "%%%"}
    assert "not valid base64" in str(asked({"type": "image", "source": broken}))


def test_limits_of_pdfs() -> None:
    """Pages by the model's window, and bytes."""
    pages = media("document", "application/pdf", b"%PDF-1.7\n" + b"<< /Type /Page >>\n" * 101)
    assert "at most 100 PDF pages, not 101" in str(asked(pages))
    assert asked(pages, model="claude-opus-5") is None
    large = media("document", "application/pdf", b"%PDF-1.7\n".ljust(32_000_001))
    assert "32000000 bytes" in str(asked(large))


def test_most_messages() -> None:
    """One request has at most 100,000 messages."""
    params = {
        "model": "claude-haiku-4-5",
        "max_tokens": 1,
        "messages": [{"role": "user", "content": "a"}] * 100_001,
    }
    assert "at most 100000 items" in str(params_fault(params, Terms(version="2026-10-21")))


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4)
)
JUNK = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)
TOP_KEYS = (
    "model max_tokens messages cache_control inference_geo metadata output_config service_tier"
    " speed stop_sequences stream system thinking tool_choice tools temperature"
)
KEYS = st.sampled_from(TOP_KEYS.split())
GOOD: dict[str, Any] = {
    "model": "claude-haiku-4-5",
    "max_tokens": 10,
    "messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}],
    "tools": [{"name": "a", "input_schema": {"type": "object"}}],
}
PLACES: list[tuple[Any, ...]] = [
    (), ("messages",), ("messages", 0), ("messages", 0, "content"), ("messages", 0, "content", 0),
    ("tools", 0), ("tools", 0, "input_schema"),
]  # fmt: skip


def planted(value: Any, place: tuple[Any, ...], key: Any, junk: Any) -> Any:
    """Return a copy of ``value`` with ``junk`` at ``key`` of the container at ``place``."""
    if not place:
        if isinstance(value, dict):
            return {**value, str(key): junk}
        return [*value, junk]
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = planted(value[place[0]], place[1:], key, junk)
    return copy


@given(
    place=st.sampled_from(PLACES),
    key=KEYS | st.sampled_from(["type", "role", "content", "text", "source", "name", "strict",
                                "input_schema", "citations", "properties", "required", "enum"]),
    junk=JUNK,
    version=st.sampled_from(["2023-06-01", "2026-10-21"]),
)  # fmt: skip
def test_junk_anywhere_gives_a_fault_or_none(
    place: tuple[Any, ...], key: str, junk: Any, version: str
) -> None:
    """Whatever stands where, the checks return and do not raise."""
    fault = params_fault(planted(GOOD, place, key, junk), Terms(version=version))
    assert fault is None or fault


def test_any_model_by_choice() -> None:
    """A model outside the catalogue is taken when the settings say so."""
    params = {**GOOD, "model": "my-model"}
    assert params_fault(params, Terms(version="2026-10-21")) == "model: my-model"
    assert params_fault(params, Terms(version="2026-10-21", any_model=True)) is None


def test_catalogue_has_no_name_twice() -> None:
    """Each id and alias finds its own model."""
    names = [name for model in CATALOGUE for name in {model.id, model.alias}]
    assert len(names) == len(set(names))
    for model in CATALOGUE:
        assert find_model(model.id) is find_model(model.alias) is model
