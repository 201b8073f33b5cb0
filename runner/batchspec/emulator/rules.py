r"""The answers file: an ordered list of rules; the first that fits a request answers it.

.. code-block:: yaml

    rules:
      - when: {text: 'refund of (?P<amount>\d+)'}   # regex, searched in the last user text
        answer: 'You get {{ amount }} back.'         # a Jinja template
      - when: {custom_id: '-a1$'}                    # regex, searched in the custom_id
        outcome: errored
        error_type: overloaded_error
        message: try again
        rate: 0.03                                   # of the requests that fit, by hash
      - when: {path: '$.metadata.user_id', equals: u-1, model: claude-haiku-4-5}
        json: {label: high, score: 3}                # sent as compact JSON text
      - when: {system: 'triage'}                     # regex, searched in the system prompt
        outcome: truncated
        times: 1                                     # only the first time a question is asked
      - answer: 'anything else'                      # no `when`: fits every request

A bare list of rules works too. All conditions of one ``when`` must hold.

``when``
    ``text``, ``custom_id``, ``model``, ``system``: regular expressions (``re.search``; ``model``
    must match in full). ``path`` with ``equals``: a JSON path into the params, made of names and
    ``[0]`` indexes. Named groups of all expressions are variables of the templates.
``answer``
    Text of the answer, a Jinja template. Besides the named groups it sees ``text`` (last user
    text), ``lines``, ``fields`` (its ``Name: value`` lines), ``data`` (the text parsed as JSON, or
    none), ``custom_id``, ``model`` and ``params``.
``json``
    An answer as JSON; strings inside are templates as well. Where the answer is a tool's call, an
    object is its input.
``outcome``
    ``succeeded`` (default), ``errored``, ``expired``, ``canceled``, ``refusal``, ``truncated``
    (cut, with stop reason max_tokens), ``invalid`` (text that does not satisfy the schema),
    ``pause_turn``, ``tool_use``.
``error_type``, ``message``, ``details``
    The error of an errored line; ``invalid_request_error`` by default.
``category``
    The category of a refusal; ``null`` by default.
``thinking``
    Text of a thinking block that comes before the answer.
``usage``
    Overrides counters of ``usage`` by name.
``rate``
    Share of the fitting requests that the rule answers, between 0 and 1. Decided by hash of seed,
    question and how often it was asked before, so a retry is decided anew, and a second run of
    everything decides the same.
``times``
    The rule answers only the first ``times`` askings of the same question.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from batchspec.emulator.draws import unit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

OUTCOMES = (
    "succeeded", "errored", "expired", "canceled", "refusal", "truncated", "invalid",
    "pause_turn", "tool_use",
)  # fmt: skip
_RULE_KEYS = frozenset(
    [
        "when",
        "answer",
        "json",
        "outcome",
        "error_type",
        "message",
        "details",
        "category",
        "thinking",
        "usage",
        "rate",
        "times",
    ]
)
_REGEX_KEYS = ("text", "custom_id", "model", "system")
_WHEN_KEYS = frozenset((*_REGEX_KEYS, "path", "equals"))
_STEP = re.compile(r"\.?([A-Za-z_][A-Za-z0-9_-]*)|\[(-?\d+)\]")


class AnswersError(ValueError):
    """The answers file is not as it must be; the message lists everything that is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request, as the rules see it."""

    custom_id: str
    """Its custom_id."""
    params: dict[str, Any]
    """Its params."""
    sha256: str
    """Hex digest of the canonical params: the identity of the question."""
    asked_before: int = 0
    """How often the same question came before, over all batches of this emulator."""
    cached: bool = False
    """Whether a cache breakpoint may be anywhere in it."""
    workspace: str = ""
    """The workspace it was asked in: prompt caches are not shared between workspaces."""

    @property
    def text(self) -> str:
        """Text of the last user message; its text blocks joined by line ends."""
        for message in reversed(self.params.get("messages") or []):
            if message.get("role") == "user":
                return joined_text(message.get("content"))
        return ""


def joined_text(content: Any) -> str:
    """Return the text of a content value: a string, or the text blocks of a list."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(block["text"] for block in content if isinstance(block.get("text"), str))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of the answers file."""

    number: int
    """Position in the file, from 0."""
    patterns: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    """Regular expressions by what they are searched in."""
    path: tuple[str | int, ...] | None = None
    """JSON path into the params."""
    equals: Any = None
    """What must stand at ``path``."""
    outcome: str = "succeeded"
    """One of the outcomes of the module's text."""
    answer: str | None = None
    """Template of the answer."""
    json: Any = None
    """Answer as JSON."""
    error: Mapping[str, Any] = field(default_factory=dict)
    """The inner error object of an errored line."""
    category: str | None = None
    """Category of a refusal."""
    thinking: str | None = None
    """Text of a thinking block."""
    usage: Mapping[str, Any] = field(default_factory=dict)
    """Counters that replace the computed ones."""
    rate: float = 1.0
    """Share of fitting requests that it answers."""
    times: int | None = None
    """Askings of one question that it answers."""

    def match(self, question: Question, seed: int) -> dict[str, str] | None:
        """Return the named groups when the rule answers ``question``, else ``None``."""
        groups: dict[str, str] = {}
        for name, pattern in self.patterns.items():
            found = _search(name, pattern, question)
            if found is None:
                return None
            groups.update({key: value or "" for key, value in found.groupdict().items()})
        if self.path is not None and _at(question.params, self.path) != self.equals:
            return None
        if self.times is not None and question.asked_before >= self.times:
            return None
        if self.rate < 1.0:
            drawn = unit("rate", seed, self.number, question.sha256, question.asked_before)
            if drawn >= self.rate:
                return None
        return groups

    @property
    def needs_history(self) -> bool:
        """Whether it depends on how often a question was asked."""
        return self.times is not None or self.rate < 1.0


