"""Claims on questions as rows of the SQLite ledger, with their checksums."""

from __future__ import annotations

from collections.abc import Iterable

from batchspec.plan.model import Outcome
from batchspec.state.ledger import Claim, ClaimConflict
from batchspec.state.model import Verdict
from batchspec.state.tables import claim_sum, sum_tail

_TAKEN = ", ".join(
    str(int(outcome)) for outcome in (Outcome.IN_FLIGHT, Outcome.SUCCEEDED, Outcome.UNCHECKED)
)
CLAIM = f"""
INSERT INTO claims VALUES (?1, ?2, ?3, 0, NULL, NULL, ?4)
ON CONFLICT (digest) DO UPDATE SET
  submission = ?2, attempt = ?3, outcome = 0,
  before_submission = submission, before_outcome = outcome,
  sum = row_sum(?1, ?2, ?3, 0, submission, outcome)
WHERE outcome NOT IN ({_TAKEN}) AND attempt < ?3
"""  # noqa: S608 - integers
"""Claims a question that is new, or whose last answer may be asked again; else changes nothing."""


def claim_rows(number: int, claims: Iterable[Claim]) -> list[tuple[bytes, int, int, int]]:
    """Return the values of `CLAIM`, in the order of the table's pages."""
    ordered = sorted(claims)
    tails = {
        attempt: sum_tail(number, attempt, 0, None, None) for attempt in {a for _, a in ordered}
    }
    return [
        (digest, number, attempt, claim_sum(digest, tails[attempt])) for digest, attempt in ordered
    ]


def verdict_rows(
    number: int, verdicts: Iterable[Verdict]
) -> list[tuple[int, int, bytes, int, int]]:
    """Return outcome, checksum, digest, submission and attempt, in the order of the pages."""
    ordered = sorted((v.digest, v.attempt, int(v.outcome)) for v in verdicts)
    tails = {said: sum_tail(number, *said, None, None) for said in {(a, o) for _, a, o in ordered}}
    return [
        (outcome, claim_sum(digest, tails[attempt, outcome]), digest, number, attempt)
        for digest, attempt, outcome in ordered
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
