"""Result lines: order, shapes, outcomes of every kind (fact sheet §1.7, §1.8)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from batchspec.emulator.probe import BATCHES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchspec.emulator.probe import Probe
    from batchspec.emulator.server import RunningEmulator

    Rows = Callable[[int], list[dict[str, Any]]]
    Start = Callable[..., RunningEmulator]

SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"type": "string", "enum": ["low", "high"]},
        "score": {"type": "integer"},
        "when": {"type": "string", "format": "date"},
    },
    "required": ["label", "score", "when"],
    "additionalProperties": False,
}
FORMAT = {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}


def results(probe: Probe, requests: list[dict[str, Any]]) -> dict[str, Any]:
    """Create a batch and return custom_id to result."""
    lines = probe.results(probe.create(requests))
    assert len(lines) == len(requests)
    return {line["custom_id"]: line["result"] for line in lines}


def answers(start: Start, folder: Path, text: str, **settings: Any) -> Probe:
    """Start an emulator with an answers file."""
    path = folder / "answers.yaml"
    path.write_text(text, encoding="utf-8")
    return start(answers=path, **settings).probe


def test_lines_are_shuffled_jsonl(probe: Probe, rows: Rows) -> None:
    """Never the input order, the content type of the service, a newline after the last line."""
    for count in (2, 3, 50):
        batch_id = probe.create(rows(count))
        answer = probe.call("GET", f"{BATCHES}/{batch_id}/results")
        ids = [json.loads(line)["custom_id"] for line in answer.body.splitlines()]
        assert ids != [f"row-{number}" for number in range(count)]
        assert sorted(ids) == sorted(f"row-{number}" for number in range(count))
        assert answer.headers["content-type"] == "application/x-jsonl"
        assert answer.body.endswith(b"}\n")


def test_results_read_twice_are_the_same(probe: Probe, rows: Rows) -> None:
    """A second download gives the same bytes."""
    path = f"{BATCHES}/{probe.create(rows(20))}/results"
    assert probe.call("GET", path).body == probe.call("GET", path).body


def test_answers_do_not_depend_on_the_emulator(start: Start, row: Any) -> None:
    """Equal seeds give equal answers, other seeds give others."""
    requests = [row(f"r{number}", f"q{number}", **FORMAT) for number in range(20)]
    first, second = (results(start(seed=7).probe, requests) for _ in range(2))
    other = results(start(seed=8).probe, requests)
    assert first == second
    assert first != other


def test_succeeded_line_has_the_shape_of_the_sheet(probe: Probe, row: Any) -> None:
    """Every field of a message is there, the model is the dated id, the tier is batch."""
    message = results(probe, [row("a", "x" * 300)])["a"]["message"]
    usage = message.pop("usage")
    assert message.pop("id").startswith("msg_01")
    assert message == {
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5-20251001",
        "content": [{"type": "text", "text": "echo: " + "x" * 200, "citations": None}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "container": None,
        "diagnostics": None,
    }
    assert usage == {
        "input_tokens": 75,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 52,
        "output_tokens_details": {"thinking_tokens": 0},
        "server_tool_use": None,
        "service_tier": "batch",
        "inference_geo": "global",
        "speed": "standard",
    }


def test_errored_line_is_nested_twice(probe: Probe, row: Any) -> None:
    """A fault in params is an errored line with user-facing details, and no request id."""
    assert results(probe, [row("a", temperature=1)])["a"] == {
        "type": "errored",
        "error": {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "temperature: Extra inputs are not permitted",
                "details": {"error_visibility": "user_facing"},
            },
            "request_id": None,
        },
    }


def test_version_governs_every_row(probe: Probe, row: Any) -> None:
    """Under 2023-06-01 an older model still takes a temperature; a newer one does not."""
    body = {"requests": [row("a", temperature=0.3), row("b", model="claude-opus-5", top_p=0.3)]}
    old = {**probe.headers, "anthropic-version": "2023-06-01"}
    batch_id = probe.call("POST", BATCHES, body, old).json["id"]
    kinds = {line["custom_id"]: line["result"]["type"] for line in probe.results(batch_id)}
    assert kinds == {"a": "succeeded", "b": "errored"}


def test_beta_header_extends_the_output(probe: Probe, row: Any) -> None:
    """The 300K beta raises max_tokens for its models, in the batch that named it."""
    body = {"requests": [row("a", model="claude-opus-5", max_tokens=300_000)]}
    beta = {**probe.headers, "anthropic-beta": "other-1, output-300k-2026-03-24"}
    first = probe.call("POST", BATCHES, body, beta).json["id"]
    second = probe.call("POST", BATCHES, body).json["id"]
    assert probe.results(first)[0]["result"]["type"] == "succeeded"
    assert probe.results(second)[0]["result"]["type"] == "errored"


def test_schema_answers_satisfy_and_vary(probe: Probe, row: Any) -> None:
    """Structured output gives valid, different JSON texts."""
    made = results(probe, [row(f"r{n}", f"question {n}", **FORMAT) for n in range(30)])
    texts = [result["message"]["content"][0]["text"] for result in made.values()]
    checker = jsonschema.Draft202012Validator(
        SCHEMA, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    for text in texts:
        checker.validate(json.loads(text))
    assert len(set(texts)) > 20


def test_stop_sequences_and_max_tokens_cut(start: Start, tmp_path: Path, row: Any) -> None:
    """A stop sequence ends an answer before it; max_tokens ends it after four characters each."""
    probe = answers(start, tmp_path, "- answer: 'one two three four five'\n")
    made = results(
        probe, [row("a", stop_sequences=["three", "two"]), row("b", max_tokens=2), row("c")]
    )
    cut = {key: (r["message"]["content"][0]["text"], r["message"]["stop_reason"],
                 r["message"]["stop_sequence"]) for key, r in made.items()}  # fmt: skip
    assert made["b"]["message"]["usage"]["output_tokens"] == 2
    assert cut == {
        "a": ("one ", "stop_sequence", "two"),
        "b": ("one two ", "max_tokens", None),
        "c": ("one two three four five", "end_turn", None),
    }


RULES = r"""
rules:
  - when: {text: 'refund of (?P<amount>\d+)'}
    answer: 'You get {{ amount }} back, {{ fields.name }}.'
  - when: {custom_id: '-a1$'}
    outcome: errored
    error_type: overloaded_error
    message: try again
    details: {error_visibility: internal}
  - when: {path: '$.metadata.user_id', equals: u-1}
    json: {label: high, text: '{{ text }}', score: 3}
  - when: {model: 'claude-opus.*'}
    outcome: refusal
    category: cyber
  - when: {system: 'be brief'}
    outcome: truncated
    answer: 'a long answer'
  - when: {text: expire}
    outcome: expired
  - when: {text: cancel}
    outcome: canceled
  - when: {text: invalid}
    outcome: invalid
  - when: {text: think}
    thinking: let me see
    answer: done
    usage: {output_tokens: 999}
  - when: {text: pause}
    outcome: pause_turn
  - when: {text: '^\{'}
    answer: '{{ data.n + 1 }}'
  - when: {text: broken}
    answer: '{{ nothing.at.all }}'
