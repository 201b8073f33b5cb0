"""Calls that may be repeated: wait while the trouble may pass, then say how to go on."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

from batchspec.api.port import ApiFailure, FailureKind
from batchspec.errors import AuthFailure, Failure, NetworkFailure
from batchspec.events import Event, Waiting
from batchspec.workflow.context import Session

T = TypeVar("T")
GONE = frozenset((FailureKind.NOT_FOUND,))
REDIRECT = 3
BAD_REQUEST = 400
PASSING = frozenset((FailureKind.AMBIGUOUS, FailureKind.NOT_SENT, FailureKind.RATE_LIMITED))
"""Kinds after which a call that reads, or whose repetition is harmless, is made again."""


def patiently(
    session: Session,
    call: Callable[[], T],
    doing: str,
    *,
    handled: frozenset[FailureKind] = frozenset(),
    idle: bool = False,
) -> Generator[Event, None, T]:
    """Make a harmless call until it succeeds, yielding the pauses.

    Args:
        session: Gives the clock and the waiting times.
        call: A call that changes nothing, or nothing more when repeated.
        doing: What it is for, as in "reading the results of msgbatch_…".
        handled: Kinds of failure that the caller deals with itself.
        idle: Nothing waits for this call yet, so an API out of reach is given up on sooner.

    Raises:
        ApiFailure: of a handled kind.
        AuthFailure: the key was refused, or a spending limit is reached.
        NetworkFailure: it was refused for good, or failed for as long as the patience lasts.
    """
    started = session.clock.elapsed()
    pauses = session.waits.backoffs()
    while True:
        try:
            return call()
        except ApiFailure as failure:
            if failure.kind in handled:
                raise
            if failure.kind not in PASSING:
                raise as_failure(failure, doing) from failure
            if session.clock.elapsed() - started > patience_with(session, failure, idle=idle):
                raise given_up(doing, failure) from failure
            pause = pause_after(session, failure, next(pauses))
            yield Waiting(why=f"{doing}: {failure.message}", seconds=pause)
            session.clock.sleep(pause)


def patience_with(session: Session, failure: ApiFailure, *, idle: bool) -> float:
    """Return for how many seconds calls may fail like this in passing."""
    if idle and failure.kind is FailureKind.NOT_SENT:
        return session.waits.unreachable
    return session.waits.patience


def pause_after(session: Session, failure: ApiFailure, pause: float) -> float:
    """Return how long to wait: what the server asks for, or the next backoff.

    Raises:
        NetworkFailure: the server asks for more than the longest pause.
    """
    if failure.retry_after is None:
        return pause
    if failure.retry_after > session.waits.rate_limit_most:
        raise NetworkFailure(
            f"The API asks to wait {failure.retry_after:,.0f} s before the next call "
            f"({failure.message}).",
            hint="That is too long to wait here. Whatever was submitted goes on; run the same "
            "command again then.",
        )
    return max(failure.retry_after, 0.05)


def given_up(doing: str, failure: ApiFailure) -> NetworkFailure:
    """Return the failure of a call that kept failing in passing."""
    return NetworkFailure(
        f"Gave up {doing}: {_ended(failure.message)}",
        hint="Whatever was submitted goes on, and nothing was paid twice. When the API can be "
        "reached again, run the same command: it goes on where this one stopped.",
    )


def as_failure(failure: ApiFailure, doing: str) -> Failure:
    """Return what a person needs to know of a refusal that no waiting changes."""
    if failure.kind is FailureKind.AUTH:
        return AuthFailure(
            f"The API refused the key while {doing}: {_ended(failure.message)}",
            hint="Check that the key is the right one, is active, and may use this workspace.",
        )
    if failure.kind is FailureKind.SPEND_LIMIT:
        return AuthFailure(
            f"A spending limit is reached, so the API refused {doing}: {_ended(failure.message)}",
            hint="Raise the limit or wait until it resets; then run the same command again. "
            "Nothing of the refused batch was made or paid.",
        )
    if failure.kind in PASSING:
        return given_up(doing, failure)
    if failure.status is not None and failure.status // 100 == REDIRECT:
        return NetworkFailure(
            f"The server answered {doing} with a redirect ({failure.status}), which is not "
            "followed: it could lead the key and the prompts to another host.",
            hint="Set `api.base_url` in batchspec.yaml to the address that answers itself.",
        )
    return NetworkFailure(
        f"The API refused {doing}: {_ended(failure.message)}",
        hint=f"This does not pass by itself. {_limits(failure)}Check the message, `api:` in "
        f"batchspec.yaml, and the request id {failure.request_id or '(none was sent)'} with the "
        "API's support.",
    )


def _ended(message: str) -> str:
    """Return the API's words as the end of a sentence."""
    return message if message.endswith((".", "!", "?")) else f"{message}."


def _limits(failure: ApiFailure) -> str:
    """Return what to do when a 400 is about a spending limit that the customer set.

    It has no code of its own, and its wording is unstable (fact sheet §3.2), so that nothing is
    decided by it: both readings are said.
    """
    if failure.status != BAD_REQUEST or "limit" not in failure.message.lower():
        return ""
    return (
        "If it is about a usage limit that the organization or the workspace set for itself, raise "
        "that limit in the console or wait until it resets, and run the same command again: "
        "nothing of the refused batch was made or paid. Else: "
    )
