"""Outputs back into the repository: one commit with what has changed, or a pull request of it."""

from __future__ import annotations

import glob
import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from batchspec.durable import disk_errors
from batchspec.errors import Refused
from batchspec.forge.git import GitFailure, Overtaken, Repository, only_these
from batchspec.forge.port import Forge
from batchspec.outputs.places import target_of
from batchspec.records import frozen
from batchspec.spec.project import LoadedSpec

ROUNDS = 5
"""So often a push that somebody overtook is tried again on top of theirs."""
REQUEST_BRANCH = "batchspec/outputs"
FIELDS = re.compile(r"\{\{.*?\}\}")


@frozen
class Published:
    """What was published."""

    files: tuple[str, ...]
    """Changed files, relative to the repository's root; empty: nothing had changed."""
    commit: str = ""
    branch: str = ""
    request: str = ""
    """Address of the pull request, when there is one."""


def publish_outputs(
    repository: Repository, specs: Iterable[LoadedSpec], forge: Forge | None
) -> Published:
    """Commit the outputs that have changed, and push them to the job's branch.

    Args:
        repository: The checkout.
        specs: Whose outputs.
        forge: Push to a branch of our own, and open a pull request here; None: push to the branch.

    Raises:
        Refused: an output is emulated, or ignored by git.
        GitFailure: it cannot be pushed.
    """
    specs = tuple(specs)
    _refuse_emulated(repository.root, specs)
    _refuse_ignored(repository, specs)
    changed = _changed(repository, specs)
    if not changed:
        return Published(files=())
    target = repository.remote.branch
    if not target:
        raise GitFailure(
            "This job is about no branch, so there is nothing to commit outputs to.",
            hint="`batchspec ci publish` is for jobs of a branch: a push, or a schedule.",
        )
    if forge is not None:
        commit = _on_top(repository, target, changed, _title(changed))
        if not commit:
            return Published(files=())
        repository.push(commit, REQUEST_BRANCH, expected=repository.tip(REQUEST_BRANCH))
        body = "Answers that `batchspec collect` has taken in. Each manifest says what of."
        address = forge.request(REQUEST_BRANCH, target, _title(changed), body)
        return Published(files=changed, commit=commit, branch=REQUEST_BRANCH, request=address)
    commit = _pushed(repository, target, changed)
    return Published(files=changed if commit else (), commit=commit, branch=target)


def copy_outputs(root: Path, specs: Iterable[LoadedSpec], target: Path) -> tuple[str, ...]:
    """Copy the outputs that are there, with what stands beside them, into a folder.

    Args:
        root: The project's root.
        specs: Whose outputs; those without a manifest were not written whole yet.
        target: The folder; files keep their paths below it.

    Returns:
        Paths of the files, relative to the root.

    Raises:
        Refused: an output is emulated.
        DiskFailure: they cannot be copied.
    """
    specs = tuple(specs)
    _refuse_emulated(root, specs)
    found = sorted({path for loaded in specs for path in _written(root, loaded)})
    for path in found:
        with disk_errors(f"copy {path} into {target}"):
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / path, target / path)
    return tuple(path.as_posix() for path in found)


def _written(root: Path, loaded: LoadedSpec) -> Iterator[Path]:
    for output in loaded.spec.outputs:
        place = target_of(root, output.path)
        if not place.manifest.is_file():
            continue
        pattern = "*".join(map(glob.escape, FIELDS.split(output.path)))
        beside = (path for path in (place.manifest, place.quarantine) if path.is_file())
        for path in (*root.glob(pattern), *beside):
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(root)


def _pushed(repository: Repository, branch: str, changed: tuple[str, ...]) -> str:
    """Push on top of whatever the branch has by now; return the commit, nothing if it has all."""
    # A push by the job's own token starts no workflow; by another token, the words keep it so.
    title = f"{_title(changed)} [skip ci]"
    for left in reversed(range(ROUNDS)):
        commit = _on_top(repository, branch, changed, title)
        try:
            if commit:
                repository.push(commit, branch)
        except Overtaken:
            if not left:
                raise
        else:
            return commit
    raise AssertionError


def _on_top(repository: Repository, branch: str, changed: tuple[str, ...], title: str) -> str:
    """Make a commit of these files, as they are here, on a branch as it is there.

    The checkout stays as it is: neither its branch nor its index moves. Returns nothing when the
    branch has these files already.
    """
    repository.git("fetch", "--quiet", repository.remote.name, f"refs/heads/{branch}")
    tip = repository.text("rev-parse", "FETCH_HEAD")
    with tempfile.TemporaryDirectory(prefix="batchspec-") as folder:
        there = replace(
            repository,
            root=Path(repository.text("rev-parse", "--show-toplevel")),
            environ={**repository.environ, "GIT_INDEX_FILE": f"{folder}/index"},
        )
        there.git("read-tree", tip)
        listed = only_these(changed)
        there.git("update-index", "--add", "--remove", "-z", "--stdin", data=listed)
        tree = there.text("write-tree")
    if tree == repository.text("rev-parse", f"{tip}^{{tree}}"):
        return ""
    return repository.text("commit-tree", tree, "-p", tip, "-m", title)


def _title(changed: tuple[str, ...]) -> str:
    files = "file" if len(changed) == 1 else "files"
    return f"batchspec: outputs ({len(changed)} {files})"


def _changed(repository: Repository, specs: Iterable[LoadedSpec]) -> tuple[str, ...]:
    listed = repository.git(
        "status",
        "--porcelain=v1",
        "-z",
        "--no-renames",
        "--untracked-files=all",
        "--",
        *_places(specs),
    ).decode(errors="surrogateescape")
    return tuple(sorted(entry[3:] for entry in listed.split("\0") if entry))


def _places(specs: Iterable[LoadedSpec]) -> Iterator[str]:
    """Yield what git takes for the outputs and for what stands beside them."""
    for loaded in specs:
        for output in loaded.spec.outputs:
            target = target_of(Path(), output.path)
            yield ":(glob)" + "*".join(map(_literal, FIELDS.split(output.path)))
            yield f":(literal){target.manifest.as_posix()}"
            yield f":(literal){target.quarantine.as_posix()}"


def _literal(text: str) -> str:
    return re.sub(r"([*?\[\]\\])", r"\\\1", text)


def _refuse_emulated(root: Path, specs: Iterable[LoadedSpec]) -> None:
    for loaded in specs:
        for output in loaded.spec.outputs:
            manifest = target_of(root, output.path).manifest
            if manifest.is_file() and json.loads(manifest.read_bytes()).get("emulated"):
                raise Refused(
                    f"{output.path} holds answers of the emulator, so it is not published as if it "
                    "were real.",
                    hint="Run or collect without --emulate first.",
                )


def _refuse_ignored(repository: Repository, specs: Iterable[LoadedSpec]) -> None:
    paths = (output.path for loaded in specs for output in loaded.spec.outputs)
    places = [target_of(repository.root, path).manifest for path in paths]
    written = [place.relative_to(repository.root).as_posix() for place in places if place.exists()]
    if not written:
        return
    found = repository.git(
        "check-ignore", "-z", "--stdin", data=only_these(written), quiet=True
    ).decode(errors="replace")
    ignored = [path for path in found.split("\0") if path]
    if ignored:
        raise Refused(
            f"Git ignores {', '.join(ignored[:3])}, so outputs cannot be committed.",
            hint="Take their folder out of .gitignore, or publish outputs as an artifact instead, "
            "with --to.",
        )
