from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchspec.plan import hashing
from batchspec.plan.hashing import custom_id, parse_custom_id, parse_custom_ids

IDENTITY = b'{"anthropic_version":"2026-10-21","betas":[]}'
PARAMS = b'{"max_tokens":64,"messages":[{"content":"hi","role":"user"}],"model":"claude-haiku-4-5"}'
TAGS = st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=8, max_size=8)


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (None, "7113267b45899c8dde406523a5820de638f7495f433ab27de3a0fd7a35eb4da6"),
        (0, "ac3de925ed7e4381e5a652bdb761941d0c4ab1d40d9ba9e6f1466bb66eca3ace"),
        (1, "eba2c4293ccc747217b9e10e68d4a448260571cb931a8024d932d48732267e53"),
    ],
)
def test_request_hashes_are_pinned(sample: int | None, expected: str) -> None:
    """The identity of a question never changes by accident: answers already paid hang on it."""
    assert hashing.request_hash(PARAMS, IDENTITY, sample).hex() == expected


def test_hasher_is_reusable_and_equals_the_plain_definition() -> None:
    """A hasher used for many requests gives what one SHA-256 over the parts gives."""
    hasher = hashing.RequestHasher(IDENTITY)
    plain = hashlib.sha256(
        hashing.REQUEST_PREFIX + len(IDENTITY).to_bytes(8, "big") + IDENTITY + b"\0" + PARAMS
    ).digest()
    assert hasher.digest(b"other") != plain
    assert hasher.digest(PARAMS) == plain


@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(0, 40))
def test_moving_bytes_between_identity_and_params_changes_the_hash(
    identity: bytes, params: bytes, cut: int
) -> None:
    """Identity and params are told apart by length, not by a separator."""
    joined = identity + params
    left, right = joined[:cut], joined[cut:]
    same = hashing.request_hash(params, identity) == hashing.request_hash(right, left)
    assert same == ((left, right) == (identity, params))


@given(st.binary(min_size=32, max_size=32), TAGS, st.integers(1, hashing.MAX_ATTEMPT), st.text())
def test_custom_id_round_trip(digest: bytes, tag: str, attempt: int, project: str) -> None:
    """Every id is valid for the API and says again what it was made of."""
    space = hashing.namespace(project)
    text = hashing.custom_id(space, digest, tag, attempt)
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", text)
    parsed = hashing.parse_custom_id(text)
    assert parsed is not None
    assert (parsed.namespace, parsed.tag, parsed.attempt) == (space, tag, attempt)
    assert parsed.digest16 == digest[: hashing.DIGEST16]
    assert text[12:38] == parsed.h26


@pytest.mark.parametrize(
    "foreign",
    [
        "",
        "row-17",
        "c1-aaaaaaaa-" + "a" * 25 + "-bbbbbbbb-a1",
        "c1-aaaaaaaa-" + "a" * 26 + "-bbbbbbbb-a0",
        "c1-aaaaaaaa-" + "a" * 26 + "-bbbbbbbb-a01",
        "c1-aaaaaaaa-" + "a" * 26 + "-bbbbbbbb-a65536",
        "c1-aaaaaaaa-" + "a" * 26 + "-bbbbbbb1-a1",
        "C1-aaaaaaaa-" + "a" * 26 + "-bbbbbbbb-a1",
        "c1-aaaaaaaa-" + "a" * 26 + "-bbbbbbbb-a1\n",
    ],
)
def test_foreign_ids_are_not_ours(foreign: str) -> None:
    """Ids of other programs, or damaged ones, are never read as ours."""
    assert hashing.parse_custom_id(foreign) is None


def test_custom_id_and_namespace_are_pinned() -> None:
    """Ids stay recognisable to every later version."""
    digest = bytes(range(32))
    assert hashing.namespace("demo") == "le7zq5ln"
    assert (
        hashing.custom_id("abcdefgh", digest, "zyxwvuts", 2)
        == "c1-abcdefgh-aaaqeayeaudaocajbifqydiob4-zyxwvuts-a2"
    )


def test_merkle_root_is_pinned_and_ordered() -> None:
    """The root covers keys, hashes, their number and their order."""
    items = [(f'"k{n}"', bytes([n % 256]) * 32) for n in range(2050)]
    roots = {
        hashing.merkle_root(items),
        hashing.merkle_root(items[::-1]),
        hashing.merkle_root(items[:-1]),
        hashing.merkle_root(items[:1024]),
        hashing.merkle_root(items[:1]),
        hashing.merkle_root([]),
    }
    assert len(roots) == 6
    assert (
        hashing.merkle_root(items)
        == "0b0cfeab21a9c3c3885ff2d592b3ca5d1e9cbf6e55a3686d9efe76e5ae772f8a"
    )
    assert (
        hashing.merkle_root([])
        == "c378875c67f89524ecfffb9a1008acbb1c7069427be5937e0b48f8f7d22930dc"
    )