"""


def test_rules_decide_answers_and_outcomes(start: Start, tmp_path: Path, row: Any) -> None:
    """Each condition and outcome of the answers file, in one batch."""
    made = results(
        answers(start, tmp_path, RULES),
        [
            row("refund", "name: Ann\nrefund of 30 please"),
            row("x-a1"),
            row("json", "say", metadata={"user_id": "u-1"}),
            row("refusal", model="claude-opus-5"),
            row("cut", system=[{"type": "text", "text": "please be brief"}]),
            row("expired", "expire"),
            row("canceled", "cancel"),
            row("invalid", "invalid", **FORMAT),
            row("thinking", "think"),
            row("paused", "pause"),
            row("data", '{"n": 41}'),
            row("broken", "broken"),
            row("other", "anything"),
        ],
    )
    texts = {
        key: result["message"]["content"][-1]["text"]
        for key, result in made.items()
        if result["type"] == "succeeded" and result["message"]["content"]
    }
    assert texts["refund"] == "You get 30 back, Ann."
    assert texts["json"] == '{"label":"high","text":"say","score":3}'
    assert texts["cut"] == "a long"
    assert texts["data"] == "42"
    assert texts["broken"].startswith("The template of the answers file failed")
    assert texts["other"] == "echo: anything"
    with pytest.raises(json.JSONDecodeError):
        json.loads(texts["invalid"])
    inner = {"type": "overloaded_error", "message": "try again",
             "details": {"error_visibility": "internal"}}  # fmt: skip
    assert made["x-a1"]["error"] == {"type": "error", "error": inner, "request_id": None}
    assert made["expired"] == {"type": "expired"}
    assert made["canceled"] == {"type": "canceled"}
    assert made["cut"]["message"]["stop_reason"] == "max_tokens"
    assert made["paused"]["message"]["stop_reason"] == "pause_turn"
    refused = made["refusal"]["message"]
    assert (refused["content"], refused["stop_reason"]) == ([], "refusal")
    assert refused["stop_details"] == {"type": "refusal", "category": "cyber", "explanation": None}
    thought = made["thinking"]["message"]
    assert [block["type"] for block in thought["content"]] == ["thinking", "text"]
    assert thought["usage"]["output_tokens"] == 999


def test_counts_follow_the_outcomes(start: Start, tmp_path: Path, row: Any) -> None:
    """request_counts of an ended batch are the tally of its lines."""
    probe = answers(start, tmp_path, RULES)
    batch_id = probe.create([row("a"), row("b-a1"), row("c", "expire"), row("d", "cancel")])
    assert probe.batch(batch_id)["request_counts"] == {
        "processing": 0, "succeeded": 1, "errored": 1, "canceled": 1, "expired": 1,
    }  # fmt: skip


def test_rate_and_times_count_askings(start: Start, tmp_path: Path, row: Any) -> None:
    """`times: 1` fails only the first asking; a rate fails about its share, each time anew."""
    text = (
        "- {when: {text: once}, outcome: errored, times: 1}\n"
        "- {when: {text: often}, outcome: errored, rate: 0.5}\n"
    )
    probe = answers(start, tmp_path, text)
    requests = [row("once", "once"), *(row(f"o{n}", f"often {n}") for n in range(60))]
    first, second = results(probe, requests), results(probe, requests)
    assert (first["once"]["type"], second["once"]["type"]) == ("errored", "succeeded")
    kinds = [[made[f"o{n}"]["type"] for n in range(60)] for made in (first, second)]
    assert all(15 < kind.count("errored") < 45 for kind in kinds)
    assert kinds[0] != kinds[1]
    again = answers(start, tmp_path, text)
    assert results(again, requests) == first


def test_tools_thinking_and_citations_where_asked(probe: Probe, row: Any) -> None:
    """A forced tool is called with valid input; thinking and citations come when asked for."""
    tool = {"name": "record", "input_schema": SCHEMA}
    document = {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "The sky is blue."},
        "citations": {"enabled": True},
        "title": "Sky",
    }
    cited = {"role": "user", "content": [document, {"type": "text", "text": "colour?"}]}
    made = results(
        probe,
        [
            row("tool", tools=[tool], tool_choice={"type": "tool", "name": "record"}),
            row("any", tools=[tool], tool_choice={"type": "any"}),
            row("auto", tools=[tool]),
            row("think", max_tokens=5000, thinking={"type": "enabled", "budget_tokens": 2000}),
            row("cite", messages=[cited]),
        ],
    )
    for key in ("tool", "any"):
        message = made[key]["message"]
        assert message["stop_reason"] == "tool_use"
        assert message["content"][0]["name"] == "record"
        assert message["content"][0]["caller"] == {"type": "direct"}
        jsonschema.validate(message["content"][0]["input"], SCHEMA)
    assert made["auto"]["message"]["content"][0]["type"] == "text"
    thought = made["think"]["message"]
    assert thought["content"][0]["type"] == "thinking"
    details = thought["usage"]["output_tokens_details"]
    assert 0 < details["thinking_tokens"] < thought["usage"]["output_tokens"]
    citation = made["cite"]["message"]["content"][0]["citations"][0]
    assert citation["type"] == "char_location"
    assert citation["cited_text"] == "The sky is blue."
    assert citation["document_title"] == "Sky"


def cached(row: Any, custom_id: str, ttl: str = "1h") -> Any:
    """Return a request with a cached system prompt of 5,000 tokens."""
    mark = {"type": "ephemeral", "ttl": ttl}
    system = [{"type": "text", "text": "x" * 20_000, "cache_control": mark}]
    return row(custom_id, custom_id, system=system)


def counters(result: Any) -> tuple[int, int, int]:
    """Return tokens written for 5m, written for 1h, and read."""
    usage = result["message"]["usage"]
    written = usage["cache_creation"]
    total = usage["cache_creation_input_tokens"]
    five, hour = written["ephemeral_5m_input_tokens"], written["ephemeral_1h_input_tokens"]
    assert total == five + hour
    return five, hour, usage["cache_read_input_tokens"]


def test_a_cold_batch_writes_and_the_next_one_reads(start: Start, row: Any) -> None:
    """Rows that run at once all write; a later batch reads until the TTL is over."""
    probe = start(stepped=True).probe
    cold = results(probe, [cached(row, f"c{n}") for n in range(3)])
    assert [counters(result) for result in cold.values()] == [(0, 5000, 0)] * 3
    probe.advance(60)
    warm = results(probe, [cached(row, f"w{n}") for n in range(3)])
    assert [counters(result) for result in warm.values()] == [(0, 0, 5000)] * 3
    probe.advance(3599)
    assert counters(results(probe, [cached(row, "read")])["read"]) == (0, 0, 5000)
    probe.advance(3601)
    assert counters(results(probe, [cached(row, "gone")])["gone"]) == (0, 5000, 0)


def test_a_slow_batch_reads_its_own_writes(start: Start, row: Any) -> None:
    """Spread over an hour, the first row writes and the others read."""
    probe = start(stepped=True, delay_seconds=3600).probe
    batch_id = probe.create([cached(row, f"r{n}", "5m") for n in range(20)])
    probe.advance(3600)
    tokens = [counters(line["result"]) for line in probe.results(batch_id)]
    assert tokens[0] == (5000, 0, 0)
    assert tokens[1:] == [(0, 0, 5000)] * 19


def test_replay_answers_with_recorded_results(start: Start, tmp_path: Path, row: Any) -> None:
    """A recorded result is given as it is; a question that was not recorded is echoed."""
    known = row("a", "known")
    recorded = {"type": "succeeded", "message": {"content": [{"type": "text", "text": "R"}]}}
    path = tmp_path / "recorded.jsonl"
    path.write_text(json.dumps({"params": known["params"], "result": recorded}) + "\n")
    made = results(start(replay=(path,)).probe, [known, row("b", "new")])
    assert made["a"] == recorded
    assert made["b"]["message"]["content"][0]["text"] == "echo: new"
