"""Makes the result line of a request: its message, usage and outcome (fact sheet §1.7, §1.8)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from batchspec.emulator.blocks import answer_blocks
from batchspec.emulator.draws import Draw, make_id
from batchspec.emulator.media import CHARS_PER_TOKEN
from batchspec.emulator.params import Terms, model_of, params_fault
from batchspec.emulator.rules import Question, Rule
from batchspec.emulator.schema_values import value_for
from batchspec.emulator.usage import (
    InputUsage,
    PromptCache,
    prompt_tokens,
    text_tokens,
)

if TYPE_CHECKING:
    from batchspec.emulator.models import ModelFacts
    from batchspec.emulator.replay import Recording

_ECHO_CHARS = 200
"""Characters of the last user text that the default answer repeats."""

_NOT_RECORDED = "The emulator replays a recording, and this question is not in it. Record it anew."

Result = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Answerer:
    """Answers requests by rules, recordings, schema or echo, in this order."""

    seed: int
    """Varies everything that is drawn."""
    rules: tuple[Rule, ...] = ()
    """Rules of the answers file."""
    recording: Recording | None = None
    """Recorded results, by digest of the params."""
    replay_only: bool = False
    """Whether a question that neither a rule nor the recording answers is an errored line."""
    warm_seconds: float = 2.0
    """Seconds until a written cache entry can be read."""
    cache: PromptCache = field(default_factory=PromptCache)
    """The prompt cache."""
    templates: ImmutableSandboxedEnvironment = field(
        default_factory=lambda: ImmutableSandboxedEnvironment(autoescape=False)
    )
    """Where answer templates are compiled; answers are text, never HTML."""

    @property
    def needs_history(self) -> bool:
        """Whether answers depend on how often a question was asked."""
        sequels = self.recording is not None and self.recording.has_sequels
        return sequels or any(rule.needs_history for rule in self.rules)

    def result(self, question: Question, terms: Terms, now: float) -> Result:
        """Return the ``result`` of one request that starts at emulated time ``now``."""
        recorded = self._recorded(question)
        try:
            fault = params_fault(question.params, terms)
        except RecursionError:
            fault = "params: nested too deeply"
        if fault is not None:
            details = {"error_visibility": "user_facing"}
            return recorded or errored("invalid_request_error", fault, details)
        model = model_of(question.params, terms)
        if model is None:  # pragma: no cover  (params_fault has refused it)
            return errored("invalid_request_error", "model: unknown")
        rule, groups = self._rule_for(question)
        if rule is not None and rule.outcome in ("errored", "expired", "canceled"):
            return _without_message(rule)
        if rule is None and recorded is not None:
            return recorded
        if rule is None and self.replay_only:
            return errored("invalid_request_error", _NOT_RECORDED)
        return self._succeeded(question, model, rule, groups, now)

    def _recorded(self, question: Question) -> Result | None:
        if self.recording is None:
            return None
        return self.recording.find(question.sha256, question.custom_id, question.asked_before)

    def _rule_for(self, question: Question) -> tuple[Rule | None, dict[str, str]]:
        for rule in self.rules:
            groups = rule.match(question, self.seed)
            if groups is not None:
                return rule, groups
        return None, {}

    def _succeeded(
        self,
        question: Question,
        model: ModelFacts,
        rule: Rule | None,
        groups: dict[str, str],
        now: float,
    ) -> Result:
        content, stop = self._content(question, rule, groups)
        usage = self._usage(question, model, content, now)
        if stop["stop_reason"] == "max_tokens":
            usage["output_tokens"] = question.params["max_tokens"]
        if rule is not None:
            usage |= rule.usage
        message = {
            "id": make_id("msg", self.seed, question.custom_id, question.sha256),
            "type": "message",
            "role": "assistant",
            "model": model.id,
            "content": content,
            **stop,
            "container": None,
            "diagnostics": None,
            "usage": usage,
        }
        return {"type": "succeeded", "message": message}

    def _content(
        self, question: Question, rule: Rule | None, groups: dict[str, str]
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        outcome = "succeeded" if rule is None else rule.outcome
        if outcome == "refusal":
            category = None if rule is None else rule.category
            return [], stopped("refusal", category=category)
        text, generated = self._text(question, rule, groups)
        if outcome == "invalid":
            text = _spoiled(text)
        if outcome == "truncated":
            return _text_block(text[: max(1, len(text) // 2)]), stopped("max_tokens")
        blocks, reason = answer_blocks(question, rule, text, self.seed)
        if outcome == "pause_turn":
            reason = "pause_turn"
        if reason == "end_turn" and not generated:
            return _cut(blocks, question.params)
        return blocks, stopped(reason)

    def _text(
        self, question: Question, rule: Rule | None, groups: dict[str, str]
    ) -> tuple[str, bool]:
        """Return the answer's text, and whether it was made to fit by itself."""
        if rule is not None and rule.answer is not None:
            return self._render(rule.answer, question, groups), False
        if rule is not None and rule.json is not None:
            return orjson.dumps(self._render_all(rule.json, question, groups)).decode(), False
        schema = _schema_of(question.params)
        if schema is not None:
            draw = Draw("value", self.seed, question.sha256)
            return orjson.dumps(value_for(schema, draw)).decode(), True
        most = question.params["max_tokens"] * CHARS_PER_TOKEN
        return f"echo: {question.text[:_ECHO_CHARS]}"[:most], False

    def _render_all(self, value: Any, question: Question, groups: dict[str, str]) -> Any:
        if isinstance(value, str):
            return self._render(value, question, groups)
        if isinstance(value, list):
            return [self._render_all(part, question, groups) for part in value]
        if isinstance(value, dict):
            return {key: self._render_all(part, question, groups) for key, part in value.items()}
        return value

    def _render(self, template: str, question: Question, groups: dict[str, str]) -> str:
        if "{" not in template:
            return template
        try:
            compiled = self.templates.from_string(template)
            return compiled.render(
                **_variables(question),
                **{name: value for name, value in groups.items() if name not in _RESERVED},
            )
        except TemplateError as error:
            return f"The template of the answers file failed: {error}"

    def _usage(
        self, question: Question, model: ModelFacts, content: list[dict[str, Any]], now: float
    ) -> dict[str, Any]:
        if question.cached:
            read = self.cache.account(
                question.params, model, now, self.warm_seconds, question.workspace
            )
        else:
            tokens = prompt_tokens(question.params, self.cache.measure)
            read = InputUsage(fresh=tokens)
        return usage_object(read, content, question.params)


