"""Outputs as a commit: only what has changed, on top of whatever the branch has by then."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from fake_forge import FakeForge
from workflow_runner import clone, git

from batchspec.api.catalogue import load_catalogue
from batchspec.errors import Refused
from batchspec.forge.git import GitFailure, Repository, repository_of
from batchspec.forge.port import Forge, Remote
from batchspec.forge.publish import REQUEST_BRANCH, Published, copy_outputs, publish_outputs
from batchspec.spec.project import LoadedSpec, load_project, load_specs

SPEC = """\
version: 1
inputs: {rows: [{id: 1}], key: id}
model: claude-haiku-4-5
max_tokens: 5
prompt: {user: 'Say {{ id }}'}
outputs: [{path: 'out/one[1].jsonl'}, {path: 'out/{{ key }}.md'}]
"""
OUTPUTS = {
    "out/one[1].jsonl": "{}\n",
    "out/one[1].jsonl.manifest.json": '{"emulated": false}\n',
    "out/a b.md": "A\n",
    "out/ü.md": "U\n",
    "out/_key_.md.manifest.json": '{"emulated": false}\n',
}
OTHERS = {"out/one[1].jsonl.receipt.json": "{}", "out/note.txt": "mine", "elsewhere.md": "mine"}


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """Make a bare repository whose branch main has a project in a folder."""
    bare, first = tmp_path / "origin.git", tmp_path / "first"
    bare.mkdir()
    git(bare, "init", "--quiet", "--bare", "--initial-branch=main")
    git(bare, "config", "uploadpack.allowAnySHA1InWant", "true")
    write(first, {"jobs/batchspec.yaml": "version: 1\n", "jobs/specs/one.yaml": SPEC})
    git(first, "init", "--quiet", "--initial-branch=main")
    git(first, "add", "--all")
    git(first, "commit", "--quiet", "--message", "Begin")
    git(first, "push", "--quiet", str(bare), "main")
    return bare


def write(folder: Path, files: dict[str, str]) -> None:
    """Write files."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


def checkout(origin: Path, folder: Path) -> tuple[Repository, tuple[LoadedSpec, ...]]:
    """Check main out as a job does; return the repository and the project's specs."""
    clone(origin, folder, git(origin, "rev-parse", "main"))
    root = folder / "jobs"
    project, problems = load_project(root, {})
    assert project is not None, problems
    facts = load_catalogue(project.config.prices, project.models).facts()
    specs, problems = load_specs(project, (), facts, today=dt.date(2026, 11, 23))
    assert specs, problems
    remote = Remote(name="origin", branch="main")
    return repository_of(root, remote, {"PATH": "/usr/bin:/bin"}), specs


def published(
    job: tuple[Repository, tuple[LoadedSpec, ...]], forge: Forge | None = None
) -> Published:
    """Publish the outputs of a checkout."""
    return publish_outputs(*job, forge)


def listed(origin: Path, branch: str = "main") -> set[str]:
    """Return the files of a branch below the outputs' folder."""
    names = git(origin, "-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", branch)
    return {name.removeprefix("jobs/") for name in names.splitlines() if "/out/" in name}


def test_outputs_and_nothing_else(origin: Path, tmp_path: Path) -> None:
    """Files per item and strange names too; receipts and what people put beside stay out."""
    job = checkout(origin, tmp_path / "job")
    assert published(job).files == ()
    write(tmp_path / "job/jobs", OUTPUTS | OTHERS)
    done = published(job)
    assert done.files == tuple(sorted(f"jobs/{path}" for path in OUTPUTS))
    assert (done.branch, done.commit) == ("main", git(origin, "rev-parse", "main"))
    assert listed(origin) == OUTPUTS.keys()
    assert published(job).files == ()
    assert git(tmp_path / "job", "status", "--porcelain", "--untracked-files=no") == ""


def test_files_that_went_away(origin: Path, tmp_path: Path) -> None:
    """An item that is gone takes its file along."""
    first = checkout(origin, tmp_path / "first-job")
    write(first[0].root, OUTPUTS)
    published(first)
    job = checkout(origin, tmp_path / "job")
    (job[0].root / "out/a b.md").unlink()
    assert published(job).files == ("jobs/out/a b.md",)
    assert listed(origin) == OUTPUTS.keys() - {"out/a b.md"}


