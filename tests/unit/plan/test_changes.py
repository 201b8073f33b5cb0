"""Changes of a plan: the same few or many, in memory or in a file."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from batchspec.errors import DiskFailure
from batchspec.plan.changes import HELD, ChangeRow, StoredChanges, change_row, keep_changes
from batchspec.plan.model import Action, Change, Outcome, Reason

FAILED: ChangeRow = ('"é\U0001f600"', "failed", None, "ab" * 32, int(Outcome.REFUSED))


def rows(count: int) -> list[ChangeRow]:
    """Make rows of items to submit, and a failed one at the end."""
    new: list[ChangeRow] = [(str(n), "submit", "new", f"{n:064x}", None) for n in range(count - 1)]
    return [*new, FAILED]


@pytest.mark.parametrize("count", [1, HELD, HELD + 1, 2 * HELD + 1])
def test_changes_are_those_that_were_kept(tmp_path: Path, count: int) -> None:
    """Their number, their order and their values do not depend on where they stand."""
    kept = keep_changes(iter(rows(count)), tmp_path / "scratch")
    assert isinstance(kept, StoredChanges) is (count > HELD)
    assert list(map(change_row, kept)) == rows(count)
    assert len(kept) == count
    assert kept[-1] == Change(
        key='"é\U0001f600"',
        action=Action.FAILED,
        reason=None,
        request_hash="ab" * 32,
        outcome=Outcome.REFUSED,
    )
    for part in (
        slice(count // 2, None),
        slice(3),
        slice(-2, None),
        slice(9, 2),
        slice(None, 9, 2),
    ):
        assert kept[part] == tuple(kept)[part]
    assert kept == tuple(kept)
    assert tuple(kept) == kept


def test_stored_changes_differ_from_others(tmp_path: Path) -> None:
    """Another value, another number or a list is not the same."""
    kept = keep_changes(rows(HELD + 1), tmp_path)
    other = [*rows(HELD + 1)[1:], FAILED]
    assert kept != keep_changes(other, tmp_path)
    assert kept != keep_changes(rows(HELD + 2), tmp_path)
    assert kept != tuple(kept)[1:]
    assert kept != [*kept]


def test_the_file_has_no_name_and_ends_with_the_changes(tmp_path: Path) -> None:
    """Nothing is left in the folder, and nothing open, not even after a crash."""
    kept = keep_changes(rows(HELD + 1), tmp_path)
    assert isinstance(kept, StoredChanges)
    descriptor = kept.descriptor
    assert os.fstat(descriptor).st_nlink == 0
    assert list(tmp_path.iterdir()) == []
    del kept
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """The message says what could not be kept."""
    (tmp_path / "file").touch()
    with pytest.raises(DiskFailure, match="keep the changes of a plan"):
        keep_changes(rows(HELD + 1), tmp_path / "file" / "scratch")


def test_reasons_are_kept() -> None:
    """A change read back from its row is the change."""
    change = Change(key="1", action=Action.SUBMIT, reason=Reason.CACHE, request_hash="0" * 64)
    assert keep_changes([change_row(change)]) == (change,)
