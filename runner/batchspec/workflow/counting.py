"""Asking the API how many input tokens a sample of the questions has; free, and nothing is paid."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

import orjson

from batchspec.api.port import ApiFailure, FailureKind
from batchspec.errors import NetworkFailure
from batchspec.events import Event, Notice
from batchspec.plan.calibration import Told
from batchspec.plan.items import ItemTable
from batchspec.plan.questions import Question, Spool
from batchspec.spec.headers import Headers
from batchspec.workflow.contents import complete
from batchspec.workflow.context import Session
from batchspec.workflow.patience import patiently

T = TypeVar("T")
ACCEPTED = (
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "cache_control",
    "speed",
)
"""What a call to count takes of a request's params (fact sheet §7)."""
REFUSED = frozenset((FailureKind.NOT_FOUND, FailureKind.REJECTED, FailureKind.TOO_LARGE))


def count_sample(
    session: Session, items: ItemTable, spool: Spool, headers: Headers, wanted: int
) -> Generator[Event, None, tuple[Told, ...]]:
    """Have the API count some of the questions that a plan would submit.

    Args:
        session: Gives the API, the clock and the waiting times.
        items: The plan's items, decided with ``spool``.
        spool: Holds their params.
        headers: Of the spec's requests.
        wanted: So many questions, fewer when there are fewer: those with the smallest hashes, which
            is a random sample and always the same one.

    Raises:
        MissingKey: when the environment has no key.
        AuthFailure: the key was refused.
        NetworkFailure: the API cannot be reached, or does not count these requests.
    """
    sample = tuple(items.sampled_questions(wanted))
    if not sample:
        return ()
    requests = "1 request" if len(sample) == 1 else f"{len(sample):,} requests"
    yield Notice(message=f"Counting the input tokens of {requests} by the API, which is free.")
    counted = []
    for question in sample:
        tokens = yield from _count(session, question, spool, headers)
        counted.append(Told(question.chars, tokens, question.images, question.documents))
    return tuple(counted)


def drained(work: Generator[Event, None, T], tell: Callable[[Event], None]) -> T:
    """Run ``work`` to its end, tell its events, and return what it returns."""
    while True:
        try:
            tell(next(work))
        except StopIteration as stop:
            returned: T = stop.value
            return returned


def _count(
    session: Session, question: Question, spool: Spool, headers: Headers
) -> Generator[Event, None, int]:
    params = orjson.loads(complete(session.project.root, spool.read(question.offset)))
    body = orjson.dumps({name: params[name] for name in ACCEPTED if name in params})
    api = session.facts_api()
    doing = f"counting the tokens of item {question.key_json}"
    try:
        return (
            yield from patiently(
                session,
                lambda: api.count_tokens(body, headers=headers),
                doing,
                handled=REFUSED,
                idle=True,
            )
        )
    except ApiFailure as failure:
        raise NetworkFailure(
            f"The API does not count the tokens of item {question.key_json}: {failure.message}.",
            hint="Nothing was submitted. Plan without --count-tokens to estimate locally; not "
            "every relay offers this call, and a request that cannot be counted may be refused "
            "in a batch as well.",
        ) from failure