def test_a_branch_that_has_moved(origin: Path, tmp_path: Path) -> None:
    """Outputs go on top of what others pushed meanwhile, and theirs stays."""
    job = checkout(origin, tmp_path / "job")
    write(job[0].root, OUTPUTS)
    write(tmp_path / "first", {"README.md": "Hello\n"})
    git(tmp_path / "first", "add", "--all")
    git(tmp_path / "first", "commit", "--quiet", "--message", "Meanwhile")
    git(tmp_path / "first", "push", "--quiet", str(origin), "main")
    published(job)
    assert git(origin, "show", "main:README.md") == "Hello"
    assert git(origin, "log", "--format=%s", "main").splitlines()[1:] == ["Meanwhile", "Begin"]
    assert listed(origin) == OUTPUTS.keys()


def test_as_a_pull_request(origin: Path, tmp_path: Path, github: Forge, host: FakeForge) -> None:
    """The branch stays, and later outputs take the place of those on the request's branch."""
    job = checkout(origin, tmp_path / "job")
    write(job[0].root, OUTPUTS)
    first = published(job, github)
    write(job[0].root, {"out/a b.md": "Again\n"})
    second = published(job, github)
    assert first.request == second.request == f"{host.url}/request/1"
    assert host.requests[0]["base"] == "main"
    assert listed(origin) == set()
    assert git(origin, "show", f"{REQUEST_BRANCH}:jobs/out/a b.md") == "Again"
    assert git(origin, "rev-list", "--count", f"main..{REQUEST_BRANCH}") == "1"


def test_emulated_answers_are_not_published(origin: Path, tmp_path: Path) -> None:
    """Nobody takes them for real."""
    job = checkout(origin, tmp_path / "job")
    name = "out/one[1].jsonl.manifest.json"
    write(job[0].root, OUTPUTS | {name: json.dumps({"emulated": True})})
    with pytest.raises(Refused, match="answers of the emulator"):
        published(job)
    assert listed(origin) == set()


def test_copies_for_an_artifact(origin: Path, tmp_path: Path) -> None:
    """Whole outputs and what stands beside them, with their paths; no emulated one."""
    repository, specs = checkout(origin, tmp_path / "job")
    kept, unfinished = tmp_path / "kept", "out/one[1].jsonl.manifest.json"
    write(repository.root, {path: OUTPUTS[path] for path in OUTPUTS if path != unfinished} | OTHERS)
    files = copy_outputs(repository.root, specs, kept)
    assert set(files) == {"out/a b.md", "out/ü.md", "out/_key_.md.manifest.json"}
    write(repository.root, OUTPUTS)
    assert set(copy_outputs(repository.root, specs, kept)) == OUTPUTS.keys()
    assert {p: (kept / p).read_text(encoding="utf-8") for p in OUTPUTS} == OUTPUTS
    write(repository.root, {unfinished: json.dumps({"emulated": True})})
    with pytest.raises(Refused, match="answers of the emulator"):
        copy_outputs(repository.root, specs, kept)


def test_ignored_outputs(origin: Path, tmp_path: Path) -> None:
    """A job that could never commit anything says so."""
    job = checkout(origin, tmp_path / "job")
    write(job[0].root, OUTPUTS | {".gitignore": "out/\n"})
    with pytest.raises(Refused, match=r"Git ignores out/"):
        published(job)


def test_a_remote_that_refuses(origin: Path, tmp_path: Path) -> None:
    """A protected branch is told of in git's words, after a few tries and no more."""
    job = checkout(origin, tmp_path / "job")
    write(job[0].root, OUTPUTS)
    hook = origin / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho main is protected >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(GitFailure, match="main is protected"):
        published(job)


def test_no_checkout_and_no_branch(origin: Path, tmp_path: Path) -> None:
    """Both are told before anything is made."""
    with pytest.raises(GitFailure, match="not in a git checkout"):
        repository_of(tmp_path, Remote(name="origin"), {"PATH": "/usr/bin:/bin"})
    (repository, specs) = checkout(origin, tmp_path / "job")
    write(repository.root, OUTPUTS)
    nowhere = repository_of(repository.root, Remote(name="origin"), repository.environ)
    with pytest.raises(GitFailure, match="about no branch"):
        publish_outputs(nowhere, specs, None)
