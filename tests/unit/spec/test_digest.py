"""What a spec's digest depends on, and what it does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from batchspec.spec.digest import spec_digest
from batchspec.spec.project import load_project, load_specs

Write = Callable[[Mapping[str, str]], Path]

BASE = """\
version: 1
name: triage
inputs: {table: data/tickets.csv, key: id}
model: claude-haiku-4-5
max_tokens: 64
prompt: {user: "{{ subject }}"}
outputs: {path: out/a.jsonl}
budget: {max_usd: 5.00}
"""

PINNED = "29b1cb339393db125c46f7c60370d7087380f60d35656646582c461284d997ed"


def digest(write: Write, text: str, file: str = "specs/a.yaml") -> str:
    """Return the digest of a spec written as ``text``."""
    root = write({file: text})
    project, _ = load_project(root, {})
    assert project is not None
    (loaded,), problems = load_specs(project, [file], {})
    assert problems == ()
    return spec_digest(loaded.spec)


def test_the_digest_is_pinned(project: Write) -> None:
    """Manifests of past runs hold it, so it must not change by itself."""
    assert digest(project, BASE) == PINNED


@pytest.mark.parametrize(
    "text",
    [
        "# A comment.\n" + BASE,
        "\n".join(reversed(BASE.splitlines())) + "\n",
        BASE.replace("5.00", "5"),
        BASE.replace("key: id", "key: [id]"),
        BASE.replace("outputs: {path: out/a.jsonl}", "outputs:\n  - path: 'out/a.jsonl'"),
        BASE + "cache: auto\nretry: {errored: 3}\n",
        BASE.replace("64", "0x40"),
    ],
)
def test_what_means_the_same_has_the_same_digest(project: Write, text: str) -> None:
    """Comments, order, spelling and defaults written out do not matter."""
    assert digest(project, text) == PINNED


def test_the_file_name_does_not_matter(project: Write) -> None:
    """A spec with a name can move."""
    assert digest(project, BASE, "drafts/other.yaml") == PINNED


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("triage", "triage-2"),
        ("64", "65"),
        ("5.00", "5.01"),
        ("{{ subject }}", "{{ subject }} "),
        ("haiku-4-5", "sonnet-5"),
        ("a.jsonl", "b.jsonl"),
    ],
)
def test_every_setting_changes_the_digest(project: Write, old: str, new: str) -> None:
    """What means something else has another digest."""
    assert digest(project, BASE.replace(old, new)) != PINNED
