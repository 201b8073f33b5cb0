"""The manifest: its bytes, and what verifying it finds."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from batchspec.outputs.manifest import (
    Manifest,
    OutputFacts,
    plain_usd,
    read_manifest,
    verify_output,
)
from batchspec.outputs.results import STATUSES, USAGE
from batchspec.plan.cost import Usage, usage_cost
from batchspec.spec.schema import published_schema, published_validator

World = Any
"""The folder's conftest has it; test folders are no packages to import it from."""
JSONL = "outputs: {path: out/a.jsonl}\n"
MANIFEST = Manifest(
    spec="demo",
    spec_digest="1" * 64,
    model="claude-haiku-4-5",
    items=3,
    items_digest="2" * 64,
    output=OutputFacts(path="out/ü.jsonl", sha256="3" * 64, rows=3, bytes=99),
    statuses=(("succeeded", 2), ("errored", 1)),
    usage=tuple((name, number) for number, name in enumerate(USAGE)),
    usd=Decimal("0.000375"),
    emulated=False,
)


def test_bytes_of_a_manifest() -> None:
    """Fixed keys in a fixed order, two spaces, UTF-8, one line end; nothing that varies."""
    usage = ",\n".join(f'    "{name}": {number}' for number, name in enumerate(USAGE))
    assert (
        MANIFEST.encode().decode()
        == f"""\
{{
  "format_version": 1,
  "spec": {{
    "name": "demo",
    "digest": "sha256:{"1" * 64}"
  }},
  "model": "claude-haiku-4-5",
  "items": 3,
  "items_digest": "sha256:{"2" * 64}",
  "output": {{
    "path": "out/ü.jsonl",
    "sha256": "{"3" * 64}",
    "rows": 3,
    "bytes": 99
  }},
  "statuses": {{
    "succeeded": 2,
    "errored": 1
  }},
  "usage": {{
{usage}
  }},
  "cost": {{
    "usd": "0.000375"
  }},
  "emulated": false
}}
"""
    )


def test_written_manifests_are_valid_and_read_back(answered: World) -> None:
    """A real manifest satisfies the published schema and says what was written."""
    written, _ = answered.run(JSONL)
    path = answered.root / "out/a.jsonl.manifest.json"
    published_validator("manifest").validate(json.loads(path.read_bytes()))
    manifest = read_manifest(path)
    assert manifest is not None
    assert manifest.encode() == path.read_bytes()
    assert manifest.output == OutputFacts(
        path="out/a.jsonl", sha256=written.digest, rows=3, bytes=written.bytes
    )
    each = usage_cost_of_one(answered)
    assert manifest.usd == 3 * each


def usage_cost_of_one(world: World) -> Decimal:
    """Return what one of the equal answers cost, by the formula in Python."""
    usage = next(iter(world.answers.values())).usage
    tokens = Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read=usage.cache_read,
    )
    cost = usage_cost(tokens, world.prices)
    assert cost is not None
    return cost


def test_per_item_manifests_are_valid(answered: World) -> None:
    """The listing of files has its place in the schema."""
    answered.run('outputs: {path: "out/{{ key }}.md"}\n')
    path = answered.root / "out/_key_.md.manifest.json"
    published_validator("manifest").validate(json.loads(path.read_bytes()))


def test_unknown_prices_are_null(answered: World) -> None:
    """No price on record is null, never zero."""
    answered.prices = None
    answered.run(JSONL)
    path = answered.root / "out/a.jsonl.manifest.json"
    published_validator("manifest").validate(json.loads(path.read_bytes()))
    manifest = read_manifest(path)
    assert manifest is not None
    assert manifest.usd is None


