"""No request body, however strange, makes the emulator fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchspec.emulator.probe import BATCHES, Probe
from batchspec.emulator.server import EmulatorSettings, start_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False)
    | st.text(max_size=8)
)  # fmt: skip
WORDS = st.sampled_from(
    ["user", "assistant", "system", "text", "image", "document", "base64", "url", "file", "object",
     "string", "json_schema", "ephemeral", "enabled", "adaptive", "tool", "any", "claude-haiku-4-5",
     "claude-opus-5", "low", "5m", "1h", "#", "#/$defs/a"]
)  # fmt: skip
KEYS = st.sampled_from(
    ["type", "role", "content", "text", "source", "data", "media_type", "url", "file_id", "name",
     "input_schema", "properties", "required", "additionalProperties", "items", "enum", "anyOf",
     "allOf", "$ref", "$defs", "a", "format", "schema", "effort", "cache_control", "ttl", "strict",
     "citations", "budget_tokens", "pattern", "const", "minItems"]
)  # fmt: skip
JUNK = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)
OPTIONAL = (
    "system tools tool_choice thinking output_config cache_control stop_sequences metadata"
    " service_tier temperature stream speed inference_geo fallbacks container diagnostics"
)
MESSAGES: Any = [{"role": "user", "content": "hello"}]
TOOL = st.fixed_dictionaries({"name": st.just("a"), "input_schema": JUNK})
SCHEMA = st.fixed_dictionaries({"type": st.just("json_schema"), "schema": JUNK})
PARAMS = st.fixed_dictionaries(
    {
        "model": st.just("claude-haiku-4-5") | WORDS,
        "max_tokens": st.integers(-1, 200_000),
        "messages": st.just(MESSAGES)
        | JUNK
        | st.lists(st.fixed_dictionaries({"role": WORDS, "content": JUNK})),
    },
    optional={
        **dict.fromkeys(OPTIONAL.split(), JUNK),
        "tools": JUNK | st.lists(TOOL, max_size=2),
        "output_config": JUNK | st.fixed_dictionaries({"format": SCHEMA}),
    },
)
OUTCOMES = {"succeeded", "errored", "canceled", "expired"}
LENIENT = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    """Return one emulator for all examples."""
    folder = tmp_path_factory.mktemp("fuzz")
    with start_emulator(EmulatorSettings(data_dir=folder)) as emulator:
        yield emulator.probe


@LENIENT
@given(params=st.lists(PARAMS, min_size=1, max_size=4), old=st.booleans())
def test_params_end_as_lines(shared: Probe, params: list[Any], *, old: bool) -> None:
    """Junk in params is refused, or each row gets a line; the page shows it all the same."""
    requests = [{"custom_id": f"r{n}", "params": value} for n, value in enumerate(params)]
    version = "2023-06-01" if old else "2026-10-21"
    headers = {"x-api-key": "k", "anthropic-version": version}
    answer = shared.call("POST", BATCHES, {"requests": requests}, headers)
    assert answer.status in (200, 400)
    if answer.status == 200:
        batch_id = answer.json["id"]
        lines = shared.results(batch_id)
        assert {line["custom_id"] for line in lines} == {row["custom_id"] for row in requests}
        assert {line["result"]["type"] for line in lines} <= OUTCOMES
        counts = shared.batch(batch_id)["request_counts"]
        assert sum(counts.values()) == len(requests)
        assert shared.call("GET", f"/_emulator/page/{batch_id}").status == 200


@LENIENT
@given(body=st.binary(max_size=200) | st.text(max_size=200).map(str.encode) | JUNK)
@pytest.mark.parametrize("path", [BATCHES, "/v1/messages/count_tokens", "/_emulator/faults",
                                  "/_emulator/clock", "/v1/files"])  # fmt: skip
def test_any_body_is_answered(shared: Probe, path: str, body: Any) -> None:
    """Bytes, text and JSON of any shape, to every endpoint that takes a body."""
    status = shared.call("POST", path, body).status
    if path == "/_emulator/faults":
        shared.clear_faults()
    assert status < 500


@LENIENT
@given(value=PARAMS)
def test_count_tokens_takes_or_refuses(shared: Probe, value: Any) -> None:
    """A number, or a 4xx."""
    answer = shared.call("POST", "/v1/messages/count_tokens", value)
    assert answer.status in (200, 400, 404)
    if answer.status == 200:
        assert answer.json["input_tokens"] > 0


@LENIENT
@given(path=st.text(max_size=20), query=st.text(max_size=20))
def test_any_path_is_answered(shared: Probe, path: str, query: str) -> None:
    """Paths and queries of any characters."""
    for start in (f"{BATCHES}/", "/v1/models/", "/v1/files/", f"{BATCHES}?"):
        url = start + quote(path, safe="/?&=") + "?" + quote(query, safe="&=")
        assert shared.call("GET", url).status < 500
