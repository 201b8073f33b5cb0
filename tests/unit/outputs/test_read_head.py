"""Reading only the id of a line comes to the same verdict as reading all of it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchspec.outputs.rows import Oddity, read_head, read_line

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["custom_id", "result", "type", "message", "content", "error", "text"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
RESULT = {"type": "succeeded", "message": {"content": [{"type": "text", "text": "hi"}]}}
LINES = [
    b"",
    b"garbage",
    b"[]",
    b'{"custom_id":"a"}',
    orjson.dumps({"custom_id": "a", "result": RESULT}),
    orjson.dumps({"custom_id": "", "result": RESULT}),
    orjson.dumps({"custom_id": "a", "result": {"type": "succeeded", "message": {"content": 1}}}),
    orjson.dumps({"custom_id": "a", "result": {"type": "errored", "error": {"error": {}}}}),
    orjson.dumps({"custom_id": "a", "result": {"type": "expired"}}),
    orjson.dumps({"custom_id": "a", "result": {"type": "brand_new"}}),
]


def agrees(line: bytes) -> None:
    """Assert that both readers say the same."""
    whole, head = read_line(line), read_head(line)
    if isinstance(whole, Oddity):
        assert head == whole
    else:
        assert head == (whole.custom_id, whole.kind == "succeeded")


@pytest.mark.parametrize("line", LINES)
def test_known_lines(line: bytes) -> None:
    """Lines as they come, and as they should not."""
    agrees(line)


@given(JSON)
@settings(max_examples=300, deadline=None)
def test_any_json(value: Any) -> None:
    """Whatever JSON a line holds."""
    agrees(orjson.dumps(value))
