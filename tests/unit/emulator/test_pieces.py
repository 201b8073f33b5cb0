"""Small parts: time, draws, pages, row records, recordings, life cycle."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchspec.emulator.clock import EmulatorClock, http_date, rfc3339
from batchspec.emulator.draws import Draw, digest, make_id, unit
from batchspec.emulator.errors import ApiError, envelope
from batchspec.emulator.faults import FaultDesk, FaultsError
from batchspec.emulator.lifecycle import BatchRecord
from batchspec.emulator.paging import page_of
from batchspec.emulator.processing import processing_order
from batchspec.emulator.replay import RecordingError, load_recordings, params_digest
from batchspec.emulator.rowindex import Row, RowIndex, write_row
from batchspec.emulator.settings import Unknowns

if TYPE_CHECKING:
    from pathlib import Path


def test_stepped_time_stands_still() -> None:
    """Only advance moves it; a speed lets it run."""
    clock = EmulatorClock(stepped=True, start=1000.0)
    assert clock.now() == 1000.0
    assert clock.advance(5) == 1005.0
    assert clock.now() == 1005.0
    clock.set_speed(1e9)
    assert clock.now() > 1005.0


def test_times_are_written_as_the_api_does() -> None:
    """Six decimals and Z; GMT in the Date header."""
    assert rfc3339(1724179044.25) == "2024-08-20T18:37:24.250000Z"
    assert http_date(1724179044.25) == "Tue, 20 Aug 2024 18:37:24 GMT"


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_digests_keep_their_parts_apart(first: list[str], second: list[str]) -> None:
    """Two lists have one digest only when they are equal."""
    assert (digest(*first) == digest(*second)) == (first == second)


def test_draws_are_spread_and_repeatable() -> None:
    """Numbers fill their range; equal seeds give equal draws."""
    assert {Draw(seed).below(4) for seed in range(60)} == {0, 1, 2, 3}
    assert {Draw(seed).between(2, 3) for seed in range(30)} == {2, 3}
    assert 0.4 < sum(unit("x", n) for n in range(500)) / 500 < 0.6
    assert re.fullmatch(r"msg_01[1-9A-HJ-NP-Za-km-z]{22}", make_id("msg", 1, "a"))
    assert make_id("msg", 1) == make_id("msg", 1) != make_id("msg", 2)


@given(
    count=st.integers(0, 12),
    limit=st.integers(1, 5),
    cursor=st.integers(0, 11),
    forward=st.booleans(),
)
def test_pages_cover_everything_once(count: int, limit: int, cursor: int, *, forward: bool) -> None:
    """Walking by cursor gives every item on that side, in order, and has_more ends it."""
    items = [f"id{number}" for number in range(count)]
    if cursor >= count:
        return
    name = "after_id" if forward else "before_id"
    seen: list[str] = []
    place, more = items[cursor], True
    while more:
        query = {"limit": str(limit), name: place}
        page = page_of(items, query, cursors="known", id_of=str)
        seen = [*seen, *page.ids] if forward else [*page.ids, *seen]
        more = page.has_more
        place = (page.ids or [place])[-1 if forward else 0]
    assert seen == (items[cursor + 1 :] if forward else items[:cursor])


@given(
    rows=st.lists(
        st.builds(
            Row,
            st.integers(0, 2**60),
            st.integers(0, 2**32 - 1),
            st.binary(min_size=32, max_size=32),
            st.from_regex(r"\A[a-zA-Z0-9_-]{1,64}\Z"),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_row_records_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> None:
    """What is written is read, by number and in order."""
    path = tmp_path_factory.mktemp("rows") / "rows.bin"
    with path.open("wb") as file:
        for row in rows:
            write_row(file, row)
    with RowIndex(path) as index:
        assert list(index) == rows
        assert len(index) == len(rows)
        with pytest.raises(IndexError):
            index[len(rows)]


def record(total: int = 10, duration: float = 0.0, seq: int = 1) -> BatchRecord:
    """Return a batch created at 0."""
    return BatchRecord(
        seq=seq, id="b", workspace="w", created=0, duration=duration, total=total, version="v"
    )


def test_order_is_shuffled_by_seed_and_batch() -> None:
    """A permutation, never the identity, other for other seeds and batches."""
    order = processing_order(record(50), 1)
    assert sorted(order) == list(range(50))
    assert order == processing_order(record(50), 1)
    assert order != processing_order(record(50), 2)
    assert order != processing_order(record(50, seq=2), 1)
    for total in (2, 3):
        for seed in range(20):
            assert processing_order(record(total), seed) != list(range(total))


def test_errors_have_their_type_and_code() -> None:
    """The status gives type and message unless they are given; unknown statuses fall back."""
    assert envelope(ApiError(529), None) == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Overloaded"},
    }
    assert envelope(ApiError(418, code="x"), "req_1") == {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "The request could not be processed.",
            "details": {"error_code": "x"},
        },
        "request_id": "req_1",
    }
    assert envelope(ApiError(599), None)["error"]["type"] == "api_error"


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "{}", '{"result": {"type": "x"}}', '{"result": {"type": 1}, "params": {}}',
     '{"result": {"type": "x"}, "params_sha256": 5}'],
)  # fmt: skip
def test_wrong_recordings_name_their_line(tmp_path: Path, line: str) -> None:
    """File and line are in the message."""
    path = tmp_path / "r.jsonl"
    path.write_text(f'{{"params": {{}}, "result": {{"type": "canceled"}}}}\n{line}\n')
    with pytest.raises(RecordingError, match=r"r\.jsonl, line 2"):
        load_recordings((path,))


def test_recordings_are_found_by_digest(tmp_path: Path) -> None:
    """By params in any key order, or by their digest; no files make no recording."""
    assert load_recordings(()) is None
    path = tmp_path / "r.jsonl"
    params = {"b": 1, "a": 2}
    lines = [
        {"params": {"a": 2, "b": 1}, "result": {"type": "expired"}},
        {"params_sha256": params_digest({}), "result": {"type": "canceled"}},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    recording = load_recordings((path,))
    assert recording is not None
    assert recording.find(params_digest(params), "any", 0) == {"type": "expired"}
    assert recording.find(params_digest({}), "any", 0) == {"type": "canceled"}
    assert recording.find("0", "any", 0) is None
    assert not recording.has_sequels


def test_recordings_are_told_in_turn(tmp_path: Path) -> None:
    """The askings of a question get its lines in order, those with a part of their id their own."""
    path = tmp_path / "r.jsonl"
    lines = [
        {"params_sha256": "q", "custom_id_part": part, "result": {"type": kind}}
        for part, kind in (("one", "expired"), ("two", "canceled"), ("one", "errored"))
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    recording = load_recordings((path,))
    assert recording is not None
    assert recording.has_sequels
    told = [recording.find("q", "id-one", asked) for asked in range(3)]
    assert told == [{"type": "expired"}, {"type": "errored"}, {"type": "errored"}]
    assert recording.find("other", "id-two", 0) == {"type": "canceled"}
    assert recording.find("q", "other", 1) == {"type": "canceled"}
    assert recording.find("other", "id-twofold", 0) is None


def test_choices_are_read_from_a_command_line() -> None:
    """Names and values are checked against the record."""
    chosen = Unknowns.of(
        ["premature_delete_status=409", "rate_limit_headers=true", "results_url=relative"]
    )
    assert (chosen.premature_delete_status, chosen.rate_limit_headers) == (409, True)
    assert chosen.results_url == "relative"
    with pytest.raises(ValueError, match="unknown choice 'lost'"):
        Unknowns.of(["lost=1"])
    with pytest.raises(ValueError, match="is one of 400, 409"):
        Unknowns.of(["premature_delete_status=500"])


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (3, "expected a fault"),
        ([3], "a fault is a mapping"),
        ({"kind": "lost"}, "kind 'lost' is none of"),
        ({"kind": ["status"]}, "is none of"),
        ({"kind": "status"}, "needs 'status'"),
        ({"kind": "status", "status": 999}, "between 200 and 599"),
        ({"kind": "status", "status": "500"}, "'status' is a number"),
        ({"kind": "cut_after", "tims": 3}, "unknown key 'tims'"),
        ({"kind": "slow_commit", "seconds": 1, "endpoint": "list"}, "endpoint 'list' is none of"),
        ({"kind": "drop_every", "every": 0}, "whole number"),
        ({"kind": "hang_before", "seconds": -1}, "not negative"),
    ],
)
def test_wrong_faults_are_refused(fault: object, message: str) -> None:
    """Each mistake has its sentence, and nothing is set."""
    desk = FaultDesk(0)
    with pytest.raises(FaultsError, match=message):
        desk.add(fault)
    assert desk.faults == []