@pytest.mark.parametrize("count", [0, 1, 2, 1023, 1024, 1025, 2048, 3000])
def test_merkle_root_equals_the_tree_built_level_by_level(count: int) -> None:
    """Folding as items stream past gives the root of the whole tree."""
    items = [(str(n), n.to_bytes(32, "big")) for n in range(count)]
    level = [hashing.merkle_leaf(key, digest) for key, digest in items]
    depth = 0
    while len(level) > 1 or depth == 0:
        depth += 1
        level = [
            hashing.merkle_node(depth, level[start : start + hashing.MERKLE_FANOUT])
            for start in range(0, max(1, len(level)), hashing.MERKLE_FANOUT)
        ]
    assert hashing.merkle_root(items) == level[0]


def test_merkle_root_goes_on_beyond_two_levels() -> None:
    """A full second level is folded into a third."""
    count = hashing.MERKLE_FANOUT**2
    digest = bytes(32)
    leaf = hashing.merkle_leaf("0", digest)
    first = hashing.merkle_node(1, [leaf] * hashing.MERKLE_FANOUT)
    second = hashing.merkle_node(2, [first] * hashing.MERKLE_FANOUT)
    assert hashing.merkle_root(("0", digest) for _ in range(count)) == second


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=5), TAGS, TAGS)
def test_ids_made_together_are_the_ids_made_one_by_one(
    digests: list[bytes], space: str, tag: str
) -> None:
    """The fast way of a whole batch gives what the definition gives."""
    stems = hashing.id_stems(space, digests, tag)
    assert [stem.decode() + "3" for stem in stems] == [
        hashing.custom_id(space, digest, tag, 3) for digest in digests
    ]


ONE = custom_id("a" * 8, bytes(32), "b" * 8, 1)
CHAIN = f"{ONE}-|-{ONE}-{ONE}"
CUTS = st.sampled_from([n for n, char in enumerate(CHAIN) if char in "-|"] + [0, len(CHAIN)])
ID_TEXTS = st.one_of(
    st.builds(lambda begin, end: CHAIN[begin:end].strip("-"), CUTS, CUTS),
    st.builds(
        custom_id,
        st.just("aaaaaaaa"),
        st.binary(min_size=32, max_size=32),
        st.sampled_from(["bbbbbbbb", "cccccccc"]),
        st.sampled_from([1, 2, 65_535, 65_536]),
    ),
    st.sampled_from(["", "row-1", "c1-", "\n", custom_id("a" * 8, bytes(32), "b" * 8, 1) + "\n"]),
    st.text(max_size=5),
)


@given(st.lists(ID_TEXTS, min_size=1, max_size=4))
def test_many_ids_are_read_as_one_by_one(texts: list[str]) -> None:
    """Either all of them are ours, or it is said that one is not."""
    singly = [parse_custom_id(text) for text in texts]
    many = parse_custom_ids(texts)
    if many is None:
        assert None in singly
        return
    ours = [one for one in singly if one is not None]
    assert len(ours) == len(texts)
    assert many.digests == [one.digest16 for one in ours]
    assert many.attempts == [one.attempt for one in ours]
    assert many.tags == {one.tag for one in ours}


def test_ids_that_a_line_end_would_make_ours() -> None:
    """A text is one id, whatever stands on its lines."""
    one = custom_id("aaaaaaaa", bytes(32), "bbbbbbbb", 1)
    assert parse_custom_ids([one, one]) is not None
    assert parse_custom_ids([f"{one}\n{one}", "row-1"]) is None
    assert parse_custom_ids([f"{one}\n{one}"]) is None


def test_ids_that_other_ids_would_complete() -> None:
    """Parts, or marks between texts, that are too many in one text and too few in another."""
    one = custom_id("aaaaaaaa", bytes(32), "bbbbbbbb", 1)
    head, tail = one.rsplit("-", 1)
    assert parse_custom_ids([head, f"{tail}-|-{one}"]) is None
    assert parse_custom_ids([head, f"{tail}-{one}"]) is None
    assert parse_custom_ids([f"{one}-|-{one}"]) is None
    assert parse_custom_ids([f"{one}-|-{head}", tail]) is None
    assert parse_custom_ids([f"{one}-|-{one}", ""]) is None
    assert parse_custom_ids([one, one[:-1]]) is None
    assert parse_custom_ids([one, f"{one}-"]) is None
    assert parse_custom_ids([one, one.replace("a1", "a70000")]) is None
    assert parse_custom_ids([one, one.replace("bbbbbbbb", "bbbbbbb\u00e9")]) is None
    assert parse_custom_ids([]) is None
