"""Addresses of a shared state: what is shown of them, and by what they are recognised."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from batchspec.spec.project import load_project
from batchspec.spec.shared_state import default_namespace, identity, secret_of, shown_address

Write = Callable[[Mapping[str, str]], Path]
SHARED = "version: 1\nname: desk\nstate: {ledger: 'postgresql://db/batch', segments: 's3://b/p'}\n"


@pytest.mark.parametrize(
    ("url", "shown", "secret"),
    [
        ("postgresql://u:pw@h:5433/db?sslmode=require", "postgresql://u@h:5433/db", "pw"),
        ("postgresql://h/db?user=u&password=pw", "postgresql://h/db", "pw"),
        ("postgresql:///?service=batch", "postgresql:///", ""),
        ("s3://key:pw@bucket/prefix", "s3://bucket/prefix", "pw"),
        ("az://box/prefix?sig=pw", "az://box/prefix", "pw"),
        ("file:///mnt/team", "file:///mnt/team", ""),
    ],
)
def test_secrets_are_seen_and_not_shown(url: str, shown: str, secret: str) -> None:
    """A password may stand in more than one place of an address."""
    assert (shown_address(url), secret_of(url)) == (shown, secret)


def test_an_address_is_the_same_whoever_connects() -> None:
    """Two people with their own names and passwords work on one ledger."""
    assert identity("postgresql://a:x@h/db?sslmode=require") == identity("postgresql://b@h/db")
    assert identity("postgresql://a@h/db") != identity("postgresql://a@h/other")
    assert identity("postgresql:///?host=h") != identity("postgresql:///?host=i")


@pytest.mark.parametrize("name", ["desk", "desk-2", "my_desk"])
def test_a_namespace_is_the_name_where_it_can_be(name: str) -> None:
    """Most projects have a name that a schema and a folder may have, too."""
    assert default_namespace(name) == name


def test_other_names_have_a_digest() -> None:
    """Names that would come out alike do not share a state."""
    names = ["My Desk", "my desk", "my-desk", "…", "x" * 80]
    spaces = {default_namespace(name) for name in names}
    assert len(spaces) == len(names)
    assert all(len(space) <= 50 and space.isascii() for space in spaces)


def test_variables_share_a_state(project: Write) -> None:
    """CI gives addresses with passwords; `BATCHSPEC_STATE` goes back to a folder."""
    root = project({"batchspec.yaml": SHARED})
    variables = {
        "BATCHSPEC_STATE_LEDGER": "postgresql://u:pw@other/batch",
        "BATCHSPEC_STATE_NAMESPACE": "night",
        "BATCHSPEC_STATE_LEASE_SECONDS": "5",
        "BATCHSPEC_STATE_CACHE_MB": "7",
    }
    found, problems = load_project(root, variables)
    assert problems == ()
    assert found is not None
    state = found.config.state
    assert (state.ledger, state.segments) == ("postgresql://u:pw@other/batch", "s3://b/p")
    assert (found.namespace, state.lease_seconds, state.cache_mb) == ("night", 5, 7)
    assert found.state_dir.parent == found.root / ".batchspec/cache"
    local, _ = load_project(root, {"BATCHSPEC_STATE": "here"})
    assert local is not None
    assert local.config.state.ledger is None
    assert local.state_dir == local.root / "here"


def test_environments_have_parts_of_their_own(project: Write) -> None:
    """What is answered in one environment does not count in another, shared or not."""
    text = SHARED + "environments: {prod: {}, test: {state: {namespace: x}}}\n"
    root = project({"batchspec.yaml": text})
    spaces = []
    for env in (None, "prod"):
        found, problems = load_project(root, {}, env=env)
        assert problems == ()
        assert found is not None
        spaces.append(found.namespace)
    assert spaces == ["desk", "desk-prod"]
    named, _ = load_project(root, {"BATCHSPEC_STATE_NAMESPACE": "night"}, env="prod")
    assert named is not None
    assert named.namespace == "night-prod"


def test_a_variable_that_is_wrong_is_named(project: Write) -> None:
    """Its password is not."""
    variables = {
        "BATCHSPEC_STATE_LEDGER": "mysql://u:hunter2@h/db",
        "BATCHSPEC_STATE_CACHE_MB": "0",
    }
    _, problems = load_project(project({"batchspec.yaml": "version: 1\n"}), variables)
    said = " ".join(f"{p.code} {p.summary} {p.detail}" for p in problems)
    assert "BATCHSPEC_STATE_CACHE_MB must be" in said
    assert "hunter2" not in said
