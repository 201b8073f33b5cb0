from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from batchspec.prompt.canonical import canonical_json, canonical_text

SAFE = 2**53 - 1
TEXTS = st.text(st.characters(codec="utf-8"))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-SAFE, SAFE),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_it_is_rfc_8785(value: Any) -> None:
    """The fast way and the library write the same bytes, and they read back as the same value."""
    encoded = canonical_json(value)
    assert encoded == rfc8785.dumps(value)
    assert json.loads(encoded, parse_int=float) == value


@given(st.dictionaries(TEXTS, st.integers(0, 9), max_size=6), st.randoms())
def test_the_order_of_keys_does_not_count(value: dict[str, int], random: Any) -> None:
    """Shuffled mappings have one canonical form."""
    items = list(value.items())
    random.shuffle(items)
    assert canonical_json(dict(items)) == canonical_json(value)


@given(TEXTS)
def test_a_text_is_written_as_in_a_whole(text: str) -> None:
    """What is spliced per item is what encoding the whole would have written."""
    assert canonical_text(text) == canonical_json(text) == rfc8785.dumps(text)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ({"b": 1, "a": 2}, b'{"a":2,"b":1}'),
        ({"\ue000": 1, "\U0001f600": 2}, '{"\U0001f600":2,"\ue000":1}'.encode()),
        ({"é": 1, "z": 2}, '{"z":2,"é":1}'.encode()),
        ([1.0, 1e21, 1e-7, 0.1, -0.0, 1e16], b"[1,1e+21,1e-7,0.1,0,10000000000000000]"),
        (
            '\u001b\b\t\n\f\r"\\/\u007f\u2028',
            '"\\u001b\\b\\t\\n\\f\\r\\"\\\\/\u007f\u2028"'.encode(),
        ),
        ((1, (2,)), b"[1,[2]]"),
        (SAFE, b"9007199254740991"),
        ({}, b"{}"),
    ],
)
def test_known_forms(value: Any, encoded: bytes) -> None:
    """Keys by UTF-16, numbers as ECMAScript writes them, the fewest escapes."""
    assert canonical_json(value) == encoded


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        [float("-inf")],
        "\ud800",
        {"a": "\udfff"},
        {"\ud800": 1},
        SAFE + 1,
        {"a": [-SAFE - 1]},
        b"bytes",
        {1: 2},
        {1, 2},
        pytest.param(object(), id="object"),
    ],
    ids=repr,
)
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    """Numbers that are none, half characters, lost digits and foreign objects raise ValueError."""
    with pytest.raises(ValueError, match="no canonical JSON"):
        canonical_json(value)


def test_half_a_character_is_refused_in_texts() -> None:
    """The per-item way refuses lone surrogates too."""
    with pytest.raises(ValueError, match="surrogate"):
        canonical_text("a\ud83d")
