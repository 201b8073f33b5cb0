"""The state on a branch of the repository, for jobs whose disk is thrown away.

The branch has one commit: the exported state, and a note of how far it has come. A job that may
submit takes the branch first (*open*): it pushes a note that says so, and gives it back with the
state it leaves. So no two jobs work on one state, and a job that died in between is noticed: what
it submitted is not in the state, and the next one compares itself with the workspace before it asks
anything (protocol §3.2).
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from batchspec.clock import Clock
from batchspec.errors import StateFailure, StateLocked
from batchspec.forge.git import Overtaken, Repository
from batchspec.records import frozen
from batchspec.state.mirror import Note
from batchspec.workflow.context import Session
from batchspec.workflow.transfer import export_state, import_state

ARCHIVE, NOTE = "state.tar.zst", "state.json"
FORMAT_VERSION = 1
LOOK_SECONDS = 10.0
"""So often a job that waits for another's state looks again."""
_KEPT = "refs/batchspec/state"
"""The commit that this checkout's state came from, or that it pushed last."""


@frozen
class Tip:
    """What a state branch says."""

    commit: str
    lineage: str
    """Empty: nothing was ever submitted."""
    serial: int
    open_since: datetime | None
    """Since when a job is at work on it; None: none is."""
    by: str
    """The job that is, or was last: its page."""


@frozen
class StateBranch:
    """A state and the branch that keeps it."""

    session: Session
    repository: Repository
    branch: str
    by: str
    """The page of the job that is running; empty: not known."""

    @property
    def clock(self) -> Clock:
        """The time."""
        return self.session.clock

    def restore(self) -> Tip | None:
        """Take the state from the branch, for reading; None when there is no such branch."""
        tip = self._fetched()
        if tip is not None and tip.lineage:
            self._take(tip, unfinished=False)
        return tip

    def open(self, wait: float, dead_after: float) -> Tip | None:
        """Take the state from the branch, and the branch for this job.

        Args:
            wait: Seconds to wait for a job that has it.
            dead_after: A job that has had it for so many seconds was killed: the state is taken as
                it was, and what that job may have submitted is looked for in the workspace.

        Returns:
            What the branch said, None when there was none.

        Raises:
            StateLocked: another job still has it.
        """
        waited = 0.0
        while True:
            tip = self._fetched()
            since = None if tip is None else tip.open_since
            age = 0.0 if since is None else (self.clock.now() - since).total_seconds()
            if since is not None and age < dead_after:
                if waited >= wait:
                    raise _taken(self.branch, tip)
                self.clock.sleep(LOOK_SECONDS)
                waited += LOOK_SECONDS
                continue
            try:
                self._push(tip, _note(tip, opened=self.clock.now(), by=self.by))
            except Overtaken:
                continue
            if tip is not None and tip.lineage:
                self._take(tip, unfinished=since is not None)
            return tip

    def keep(self) -> int:
        """Give the branch back with the state as it is now; return the archive's size.

        Raises:
            StateLocked: another job took the branch, so that this one's state has no place there.
        """
        tip = self._known()
        with tempfile.TemporaryDirectory(prefix="batchspec-") as folder:
            archive, size = Path(folder) / ARCHIVE, 0
            lineage, serial = self._position()
            if lineage:
                size = export_state(self.session, archive)
            note = {"lineage": lineage, "serial": serial, "open_since": None, "by": self.by}
            try:
                self._push(tip, note, archive if lineage else None)
            except Overtaken:
                raise StateLocked(
                    f"Another job has taken the branch {self.branch} meanwhile, so the state of "
                    "this one is not kept there. What was submitted is in the workspace, and the "
                    "other job finds it.",
                    hint="Let no two jobs that submit run at the same time.",
                ) from None
        return size

    def _fetched(self) -> Tip | None:
        """Fetch the branch."""
        repository = self.repository
        if not repository.tip(self.branch):
            return None
        ref = f"+refs/heads/{self.branch}:{_KEPT}"
        repository.git("fetch", "--quiet", repository.remote.name, ref)
        return self._known()

    def _known(self) -> Tip | None:
        """Return what was fetched or pushed last."""
        repository = self.repository
        commit = repository.text("rev-parse", "--verify", "--quiet", _KEPT, quiet=True)
        if not commit:
            return None
        try:
            return _tip(commit, repository.git("cat-file", "blob", f"{commit}:{NOTE}", quiet=True))
        except (ValueError, KeyError, TypeError) as error:
            raise StateFailure(
                f"The branch {self.branch} holds no state that this version of batchspec reads."
            ) from error

    def _position(self) -> tuple[str, int]:
        reader = self.session.reader()
        return ("", 0) if reader is None else (reader.lineage, reader.serial)

    def _take(self, tip: Tip, *, unfinished: bool) -> None:
        """Import the state of a commit, unless it is here already.

        Raises:
            StateFailure: there is another one here.
        """
        lineage, serial = self._position()
        if lineage and (lineage, serial) != (tip.lineage, tip.serial):
            raise StateFailure(
                f"There is a state in {self.session.state_dir} that is not the one on the branch "
                f"{self.branch}.",
                hint="Begin jobs with a clean checkout, or keep the state in a folder that stays "
                "(BATCHSPEC_STATE) and none on a branch.",
            )
        if not lineage:
            with tempfile.TemporaryDirectory(prefix="batchspec-") as folder:
                archive = Path(folder) / ARCHIVE
                archive.write_bytes(
                    self.repository.git("cat-file", "blob", f"{tip.commit}:{ARCHIVE}")
                )
                import_state(self.session, archive)
        if unfinished:
            # As after a rollback: whatever the killed job has made is waited for and taken in.
            note = Note(lineage=tip.lineage, serial=tip.serial + 1, armed_at=self.clock.now())
            self.session.mirror.write(note)

    def _push(self, tip: Tip | None, note: dict[str, Any], archive: Path | None = None) -> None:
        """Replace the branch's commit by one with this note, and with the archive it had or a new.

        Raises:
            Overtaken: it is not what we know any more.
        """
        repository = self.repository
        text = json.dumps({"format_version": FORMAT_VERSION, **note}, indent=2).encode() + b"\n"
        entries = [(NOTE, repository.git("hash-object", "-w", "--stdin", data=text))]
        if archive is not None:
            entries.append((ARCHIVE, repository.git("hash-object", "-w", str(archive))))
        elif tip is not None and tip.lineage:
            entries.append((ARCHIVE, repository.git("rev-parse", f"{tip.commit}:{ARCHIVE}")))
        rows = "".join(
            f"100644 blob {digest.decode().strip()}\t{name}\n" for name, digest in sorted(entries)
        )
        tree = repository.git("mktree", data=rows.encode()).decode().strip()
        commit = repository.text("commit-tree", tree, "-m", "batchspec: state [skip ci]")
        repository.push(commit, self.branch, expected="" if tip is None else tip.commit)
        repository.git("update-ref", _KEPT, commit)


