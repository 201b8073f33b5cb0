"""Rules about the prompt: its blocks, and the order of its turns."""

from __future__ import annotations

from collections.abc import Iterator

from batchspec.problems import Problem
from batchspec.spec.contents import blocks
from batchspec.spec.document import dotted, shown
from batchspec.spec.rules_model import FIRST_WITHOUT_SAMPLING
from batchspec.spec.subject import Subject
from batchspec.spec.words import nearest

_TEXT_KEYS = frozenset({"type", "text", "citations"})
_MEDIA = frozenset({"image", "document", "file_id"})


def block_kinds(subject: Subject) -> Iterator[Problem]:
    """Refuse blocks that are not text, until they are supported."""
    for path, _, block in blocks(subject):
        kind = block.get("type", "text" if "text" in block else next(iter(block), None))
        if kind != "text":
            yield subject.error(
                "not-supported-yet",
                path,
                f"{dotted(path)} is a block of the kind {shown(kind)}, which is not supported yet",
                "Text can be sent today. Write {text: …}, or put the text of the document into a"
                " column of the inputs.",
            )
            continue
        for name in block:
            if name not in _TEXT_KEYS:
                yield _extra_key(subject, (*path, name), name)


def _extra_key(subject: Subject, path: tuple[str | int, ...], name: str) -> Problem:
    if name == "cache_control":
        return subject.error(
            "misplaced-param",
            path,
            f"{dotted(path)} is set here",
            "Breakpoints are placed by cache, which knows where the shared part of the prompt"
            " ends. Remove it, and set cache at the top of the spec.",
            key=True,
        )
    meant = nearest(name, _TEXT_KEYS | _MEDIA)
    hint = f"Did you mean {meant}?" if meant else "A text block has text and nothing else."
    return subject.error(
        "unknown-key",
        path,
        f"{shown(name)} is not a key of {dotted(path[:-1])}",
        f"The API would refuse the request. {hint}",
        key=True,
    )


def citations_in_text(subject: Subject) -> Iterator[Problem]:
    """Refuse citations on the user's text, as newer API versions do (fact sheet §6.3)."""
    version = subject.config.api.anthropic_version
    if version < FIRST_WITHOUT_SAMPLING:
        return
    for path, role, block in blocks(subject):
        if role == "user" and block.get("citations"):
            yield subject.error(
                "citations-in-text",
                (*path, "citations"),
                f"{dotted(path)} is a text of the user with citations",
                f"The API version {version} refuses such requests. Remove citations.",
                key=True,
            )


def first_turn(subject: Subject) -> Iterator[Problem]:
    """Refuse a conversation that the user does not begin."""
    role = subject.get("prompt", "messages", 0, "role")
    if role not in ("assistant", "system"):  # a set would need a hash
        return
    hint = "Write it as prompt.system." if role == "system" else "Begin with the user's question."
    yield subject.error(
        "first-turn",
        ("prompt", "messages", 0, "role"),
        f"the first message is of the role {role}",
        f"A conversation begins with the user, or the API refuses the request. {hint}",
    )


def prefill(subject: Subject) -> Iterator[Problem]:
    """Refuse a last message by the assistant where the API does (fact sheet §6.3, §6.1)."""
    messages = subject.entries("prompt", "messages")
    last = len(messages) - 1
    if last < 1 or subject.get("prompt", "messages", last, "role") != "assistant":
        return
    facts = subject.model
    if facts is not None and not facts.prefill:
        why, hint = f"{facts.id} does not continue", "Say in the prompt how to begin"
    elif subject.get("response", "schema") is not None:
        why, hint = "structured output cannot continue", "Remove response.schema"
    else:
        return
    yield subject.error(
        "prefill-refused",
        ("prompt", "messages", last),
        f"the last message is the assistant's, which {why}",
        f"Every request would come back as errored. {hint}, and end with a message of the user."
        f"{'' if facts is None or facts.prefill else subject.as_of}",
    )
