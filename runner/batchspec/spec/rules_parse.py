"""Rules about how answers are read, and about settings of the response without effect."""

from __future__ import annotations

from collections.abc import Iterator

from batchspec.problems import Problem
from batchspec.spec.document import shown
from batchspec.spec.patterns import PatternRefusedError, compiled
from batchspec.spec.rules_response import schema_of
from batchspec.spec.subject import Subject
from batchspec.spec.tools import client_tools
from batchspec.spec.words import listing, nearest

_BELONG = {"pattern": "regex", "tool": "tool"}
"""Settings that only one way of reading has."""
_SENDING = ("send", "order")
"""Settings of how a schema is sent."""


def response_without_effect(subject: Subject) -> Iterator[Problem]:
    """Warn of settings for answers that cannot have an effect."""
    for name, why in _idle(subject):
        # Inherited from the project's defaults it may well matter to other specs.
        place = subject.document.place(("response", name))
        if name in subject.mapping("response") and place.file == subject.document.source.file:
            yield subject.warning(
                "no-effect",
                ("response", name),
                f"response.{name} has no effect",
                f"{why} Remove it.",
                key=True,
            )


def _idle(subject: Subject) -> Iterator[tuple[str, str]]:
    """Yield settings that nothing reads, and why."""
    response = subject.mapping("response")
    about = "It is about answers that do not satisfy the schema, and"
    parse = response.get("parse", "json" if "schema" in response else "text")
    if "schema" not in response and parse == "text":
        why = f"{about} without response.schema no answer is invalid."
        yield from (("on_invalid", why), ("attempts", why))
    elif response.get("on_invalid", "retry") != "retry":
        yield "attempts", f"{about} on_invalid does not ask again."
    if "schema" not in response:
        yield from ((name, "There is no response.schema that could be sent.") for name in _SENDING)
    elif parse != "json":
        yield from ((name, f"With parse: {parse} no schema is sent.") for name in _SENDING)
    elif response.get("send") == "none":
        yield "order", "With send: none no schema is sent."
    for name, wanted in _BELONG.items():
        if parse != wanted:
            yield name, f"Only parse: {wanted} uses it."


def text_can_be_valid(subject: Subject) -> Iterator[Problem]:
    """Refuse a schema that no text satisfies where answers are taken as texts."""
    schema = schema_of(subject) if subject.get("response", "parse") == "text" else None
    kinds = (schema or {}).get("type", "string")
    if kinds == "string" or (isinstance(kinds, list) and "string" in kinds):
        return
    yield subject.error(
        "schema-never-met",
        ("response", "schema"),
        "response.parse is text, and response.schema allows no text",
        "Every answer would be paid for and count as invalid. Write parse: json, so that the answer"
        " is read as what the schema describes, or leave the schema out.",
        key=True,
    )


def pattern_compiles(subject: Subject) -> Iterator[Problem]:
    """Refuse ``parse: regex`` without a pattern, and a pattern that RE2 does not take."""
    response = subject.mapping("response")
    if response.get("parse") != "regex":
        return
    pattern = response.get("pattern")
    if pattern is None:
        yield subject.error(
            "missing-key",
            ("response", "parse"),
            "response.pattern is missing",
            "parse: regex searches a pattern in every answer. Write it as response.pattern, such as"
            " '(?P<label>low|high)'.",
        )
    elif isinstance(pattern, str):
        try:
            compiled(pattern)
        except PatternRefusedError as error:
            yield subject.error(
                "bad-pattern",
                ("response", "pattern"),
                "response.pattern is not a regular expression of RE2",
                f"RE2 says: {error}. It has neither lookaround nor backreferences, so that no"
                " answer can make it slow. Correct the pattern.",
            )


def tool_is_there(subject: Subject) -> Iterator[Problem]:
    """Refuse ``parse: tool`` when it is not certain whose call is meant."""
    response = subject.mapping("response")
    if response.get("parse") != "tool":
        return
    names, wanted = client_tools(subject.mapping("params")), response.get("tool")
    known = f"The tools are {listing(names, 'and')}." if names else "params.tools has none."
    if wanted is None and len(names) != 1:
        yield subject.error(
            "unknown-tool",
            ("response", "parse"),
            "parse: tool does not say which tool",
            f"The input of one tool's call becomes the answer. {known} Name one as response.tool.",
        )
    elif isinstance(wanted, str) and wanted not in names:
        meant = nearest(wanted, names)
        hint = f"Did you mean {meant}?" if meant else known
        yield subject.error(
            "unknown-tool",
            ("response", "tool"),
            f"response.tool names {shown(wanted)}, which is no tool of the spec",
            f"No answer could call it, so every item would be invalid. {hint}",
        )


def tool_answers_are_read(subject: Subject) -> Iterator[Problem]:
    """Warn of tools whose calls nobody reads."""
    names = client_tools(subject.mapping("params"))
    choice = subject.mapping("params", "tool_choice").get("type")
    if not names or choice == "none" or subject.get("response", "parse") == "tool":
        return
    yield subject.warning(
        "tool-answers-unread",
        ("params", "tools"),
        f"answers may call {listing(names, 'or')}, and only their text is read",
        "A call ends an answer in a batch, and most such answers have no text. Set response.parse:"
        " tool to make the call's input the answer; the column content of results has all blocks.",
        key=True,
    )
