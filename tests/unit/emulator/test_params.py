"""Params of one request: each rule of the sheet as a case of ``params_cases.yaml``."""

from __future__ import annotations

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
