"""Rules about the prompt: the order of its turns, and what its texts may carry."""

from __future__ import annotations

from collections.abc import Iterator

from batchspec.problems import Problem
from batchspec.spec.contents import blocks, kind_of_block
from batchspec.spec.document import NodePath, dotted
from batchspec.spec.rules_model import FIRST_WITHOUT_SAMPLING
from batchspec.spec.rules_response import is_sent
from batchspec.spec.subject import Subject


def citations_in_text(subject: Subject) -> Iterator[Problem]:
    """Refuse citations on the user's text, as newer API versions do (fact sheet §6.3)."""
    version = subject.anthropic_version
    if version < FIRST_WITHOUT_SAMPLING:
        return
    for path, role, block in blocks(subject):
        if role == "user" and kind_of_block(block) == "text" and block.get("citations"):
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
    elif is_sent(subject):
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


def prefill_ends_blank(subject: Subject) -> Iterator[Problem]:
    """Refuse a last message of the assistant that ends with white space (API facts §6.8)."""
    last = len(subject.entries("prompt", "messages")) - 1
    message: NodePath = ("prompt", "messages", last)
    if last < 1 or subject.get(*message, "role") != "assistant":
        return
    path: NodePath = (*message, "content")
    parts = subject.entries(*path)
    if parts:
        path = (*path, len(parts) - 1, "text")
    text = subject.get(*path)
    # One newline at the end of a template is not written, and Jinja's marks may end in none.
    if isinstance(text, str) and text.removesuffix("\n")[-1:].isspace():
        yield subject.error(
            "prefill-refused",
            path,
            "the last message is the assistant's, and ends with white space",
            "The API answers 'final assistant content cannot end with trailing whitespace' to every"
            " request. Remove it.",
        )
