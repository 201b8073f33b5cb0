"""Result lines on disk: whole blocks of answers, and lines one by one, keep the same."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from fake_world import ERRORED, line
from hypothesis import given, settings
from hypothesis import strategies as st

from batchspec.api.port import ApiFailure, FailureKind, ResultStream
from batchspec.outputs.rows import PlainAnswers, read_line
from batchspec.plan.hashing import custom_id
from batchspec.workflow.download import Answers, read_ahead

TAG = "aaaaaaaa"
IDS = [custom_id("bbbbbbbb", bytes([number] * 32), TAG, 1) for number in range(4)]
FOREIGN = custom_id("bbbbbbbb", bytes(32), "cccccccc", 1)
LINES = st.one_of(
    st.builds(
        lambda name, said: orjson.dumps(line(name, said)),
        st.sampled_from([*IDS, FOREIGN, "row-1"]),
        st.sampled_from(["answered", "another", ERRORED]),
    ),
    st.sampled_from([b"", b"{}", b"no json", orjson.dumps(line(IDS[0], "twice")) * 2]),
)
READS = st.lists(st.tuples(st.lists(LINES, max_size=6), st.booleans()), min_size=1, max_size=3)


def cut(data: bytes, step: int) -> list[bytes]:
    """Return data in pieces of so many bytes."""
    return [data[at : at + step] for at in range(0, len(data), step)]


def kept(reads: list[tuple[list[bytes], bool]], step: int, *, own: bool) -> dict[str, str]:
    """Read results and return the kind of answer that is kept of each request."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.part"
        watched: list[bytes] = []

        def watch(block: bytes, plain: PlainAnswers | None) -> None:
            watched.append(block)
            assert plain is None or len(plain.custom_ids) == block.count(b"\n")

        expected = frozenset(IDS) if own else None
        answers = Answers(tag=TAG, path=path, expected=expected, total=4, watch=watch)
        for lines, ends in reads:
            data = b"\n".join(lines) + (b"\n" if ends and lines else b"")
            answers.take(ResultStream(pieces=iter(cut(data, step)), framed=True))
        assert b"".join(watched) == path.read_bytes()
        found = [read_line(one) for one in answers.lines()]
        assert answers.changed or len(found) == path.read_bytes().count(b"\n")
        again = Answers(tag=TAG, path=path, expected=expected, total=4)
        again.load()
        assert list(again.lines()) == list(answers.lines())
        assert again.found == answers.found
        assert sorted(one.custom_id or "" for one in found) == sorted(answers.found)
        return {one.custom_id or "": getattr(one, "kind", "") for one in found}


@given(reads=READS, own=st.booleans())
@settings(deadline=None)
def test_pieces_of_any_size_keep_the_same(
    *, reads: list[tuple[list[bytes], bool]], own: bool
) -> None:
    """A block that is read at once keeps what its lines keep, and what is kept is watched."""
    whole = kept(reads, 1 << 20, own=own)
    assert whole == kept(reads, 1 << 7, own=own)
    wanted = [one for lines, _ in reads for one in map(read_line, lines)]
    paid = {one.custom_id for one in wanted if getattr(one, "kind", "") == "succeeded"}
    assert {name for name, kind in whole.items() if kind == "succeeded"} == paid & set(IDS)


def test_what_came_before_a_stream_broke_is_kept() -> None:
    """Blocks are read one ahead; none is lost when no further one comes."""
    blocks = [orjson.dumps(line(name, "answered")) + b"\n" for name in IDS]

    def broken(count: int) -> Iterator[bytes]:
        yield from blocks[:count]
        raise ApiFailure(FailureKind.AMBIGUOUS, "cut")

    for count in range(3):
        read = read_ahead(broken(count))
        found = [block for block, _ in itertools.islice(read, count)]
        assert found == blocks[:count]
        with pytest.raises(ApiFailure, match="cut"):
            next(read)
    whole = list(read_ahead(iter(blocks)))
    assert [block for block, _ in whole] == blocks
    assert [plain.custom_ids for _, plain in whole if plain] == [[name] for name in IDS]
