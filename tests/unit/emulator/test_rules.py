"""The answers file: what it may say, and what is wrong when it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batchspec.emulator.rules import AnswersError, Question, load_rules, parse_rules

if TYPE_CHECKING:
    from pathlib import Path


def question(text: str = "hello", **more: Any) -> Question:
    """Return a question with one user message."""
    params = {"model": "m", "messages": [{"role": "user", "content": text}], **more}
    return Question(custom_id="c-1", params=params, sha256="00")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "expected a list"),
        ({"rules": []} | {"more": 1}, "the only key"),
        ({"rules": {}}, "expected a list"),
        (["x"], "rule 1: a rule is a mapping"),
        ([{"wehn": {}}], "unknown key wehn"),
        ([{"when": []}], "'when' is a mapping"),
        ([{"when": {"txt": "a"}}], "unknown key txt"),
        ([{"when": {"text": "("}}], "not a regular expression"),
        ([{"when": {"path": "a"}}], "come together"),
        ([{"when": {"path": "$.a b", "equals": 1}}], "cannot be read from"),
        ([{"outcome": "lost"}], "none of succeeded"),
        ([{"answer": "a", "json": {}}], "not both"),
        ([{"rate": 2}], "between 0 and 1"),
        ([{"rate": "all"}], "not negative"),
        ([{"times": -1}], "not negative"),
    ],
)
def test_wrong_files_say_what_is_wrong(value: Any, message: str) -> None:
    """Each mistake has its sentence."""
    with pytest.raises(AnswersError) as caught:
        parse_rules(value)
    assert message in str(caught.value)


def test_all_mistakes_are_listed_at_once() -> None:
    """One line per wrong rule."""
    with pytest.raises(AnswersError) as caught:
        parse_rules([{"outcome": "a"}, {"answer": "fine"}, {"outcome": "b"}])
    lines = str(caught.value).splitlines()
    assert [line.split(":")[1] for line in lines] == [" rule 1", " rule 3"]


def test_files_are_read_as_yaml(tmp_path: Path) -> None:
    """A bare list works, broken YAML is named."""
    path = tmp_path / "answers.yaml"
    path.write_text("- answer: yes it is\n")
    assert [rule.answer for rule in load_rules(path)] == ["yes it is"]
    path.write_text("- {answer: ")
    with pytest.raises(AnswersError, match=r"answers\.yaml is not valid YAML"):
        load_rules(path)


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ({}, True),
        ({"text": "ell"}, True),
        ({"text": "^ell"}, False),
        ({"custom_id": "c-[0-9]"}, True),
        ({"model": "m"}, True),
        ({"model": "mm?x"}, False),
        ({"system": "kind"}, True),
        ({"path": "$.metadata.user_id", "equals": "u"}, True),
        ({"path": "$.metadata.tags[0]", "equals": 1}, True),
        ({"path": "metadata.tags[9]", "equals": 1}, False),
        ({"path": "metadata.user_id.x", "equals": None}, True),
        ({"text": "ell", "custom_id": "other"}, False),
    ],
)
def test_conditions(when: dict[str, Any], *, fits: bool) -> None:
    """All conditions of one `when` must hold."""
    rule = parse_rules([{"when": when}])[0]
    asked = question(system="be kind", metadata={"user_id": "u", "tags": [1]})
    assert (rule.match(asked, 0) is not None) is fits


def test_text_is_the_last_user_message() -> None:
    """Text blocks are joined, other messages and blocks do not count."""
    blocks = [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]
    messages = [
        {"role": "user", "content": "first"},
        {"role": "user", "content": blocks},
        {"role": "assistant", "content": "prefill"},
    ]
    assert question(messages=messages).text == "a\nb"
    assert question(messages=[{"role": "assistant", "content": "x"}]).text == ""


def test_groups_of_all_expressions_are_joined() -> None:
    """Named groups of text and custom_id are both there; unmatched ones are empty."""
    rule = parse_rules([{"when": {"text": "(?P<a>h)(?P<z>x)?", "custom_id": "c-(?P<b>.)"}}])[0]
    assert rule.match(question(), 0) == {"a": "h", "b": "1", "z": ""}