def _search(name: str, pattern: re.Pattern[str], question: Question) -> re.Match[str] | None:
    if name == "text":
        return pattern.search(question.text)
    if name == "custom_id":
        return pattern.search(question.custom_id)
    if name == "system":
        return pattern.search(joined_text(question.params.get("system")))
    return pattern.fullmatch(str(question.params.get("model", "")))


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def load_rules(path: Path) -> tuple[Rule, ...]:
    """Return the rules of an answers file.

    Raises:
        AnswersError: when the file is not as described at the top of this module.
    """
    try:
        value = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except YAMLError as error:
        raise AnswersError(f"The answers file {path.name} is not valid YAML: {error}") from error
    return parse_rules(value, path.name)


def parse_rules(value: Any, name: str = "answers") -> tuple[Rule, ...]:
    """Return the rules of a parsed answers file.

    Raises:
        AnswersError: when the value is not as described at the top of this module.
    """
    entries = value.get("rules") if isinstance(value, dict) else value
    if isinstance(value, dict) and set(value) != {"rules"}:
        raise AnswersError(f"{name}: the only key at the top is 'rules', not {sorted(value)}.")
    if not isinstance(entries, list):
        raise AnswersError(f"{name}: expected a list of rules.")
    faults: list[str] = []
    rules = []
    for number, entry in enumerate(entries):
        try:
            rules.append(_rule(number, entry))
        except AnswersError as error:
            faults.append(f"{name}: rule {number + 1}: {error}")
    if faults:
        raise AnswersError("\n".join(faults))
    return tuple(rules)


def _rule(number: int, entry: Any) -> Rule:
    if not isinstance(entry, dict):
        raise AnswersError("a rule is a mapping with 'when' and 'answer', 'json' or 'outcome'.")
    _no_others(entry, _RULE_KEYS)
    when = entry.get("when", {})
    if not isinstance(when, dict):
        raise AnswersError("'when' is a mapping.")
    _no_others(when, _WHEN_KEYS)
    outcome = entry.get("outcome", "succeeded")
    if outcome not in OUTCOMES:
        raise AnswersError(f"outcome {outcome!r} is none of {', '.join(OUTCOMES)}.")
    if "answer" in entry and "json" in entry:
        raise AnswersError("give 'answer' or 'json', not both.")
    return Rule(
        number=number,
        patterns={name: _pattern(name, when[name]) for name in _REGEX_KEYS if name in when},
        path=_path(when),
        equals=when.get("equals"),
        outcome=outcome,
        answer=None if entry.get("answer") is None else str(entry["answer"]),
        json=entry.get("json"),
        error=_error(entry),
        category=entry.get("category"),
        thinking=entry.get("thinking"),
        usage=entry.get("usage", {}),
        rate=_number(entry, "rate", 1.0),
        times=int(_number(entry, "times", 0)) if "times" in entry else None,
    )


def _no_others(entry: dict[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(str(key) for key in entry if key not in known)
    if unknown:
        raise AnswersError(
            f"unknown key {', '.join(unknown)}; known are {', '.join(sorted(known))}."
        )


def _pattern(name: str, text: Any) -> re.Pattern[str]:
    try:
        return re.compile(str(text), re.DOTALL | re.MULTILINE)
    except re.error as error:
        raise AnswersError(f"'{name}' is not a regular expression: {error}.") from error


def _path(when: dict[str, Any]) -> tuple[str | int, ...] | None:
    if ("path" in when) != ("equals" in when):
        raise AnswersError("'path' and 'equals' come together.")
    if "path" not in when:
        return None
    text = str(when["path"]).removeprefix("$")
    steps: list[str | int] = []
    position = 0
    while position < len(text):
        step = _STEP.match(text, position)
        if step is None:
            raise AnswersError(f"'path' cannot be read from {text[position:]!r} on.")
        steps.append(step.group(1) or int(step.group(2)))
        position = step.end()
    return tuple(steps)


def _error(entry: dict[str, Any]) -> dict[str, Any]:
    error = {
        "type": entry.get("error_type", "invalid_request_error"),
        "message": entry.get("message", "This request was set to fail by the answers file."),
    }
    return {**error, "details": entry["details"]} if "details" in entry else error


def _number(entry: dict[str, Any], key: str, default: float) -> float:
    value = entry.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise AnswersError(f"'{key}' is a number that is not negative.")
    if key == "rate" and value > 1:
        raise AnswersError("'rate' lies between 0 and 1.")
    return value
