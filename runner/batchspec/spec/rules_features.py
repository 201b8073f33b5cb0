"""Rules about what a model can do: batches, thinking, effort, forced tools (fact sheet §6.2)."""

from __future__ import annotations

from collections.abc import Iterator

from batchspec.problems import Problem
from batchspec.spec.contents import blocks, kind_of_block
from batchspec.spec.document import NodePath, dotted, shown
from batchspec.spec.facts import EFFORTS
from batchspec.spec.subject import Subject
from batchspec.spec.words import listing

_FORCED = ("any", "tool")
_UNFORCED = "Write auto and ask for the call in the prompt, or let the model not think."


def without_batches(subject: Subject) -> Iterator[Problem]:
    """Refuse a model that cannot be asked in batches."""
    facts = subject.model
    if facts is not None and not facts.batch:
        yield subject.error(
            "batch-not-supported",
            ("model",),
            f"{facts.id} cannot be asked in batches",
            f"The API would refuse the requests. Use another model.{subject.as_of}",
        )


def thinking(subject: Subject) -> Iterator[Problem]:
    """Refuse a way of thinking that the model does not have."""
    facts, kind = subject.model, subject.mapping("params", "thinking").get("type")
    if facts is None or facts.thinking is None or not isinstance(kind, str):
        return
    if kind in facts.thinking:
        return
    can = f"It takes {listing(facts.thinking, 'and')}." if facts.thinking else "It takes none."
    yield subject.error(
        "thinking-refused",
        ("params", "thinking", "type"),
        f"params.thinking.type is {shown(kind)}, which {facts.id} does not take",
        f"Every request would come back as errored. {can}{subject.as_of}",
    )


def effort(subject: Subject) -> Iterator[Problem]:
    """Refuse an effort for a model that takes none."""
    facts = subject.model
    if facts is None or facts.effort or "effort" not in subject.mapping("params", "output_config"):
        return
    yield subject.error(
        "effort-refused",
        ("params", "output_config", "effort"),
        f"params.output_config.effort is set, which {facts.id} does not take",
        f"Every request would come back as errored. Remove it.{subject.as_of}",
        key=True,
    )


def effort_level(subject: Subject) -> Iterator[Problem]:
    """Refuse a level of effort that the model does not have."""
    facts, level = subject.model, subject.mapping("params", "output_config").get("effort")
    if facts is None or not facts.effort or facts.efforts is None or level not in EFFORTS:
        return
    if level not in facts.efforts:
        yield subject.error(
            "effort-refused",
            ("params", "output_config", "effort"),
            f"params.output_config.effort is {level}, which {facts.id} does not take",
            f"Every request would come back as errored. It takes {listing(facts.efforts, 'and')}."
            f"{subject.as_of}",
        )


def abilities(subject: Subject) -> Iterator[Problem]:
    """Refuse pictures, citations and tools of the service for a model that takes none."""
    facts = subject.model
    if facts is None:
        return
    for path, ability, what in _asked(subject):
        if ability in facts.missing:
            yield subject.error(
                "ability-missing",
                path,
                f"{dotted(path)} needs {what}, which {facts.id} does not have",
                f"Every request would come back as errored. Use another model.{subject.as_of}",
            )


def _asked(subject: Subject) -> Iterator[tuple[NodePath, str, str]]:
    """Yield place, ability and its name in words of what a spec asks for."""
    for path, _, block in blocks(subject):
        kind = kind_of_block(block)
        if kind == "image":
            yield path, "image_input", "vision"
        wanted = block.get("citations")
        asked = wanted.get("enabled") if isinstance(wanted, dict) else wanted
        if asked and kind in {"document", "search_result"}:
            yield (*path, "citations"), "citations", "citations"
    for number, tool in enumerate(subject.entries("params", "tools")):
        kind = tool.get("type") if isinstance(tool, dict) else None
        for ability in ("web_search", "code_execution"):
            if isinstance(kind, str) and kind.startswith(f"{ability}_"):
                yield ("params", "tools", number), ability, ability.replace("_", " ")


def forced_tools(subject: Subject) -> Iterator[Problem]:
    """Refuse a tool choice that forces a tool on a model that cannot be forced."""
    facts, kind = subject.model, subject.mapping("params", "tool_choice").get("type")
    if facts is None or facts.forced_tool_choice is not False or kind not in _FORCED:
        return
    yield subject.error(
        "tool-choice-refused",
        ("params", "tool_choice", "type"),
        f"params.tool_choice.type is {kind}, and {facts.id} cannot be forced to use a tool",
        f"Every request would come back as errored. Write auto, and ask for it in the"
        f" prompt.{subject.as_of}",
    )


def forced_while_thinking(subject: Subject) -> Iterator[Problem]:
    """Refuse a forced tool beside thinking with a budget, and warn beside adaptive thinking.

    The API's own description of thinking excludes both (API facts §6.8); of newer models that think
    adaptively, one is reported to take it.
    """
    kind = subject.mapping("params", "tool_choice").get("type")
    thinks = subject.mapping("params", "thinking").get("type")
    facts = subject.model
    if kind not in _FORCED or (facts is not None and facts.forced_tool_choice is False):
        return  # the latter is told already
    if thinks not in ("enabled", "adaptive"):  # a set would need a hash
        return
    summary = f"params.tool_choice.type is {kind}, and params.thinking.type is {thinks}"
    place = ("params", "tool_choice", "type")
    if thinks == "enabled":
        why = "The API refuses a forced tool while the model thinks, in every request."
        yield subject.error("tool-choice-refused", place, summary, f"{why} {_UNFORCED}")
    else:
        why = "Thinking is documented not to go with a forced tool; not every model holds to it."
        yield subject.warning("tool-choice-doubtful", place, summary, f"{why} {_UNFORCED}")