def _tip(commit: str, text: bytes) -> Tip:
    """Read the note of a commit.

    Raises:
        ValueError: it is none that this version reads; also KeyError and TypeError.
    """
    raw: Any = json.loads(text)
    if raw["format_version"] != FORMAT_VERSION:
        raise ValueError(raw["format_version"])
    since = raw["open_since"]
    return Tip(
        commit=commit,
        lineage=str(raw["lineage"]),
        serial=int(raw["serial"]),
        open_since=None if since is None else datetime.fromisoformat(since),
        by=str(raw["by"]),
    )


def _note(tip: Tip | None, *, opened: datetime, by: str) -> dict[str, Any]:
    here = Tip(commit="", lineage="", serial=0, open_since=None, by="") if tip is None else tip
    here = replace(here, open_since=opened, by=by)
    since = opened.isoformat()
    return {"lineage": here.lineage, "serial": here.serial, "open_since": since, "by": here.by}


def _taken(branch: str, tip: Tip | None) -> StateLocked:
    since = "" if tip is None or tip.open_since is None else f" since {tip.open_since:%H:%M} UTC"
    by = "" if tip is None or not tip.by else f" ({tip.by})"
    return StateLocked(
        f"Another job{by} has had the state on the branch {branch}{since}.",
        hint="Run this job again when that one has ended. One that was killed counts as ended "
        "after an hour; `--dead-after` says otherwise.",
    )