_RESERVED = frozenset(["text", "lines", "fields", "data", "custom_id", "model", "params"])


def _variables(question: Question) -> dict[str, Any]:
    text = question.text
    lines = text.splitlines()
    pairs = (line.partition(":") for line in lines if ":" in line)
    try:
        data = orjson.loads(text)
    except orjson.JSONDecodeError:
        data = None
    return {
        "text": text,
        "lines": lines,
        "fields": {name.strip(): value.strip() for name, _, value in pairs},
        "data": data,
        "custom_id": question.custom_id,
        "model": question.params.get("model"),
        "params": question.params,
    }


def usage_object(
    read: InputUsage, content: list[dict[str, Any]], params: dict[str, Any]
) -> dict[str, Any]:
    """Return the ``usage`` of a message (fact sheet §1.8)."""
    thinking = sum(
        text_tokens(block["thinking"]) for block in content if block["type"] == "thinking"
    )
    said = sum(
        text_tokens(block["text"] if block["type"] == "text" else orjson.dumps(block).decode())
        for block in content
        if block["type"] != "thinking"
    )
    return {
        "input_tokens": read.fresh,
        "cache_creation_input_tokens": read.written_5m + read.written_1h,
        "cache_read_input_tokens": read.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": read.written_5m,
            "ephemeral_1h_input_tokens": read.written_1h,
        },
        "output_tokens": thinking + said,
        "output_tokens_details": {"thinking_tokens": thinking},
        "server_tool_use": None,
        "service_tier": "batch",
        "inference_geo": params.get("inference_geo") or "global",
        "speed": "standard",
    }


def stopped(
    reason: str, *, sequence: str | None = None, category: str | None = None
) -> dict[str, Any]:
    """Return the three fields that say why a message stopped (fact sheet §6.7)."""
    details = None
    if reason == "refusal":
        details = {"type": "refusal", "category": category, "explanation": None}
    return {"stop_reason": reason, "stop_sequence": sequence, "stop_details": details}


def errored(kind: str, message: str, details: dict[str, Any] | None = None) -> Result:
    """Return an errored result: the error is nested twice (fact sheet §1.7)."""
    inner: dict[str, Any] = {"type": kind, "message": message}
    if details is not None:
        inner["details"] = details
    return {"type": "errored", "error": {"type": "error", "error": inner, "request_id": None}}


def _without_message(rule: Rule) -> Result:
    if rule.outcome != "errored":
        return {"type": rule.outcome}
    error = dict(rule.error)
    return errored(error["type"], error["message"], error.get("details"))


def _text_block(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text, "citations": None}]


def _schema_of(params: dict[str, Any]) -> dict[str, Any] | None:
    form = (params.get("output_config") or {}).get("format")
    return None if form is None else form["schema"]


def _spoiled(text: str) -> str:
    """Return a text that satisfies no object schema, and is no JSON either."""
    return f"not valid: {text[: len(text) // 2]}"


def _cut(
    blocks: list[dict[str, Any]], params: dict[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Cut the last text block at a stop sequence or at ``max_tokens``."""
    last = blocks[-1]
    if last["type"] != "text":
        return blocks, stopped("end_turn")
    found = [
        (last["text"].index(stop), stop)
        for stop in params.get("stop_sequences") or ()
        if stop in last["text"]
    ]
    most = params["max_tokens"] * CHARS_PER_TOKEN
    if found and min(found)[0] <= most:
        position, stop = min(found)
        return [*blocks[:-1], {**last, "text": last["text"][:position]}], stopped(
            "stop_sequence", sequence=stop
        )
    if len(last["text"]) > most:
        return [*blocks[:-1], {**last, "text": last["text"][:most]}], stopped("max_tokens")
    return blocks, stopped("end_turn")
