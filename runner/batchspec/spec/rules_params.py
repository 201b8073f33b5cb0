"""Rules about ``params``: what belongs elsewhere, and what no batch takes (fact sheet §2.4)."""

from __future__ import annotations

from collections.abc import Iterator

from batchspec.problems import Problem
from batchspec.spec.document import NodePath, dotted, shown
from batchspec.spec.hints import KNOWN_PARAMS, SAMPLING
from batchspec.spec.subject import Subject
from batchspec.spec.words import nearest

_OWNED = {
    "model": "model at the top of the spec",
    "max_tokens": "max_tokens at the top of the spec",
    "messages": "prompt.messages",
    "system": "prompt.system",
    "cache_control": "cache at the top of the spec",
    "output_format": "response.schema",
}
_NOT_IN_BATCHES = {
    "stream": "A batch's answers are read when all of it has ended, so nothing is streamed.",
    "speed": "Fast mode does not exist in batches.",
    "fallbacks": "Ask refused items again in another spec with another model.",
    "thread": "Threads keep state between requests, and the requests of a batch have none.",
}
_NOT_PARAMETERS = {
    "betas": "Betas are a header of the whole batch: set betas at the top of the spec.",
    "anthropic_version": "It is a header: set anthropic_version at the top of the spec.",
    "anthropic_beta": "It is a header: set betas at the top of the spec.",
    "workspace_id": "It is a header: set api.workspace in batchspec.yaml.",
    "extra_body": "It belongs to the SDK's functions; write its content directly under params.",
    "extra_headers": "It belongs to the SDK's functions; headers cannot be set per request.",
    "extra_query": "It belongs to the SDK's functions and has no meaning in a batch.",
    "timeout": "It belongs to the SDK's functions and has no meaning in a batch.",
}
_OF_BETAS = {
    "billing_policy": "user-profiles-billing-2026-10-01",
    "compaction": "compact-2026-09-04",
    "context_management": "context-management-2025-06-27",
    "mcp_servers": "mcp-client-2025-11-20",
    "task_budget": "task-budgets-2026-03-13",
}
"""What has the beta of each, by the SDK's list of betas."""
_OUTPUT_CONFIG = {"effort", "format", "task_budget"}
_CHOICE = {"type", "disable_parallel_tool_use"}
_THINKING = {"type", "budget_tokens", "display"}
_HOMES = {
    "effort": "params.output_config.effort",
    "budget_tokens": "params.thinking.budget_tokens",
    "user_id": "params.metadata.user_id",
}
"""Where parts of parameters belong that are often written beside them."""
_IGNORED = {
    "fallback_credit_token": "Batches accept it and do nothing with it.",
}


def owned_params(subject: Subject) -> Iterator[Problem]:
    """Refuse parameters that have a place of their own in the spec."""
    for name in subject.mapping("params"):
        if name in _OWNED:
            yield subject.error(
                "misplaced-param",
                ("params", name),
                f"params.{name} is set here",
                f"It would compete with {_OWNED[name]}, and a reader could not know which counts."
                f" Write it as {_OWNED[name]}.",
                key=True,
            )
    if "format" in subject.mapping("params", "output_config"):
        yield subject.error(
            "misplaced-param",
            ("params", "output_config", "format"),
            "params.output_config.format is set here",
            "Answers are validated only against response.schema. Write the schema there; it is"
            " sent as output_config.format.",
            key=True,
        )


def params_not_in_batches(subject: Subject) -> Iterator[Problem]:
    """Refuse parameters that the Messages API has and batches do not."""
    for name in subject.mapping("params"):
        if name in _NOT_IN_BATCHES:
            yield subject.error(
                "not-in-batches",
                ("params", name),
                f"params.{name} is set, which no batch takes",
                f"The API would refuse the requests. {_NOT_IN_BATCHES[name]} Remove it.",
                key=True,
            )
        elif name in _IGNORED:
            yield subject.warning(
                "no-effect",
                ("params", name),
                f"params.{name} has no effect",
                f"{_IGNORED[name]} Remove it.",
                key=True,
            )


def params_of_betas(subject: Subject) -> Iterator[Problem]:
    """Refuse parameters that only betas have, without any (fact sheet §1.5)."""
    if subject.betas:
        return
    given: list[NodePath] = [
        ("params", name) for name in subject.mapping("params") if name in _OF_BETAS
    ]
    if "task_budget" in subject.mapping("params", "output_config"):
        given.append(("params", "output_config", "task_budget"))
    for path in given:
        yield subject.error(
            "beta-missing",
            path,
            f"{dotted(path)} is set, and betas is empty",
            "Without its beta the API refuses it in every request: 'Extra inputs are not"
            f" permitted'. Add {_OF_BETAS[str(path[-1])]} to betas, or remove it.",
            key=True,
        )


def billing_policy(subject: Subject) -> Iterator[Problem]:
    """Refuse to bill a user profile, which no batch does (fact sheet §2.4)."""
    if subject.mapping("params", "billing_policy").get("bill_to") == "user_profile":
        yield subject.error(
            "not-in-batches",
            ("params", "billing_policy", "bill_to"),
            "params.billing_policy.bill_to is user_profile, which no batch takes",
            "Every request would come back as errored. Bill the organization.",
        )


def unknown_parts(subject: Subject) -> Iterator[Problem]:
    """Warn of keys of parameters that are passed through without being known."""
    of_tool = subject.mapping("params", "tool_choice").get("type") == "tool"
    for name, known in (
        ("metadata", {"user_id"}),
        ("output_config", _OUTPUT_CONFIG),
        ("thinking", _THINKING),
        ("tool_choice", _CHOICE | {"name"} if of_tool else _CHOICE),
    ):
        for key in subject.mapping("params", name):
            if key not in known:
                meant = nearest(str(key), known - {"format"})
                hint = f"Did you mean {meant}?" if meant else "Check the spelling."
                yield _passed(subject, ("params", name, key), hint)


def not_params(subject: Subject) -> Iterator[Problem]:
    """Refuse arguments of the SDK and headers; inside params they have never worked."""
    for name in subject.mapping("params"):
        if name in _NOT_PARAMETERS:
            yield subject.error(
                "not-a-param",
                ("params", name),
                f"params.{name} is not a parameter of a message",
                "Every request would come back as errored with 'Extra inputs are not permitted'."
                f" {_NOT_PARAMETERS[name]}",
                key=True,
            )


def unknown_params(subject: Subject) -> Iterator[Problem]:
    """Warn of parameters that are passed through without being known."""
    known = KNOWN_PARAMS | SAMPLING
    judged = known | _OWNED.keys() | _NOT_IN_BATCHES.keys() | _NOT_PARAMETERS.keys()
    for name in subject.mapping("params"):
        if name not in judged | _IGNORED.keys():
            meant = nearest(name, known)
            hint = f"Did you mean {meant}?" if meant else "Check the spelling."
            hint = f"It belongs at {_HOMES[name]}." if name in _HOMES else hint
            yield _passed(subject, ("params", name), hint)


def _passed(subject: Subject, path: NodePath, hint: str) -> Problem:
    return subject.warning(
        "unknown-param",
        path,
        f"{dotted(path[:-1])}.{shown(str(path[-1]))} is not a known parameter",
        "It is sent as it is, and if the API does not know it either, every request comes back as"
        f" errored. {hint}",
        key=True,
    )
