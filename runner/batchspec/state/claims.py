"""Statements that change claims, and their rows: the largest table, so the only one in bulk."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from batchspec.plan.model import Outcome
from batchspec.state.database import Insert
from batchspec.state.ledger import Claim, ClaimConflict
from batchspec.state.model import Verdict
from batchspec.state.tables import sum_tail

_TAKEN = ", ".join(
    str(int(outcome)) for outcome in (Outcome.IN_FLIGHT, Outcome.SUCCEEDED, Outcome.UNCHECKED)
)
CLAIM = Insert(
    table="claims",
    row="?1, ?2, ?3, 0, NULL, NULL, ?4",
    conflict=f"""
ON CONFLICT (digest) DO UPDATE SET
  submission = excluded.submission, attempt = excluded.attempt, outcome = 0,
  before_submission = claims.submission, before_outcome = claims.outcome,
  sum = row_sum(claims.digest, excluded.submission, excluded.attempt, 0, claims.submission,
                claims.outcome)
WHERE claims.outcome NOT IN ({_TAKEN}) AND claims.attempt < excluded.attempt
""",
)
"""Claims a question that is new, or whose last answer may be asked again; else changes nothing."""

FREE = (
    "DELETE FROM claims WHERE submission = ?1 AND before_submission IS NULL",
    """
    UPDATE claims SET submission = before_submission, outcome = before_outcome,
      attempt = attempt - 1, before_submission = NULL, before_outcome = NULL,
      sum = row_sum(digest, before_submission, attempt - 1, before_outcome, NULL, NULL)
    WHERE submission = ?1
    """,
)
"""Give a submission's questions back to what was known before it."""

_SETTLE = """
UPDATE claims SET outcome = ?1, before_submission = NULL, before_outcome = NULL,
  sum = row_sum(digest, submission, attempt, ?1, NULL, NULL)
WHERE submission = ?2 AND attempt = ?3 AND digest IN ({digests})
"""
_SETTLED = 500
"""So many questions are settled by one statement."""

LOSE = f"""
UPDATE claims SET outcome = {int(Outcome.LOST)}, before_submission = NULL, before_outcome = NULL,
  sum = row_sum(digest, submission, attempt, {int(Outcome.LOST)}, NULL, NULL)
WHERE submission = ?1 AND outcome = 0
"""  # noqa: S608 - integers

_GREATEST = (
    "CASE WHEN claims.attempt > excluded.attempt THEN claims.attempt ELSE excluded.attempt END"
)
ADOPT = Insert(
    table="claims",
    row="?1, ?2, ?3, ?4, NULL, NULL, ?5",
    conflict=f"""
ON CONFLICT (digest) DO UPDATE SET
  submission = excluded.submission, outcome = excluded.outcome, attempt = {_GREATEST},
  before_submission = NULL, before_outcome = NULL,
  sum = row_sum(claims.digest, excluded.submission, {_GREATEST}, excluded.outcome, NULL, NULL)
WHERE claims.outcome NOT IN ({_TAKEN})
""",
)
"""An answer replaces a failure, never another answer and never a question in flight."""

_READABLE = ", ".join(
    str(int(outcome)) for outcome in (Outcome.UNCHECKED, Outcome.SUCCEEDED, Outcome.INVALID)
)
RECHECK = f"""
UPDATE claims SET outcome = ?2,
  sum = row_sum(digest, submission, attempt, ?2, before_submission, before_outcome)
WHERE digest = ?1 AND outcome IN ({_READABLE})
"""  # noqa: S608 - integers
"""Only complete answers: which of those outcomes holds is the spec's to say."""

ClaimSum = Callable[[bytes, str], int]


def claim_rows(
    number: int, claims: Iterable[Claim], claim_sum: ClaimSum
) -> list[tuple[bytes, int, int, int]]:
    """Return the values of `CLAIM`, in the order of the table's pages."""
    ordered = sorted(claims)
    tails = {
        attempt: sum_tail(number, attempt, 0, None, None) for attempt in {a for _, a in ordered}
    }
    return [
        (digest, number, attempt, claim_sum(digest, tails[attempt])) for digest, attempt in ordered
    ]


def settle(number: int, verdicts: Iterable[Verdict]) -> Iterator[tuple[str, list[object]]]:
    """Yield statements, with their values, that record what answers of a submission say.

    Each is about many questions of one outcome, in the order of the table's pages.
    """
    alike: dict[tuple[int, Outcome], list[bytes]] = defaultdict(list)
    for digest, attempt, outcome in verdicts:
        alike[attempt, outcome].append(digest)
    for (attempt, outcome), digests in sorted(alike.items()):
        digests.sort()
        for at in range(0, len(digests), _SETTLED):
            some = digests[at : at + _SETTLED]
            yield _settle(len(some)), [int(outcome), number, attempt, *some]


@functools.lru_cache(maxsize=8)
def _settle(count: int) -> str:
    return _SETTLE.format(digests=", ".join(f"?{n}" for n in range(4, 4 + count)))


def adopted_rows(
    number: int, verdicts: Iterable[Verdict], claim_sum: ClaimSum
) -> list[tuple[bytes, int, int, int, int]]:
    """Return the values of `ADOPT`."""
    return [
        (
            v.digest,
            number,
            v.attempt,
            int(v.outcome),
            claim_sum(v.digest, sum_tail(number, v.attempt, int(v.outcome), None, None)),
        )
        for v in verdicts
    ]


def refuse_taken(count: int) -> None:
    """Refuse a submission some of whose questions cannot be claimed.

    Raises:
        ClaimConflict: ``count`` is not zero.
    """
    if count:
        raise ClaimConflict(
            f"{count} questions of this submission were asked or answered since the plan was "
            "made; asking them again would pay twice.",
            hint="Run the command again: it plans against the state as it is now.",
        )
