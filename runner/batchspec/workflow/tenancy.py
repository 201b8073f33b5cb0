"""Looking at the lease on a state, and taking it from a holder that will never give it back."""

from __future__ import annotations

from collections.abc import Iterator

from batchspec.events import Event, Notice
from batchspec.state.lease import local_tenure
from batchspec.state.tenure import Tenure
from batchspec.workflow.context import Session
from batchspec.workflow.recording import recorded


def lease_of(session: Session) -> Tenure:
    """Return who holds the lease, or held it last."""
    if session.team is None:
        return local_tenure(session.state_dir)
    reader = session.team.reader(session.clock, session.randomness)
    if reader is None:
        return Tenure(held=False)
    try:
        return reader.tenure()
    finally:
        reader.close()


def break_lease(session: Session, reason: str) -> Tenure:
    """Take the lease from whoever holds it; return who that was.

    Whatever the former holder still does is refused by the ledger; a create call that it may have
    under way is found, or proven absent, by the next run. The reason stands in the history.
    """
    found = lease_of(session)
    if found.held:
        with (
            session.writer("state unlock", force=True) as ledger,
            recorded(session, ledger, "state unlock", detail=f"{reason} (held by {found.words()})"),
        ):
            pass
    return found


def told_in_ci(session: Session) -> Iterator[Event]:
    """Warn of a state that ends with the CI job, once per run."""
    if session.emulated or session.team is not None or session.environ.get("CI") != "true":
        return
    yield Notice(
        message="This runs in CI (CI=true) and the state is a local folder. Unless the CI system "
        f"or `batchspec ci keep` keeps {session.state_dir} for the next job, that one does not "
        "know what is in flight or paid, and has to find it in the workspace first. A shared "
        "state (`state.ledger` and `state.segments` in batchspec.yaml) does not have that problem.",
        warning=True,
    )
