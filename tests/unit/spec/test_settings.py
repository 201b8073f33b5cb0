"""The environment over the project file, and the rules for the address that gets the key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from batchspec.spec.project import Project, load_project
from batchspec.spec.settings import base_url_problems

Write = Callable[[Mapping[str, str]], Path]


def loaded(root: Path, environ: Mapping[str, str]) -> Project:
    """Load a project that has no problems."""
    project, problems = load_project(root, environ)
    assert problems == ()
    assert project is not None
    return project


def test_without_anything_the_defaults_hold(project: Write) -> None:
    """A folder without a project file is a project."""
    found = loaded(project({}), {})
    assert found.name == "project"
    assert found.state_dir == found.root / ".batchspec" / "state"
    assert found.emulated_dir == found.root / ".batchspec" / "emulated"
    assert found.cache_dir == found.state_dir / "cache"
    assert found.file is None
    assert found.config.api.base_url is None
    assert found.config.api.anthropic_version == "2026-10-21"


def test_every_variable_overrides_its_setting(project: Write, tmp_path: Path) -> None:
    """CI sets what a checkout must not carry."""
    root = project({"batchspec.yaml": "version: 1\napi: {betas: [a], poll_seconds: 9}\n"})
    state = tmp_path / "elsewhere"
    found = loaded(
        root,
        {
            "BATCHSPEC_STATE": str(state),
            "BATCHSPEC_BASE_URL": "https://relay.example.com",
            "BATCHSPEC_KEY_ENV": "RELAY_KEY",
            "BATCHSPEC_ANTHROPIC_VERSION": "2023-06-01",
            "BATCHSPEC_BETAS": "output-300k-2026-03-24, skills-2025-10-02",
            "BATCHSPEC_WORKSPACE": "wrkspc_1",
            "BATCHSPEC_SETTLE_SECONDS": "0.5",
            "BATCHSPEC_POLL_SECONDS": "2",
            "BATCHSPEC_MEMORY_MB": "1024",
            "ANTHROPIC_BASE_URL": "https://ignored.example.com",
        },
    )
    api = found.config.api
    assert found.state_dir == state.resolve()
    assert api.base_url == "https://relay.example.com"
    assert (api.key_env, api.anthropic_version) == ("RELAY_KEY", "2023-06-01")
    assert api.betas == ("output-300k-2026-03-24", "skills-2025-10-02")
    assert (api.workspace, api.settle_seconds, api.poll_seconds) == ("wrkspc_1", 0.5, 2)
    assert found.config.memory_mb == 1024


@pytest.mark.parametrize(
    ("file", "environ", "expected"),
    [
        ("", {"ANTHROPIC_BASE_URL": "https://b.example"}, "https://b.example"),
        ("api: {base_url: https://a.example}", {"ANTHROPIC_BASE_URL": "https://b.example"},
         "https://a.example"),
        ("api: {base_url: https://a.example}", {"BATCHSPEC_BASE_URL": "https://c.example"},
         "https://c.example"),
        ("", {"BATCHSPEC_BASE_URL": "", "ANTHROPIC_BASE_URL": ""}, None),
    ],
)  # fmt: skip
def test_the_nearest_base_url_counts(
    project: Write, file: str, environ: dict[str, str], expected: str | None
) -> None:
    """Our variable, then the project file, then the SDK's variable; empty is unset."""
    root = project({"batchspec.yaml": f"version: 1\n{file}\n"})
    assert loaded(root, environ).config.api.base_url == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BATCHSPEC_POLL_SECONDS", "soon"),
        ("BATCHSPEC_POLL_SECONDS", "0"),
        ("BATCHSPEC_SETTLE_SECONDS", "-1"),
        ("BATCHSPEC_SETTLE_SECONDS", "nan"),
        ("BATCHSPEC_SETTLE_SECONDS", "inf"),
        ("BATCHSPEC_MEMORY_MB", "64"),
        ("BATCHSPEC_MEMORY_MB", "1.5"),
        ("BATCHSPEC_KEY_ENV", "sk-ant-api03-abcdefghij"),
        ("BATCHSPEC_ANTHROPIC_VERSION", "latest"),
        ("BATCHSPEC_BETAS", "a b"),
        ("BATCHSPEC_WORKSPACE", "my workspace"),
    ],
)
def test_a_bad_variable_is_a_problem_that_names_it(project: Write, name: str, value: str) -> None:
    """It has no place in a file, so its name must be in the message; a key must not."""
    found, problems = load_project(project({}), {name: value})
    assert found is None
    assert [problem.code for problem in problems] == ["bad-environment"]
    assert name in problems[0].summary
    assert "abcdefghij" not in problems[0].message()


@pytest.mark.parametrize(
    ("url", "count"),
    [
        ("https://api.anthropic.com", 0),
        ("https://relay.example.com:8443/prefix/", 0),
        ("http://localhost:8080", 0),
        ("http://127.0.0.1:1", 0),
        ("http://127.9.9.9", 0),
        ("http://[::1]:8080", 0),
        ("http://relay.example.com", 1),
        ("http://localhost.example.com", 1),
        ("http://10.0.0.1", 1),
        ("https://user@relay.example.com", 1),
        ("https://user:word@relay.example.com/?a=1#b", 2),
        ("relay.example.com", 1),
        ("ftp://relay.example.com", 1),
        ("https://", 1),
        ("https://host:port", 1),
        ("https://[::1", 1),
        ("file:///etc/passwd", 1),
    ],
)
def test_the_key_goes_only_where_nobody_listens(url: str, count: int) -> None:
    """Encrypted or on this machine, and without credentials in the address."""
    found = list(base_url_problems(url, {}))
    assert len(found) == count
    assert not any("word@" in text for pair in found for text in pair)


def test_an_unencrypted_relay_can_be_allowed_on_purpose() -> None:
    """The switch is for the machine's owner, so it is an environment variable."""
    allowed = {"BATCHSPEC_ALLOW_INSECURE_BASE_URL": "1"}
    assert list(base_url_problems("http://relay.example.com", allowed)) == []
    assert list(
        base_url_problems("http://relay.example.com", {**allowed, next(iter(allowed)): "0"})
    )


def test_a_bad_address_says_where_it_comes_from(project: Write) -> None:
    """From the environment it has no place, so the variable is named."""
    root = project({})
    for variable in ("BATCHSPEC_BASE_URL", "ANTHROPIC_BASE_URL"):
        _, problems = load_project(root, {variable: "http://relay.example.com"})
        assert [problem.code for problem in problems] == ["bad-base-url"]
        assert variable in problems[0].detail
        assert problems[0].where is None
