"""What a run may do, and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from batchspec.plan.model import Plan
from batchspec.problems import Problem
from batchspec.records import frozen
from batchspec.workflow.window import Window

DONE, PROBLEMS, ITEMS_FAILED = 0, 1, 3
"""Exit codes that a run itself decides; refusals and failures carry their own."""


@frozen
class RunOptions:
    """What a run may do."""

    detach: bool = False
    """Return once everything is submitted."""
    max_usd: Decimal | None = None
    """Refuse when the run may cost more than this."""
    retry_failed: bool = False
    """Ask again for items whose retries are spent."""
    assume_foreign: bool = False
    """Unknown batches in progress are somebody else's: do not wait for them."""
    window: Window | None = None
    """Submit only while it is open, and wait for it; None: at any time."""
    submit: bool = True
    """False: only take in what has ended (`batchspec collect`)."""
    rounds: int | None = None
    """How often failed items may be part of a submission, the first included; None: as the spec's
    retries allow. `apply` submits what its plan says once, and nothing more."""
    expect: Callable[[Plan], str] | None = None
    """Called with the first plan before anything is submitted; raises to refuse (`apply`), returns
    what to tell when it agrees to something else than was agreed before."""
    plan_digest: str = ""
    """Digest of the saved plan that is applied; empty: the run makes its own."""

    @property
    def command(self) -> str:
        """The command whose run this is, as it is typed."""
        if not self.submit:
            return "collect"
        return "run" if self.expect is None else "apply"


@frozen
class RunResult:
    """How a run ended."""

    exit_code: int
    problems: tuple[Problem, ...] = ()
    plan: Plan | None = None
    """The plan that the run began with."""