def test_schemas_know_the_words_of_the_program() -> None:
    """The published statuses and token counts are those of the program, in the same order."""
    manifest, row = published_schema("manifest"), published_schema("output-row")
    assert tuple(manifest["properties"]["statuses"]["propertyNames"]["enum"]) == STATUSES
    assert tuple(manifest["properties"]["usage"]["required"]) == USAGE
    assert tuple(row["properties"]["status"]["enum"]) == STATUSES


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Decimal(0), "0.0000"),
        (Decimal("0E-12"), "0.0000"),
        (Decimal("12.5"), "12.5000"),
        (Decimal("0.000000005500"), "0.0000000055"),
        (Decimal("1E+3"), "1000.0000"),
    ],
)
def test_money_is_exact_text(amount: Decimal, text: str) -> None:
    """At least four decimals, all that matter, and no exponent."""
    assert plain_usd(amount) == text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b'{"format_version": 2}',
        MANIFEST.encode().replace(b'"sha256":', b'"sha":'),
        MANIFEST.encode().replace(b'"0.000375"', b'"cheap"'),
        MANIFEST.encode().replace(b'"items": 3', b'"items": "many"'),
        MANIFEST.encode().replace(b'"statuses": {', b'"statuses": ['),
    ],
)
def test_what_is_no_manifest_is_none(tmp_path: Any, data: bytes) -> None:
    """Whatever cannot be read as a manifest is none, and nothing raises."""
    path = tmp_path / "a.manifest.json"
    assert read_manifest(path) is None
    path.write_bytes(data)
    assert read_manifest(path) is None


def complaints(world: World, **expected: Any) -> list[tuple[str, bool, str]]:
    """Return what verifying the output finds."""
    found = verify_output(world.root, "out/a.jsonl", **expected)
    return [(one.path, one.stale, one.message) for one in found]


def test_verify_finds_nothing_wrong(answered: World) -> None:
    """A fresh output fits its manifest, its spec and its items."""
    answered.run(JSONL)
    manifest = read_manifest(answered.root / "out/a.jsonl.manifest.json")
    assert manifest is not None
    assert (
        complaints(answered, spec_digest=manifest.spec_digest, items_digest=manifest.items_digest)
        == []
    )


def test_verify_names_damage_and_staleness(answered: World) -> None:
    """Changed bytes are damage; a changed spec or changed items are staleness."""
    answered.run(JSONL)
    output = answered.root / "out/a.jsonl"
    output.write_bytes(output.read_bytes().replace(b"answer 1", b"answer !", 1))
    found = complaints(answered, spec_digest="0" * 64, items_digest="0" * 64)
    assert [(path, stale) for path, stale, _ in found] == [
        ("out/a.jsonl", False),
        ("out/a.jsonl", True),
        ("out/a.jsonl", True),
    ]
    messages = [message for _, _, message in found]
    assert messages[0].startswith("Its bytes are not those that were written.")
    assert messages[1].startswith("It is stale: the spec has changed")
    assert messages[2].startswith("It is stale: the inputs or the requests have changed")
    output.unlink()
    (missing,) = complaints(answered)
    assert missing[2].startswith("It is not there.")


def test_verify_without_a_manifest(answered: World) -> None:
    """An output that was never written is stale; one whose manifest is lost is damaged."""
    ((_, stale, message),) = complaints(answered)
    assert (stale, message.split(",")[0]) == (True, "It was not written yet")
    answered.run(JSONL)
    (answered.root / "out/a.jsonl.manifest.json").unlink()
    ((_, stale, message),) = complaints(answered)
    assert (stale, message.split(",")[0]) == (False, "It has no readable manifest")


def test_verify_looks_at_every_file_of_a_template(answered: World) -> None:
    """One file per item: each is checked."""
    answered.run('outputs: {path: "out/{{ key }}.md"}\n')
    (answered.root / "out/T-10.md").write_text("x")
    (answered.root / "out/T-2.md").unlink()
    found = verify_output(answered.root, "out/{{ key }}.md")
    assert [(one.path, one.message.split(".")[0]) for one in found] == [
        ("out/T-10.md", "Its bytes are not those that were written"),
        ("out/T-2.md", "It is not there"),
    ]


def test_verify_of_emulated_outputs(answered: World) -> None:
    """Emulated outputs are whole where they stand, and are no real ones."""
    answered.run(JSONL, emulated=True)
    assert verify_output(answered.root, "out/a.jsonl", emulated=True) == ()
    ((_, stale, message),) = complaints(answered)
    assert (stale, message.split(".")[0]) == (True, "Its answers come from the emulator")
    answered.run(JSONL)
    assert complaints(answered) == []
    answered.run(JSONL, emulated=True)
    assert verify_output(answered.root, "out/a.jsonl", emulated=True) == ()
