from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from batchspec.inputs.globs import find_files
from batchspec.inputs.hardened import FileRefused, denied_part, read_below

Write = Callable[[Mapping[str, str | bytes]], Path]


@pytest.fixture
def hostile(write: Write) -> Path:
    """Return a project with a canary beside it and every kind of way to it."""
    root = write({"a/b.txt": "fine", "a/.env": "key", ".git/config": "x", "a/big": b"x" * 100})
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "canary.txt").write_text("canary")
    (root / "link.txt").symlink_to(outside / "canary.txt")
    (root / "relative.txt").symlink_to("../outside/canary.txt")
    (root / "inner.txt").symlink_to("a/b.txt")
    (root / "dangling.txt").symlink_to("nowhere")
    (root / "loop.txt").symlink_to("loop.txt")
    (root / "dir").symlink_to(outside)
    (root / "a" / "up").symlink_to("..")
    os.link(outside / "canary.txt", root / "hard.txt")
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        previous = Path.cwd()
        os.chdir(root)
        try:
            listener.bind("socket")
        finally:
            os.chdir(previous)
    return root


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/etc/passwd", "absolute"),
        ("//etc/passwd", "absolute"),
        ("\\\\server\\share", "absolute"),
        ("C:/secret", "absolute"),
        ("c:secret", "absolute"),
        ("~/.ssh/id_rsa", "absolute"),
        ("~root/x", "absolute"),
        ("..", "upward"),
        ("../outside/canary.txt", "upward"),
        ("a/../../outside/canary.txt", "upward"),
        ("a/../b.txt", "upward"),
        ("./../outside/canary.txt", "upward"),
        ("a/..", "upward"),
        ("", "names no file"),
        (".", "names no file"),
        ("./", "names no file"),
        ("a/b.txt\0.png", "NUL"),
        ("link.txt", "symbolic link"),
        ("relative.txt", "symbolic link"),
        ("inner.txt", "symbolic link"),
        ("dangling.txt", "symbolic link"),
        ("loop.txt", "symbolic link"),
        ("dir/canary.txt", "symbolic link"),
        ("a/up/a/b.txt", "symbolic link"),
        ("hard.txt", "several names"),
        ("fifo", "not a regular file"),
        ("socket", "cannot be opened"),
        ("a", "not a regular file"),
        ("a/b.txt/c", "cannot be opened"),
        ("a/big", "100 bytes"),
        ("missing.txt", "does not exist"),
        ("missing/b.txt", "does not exist"),
        (".git/config", ".git"),
        (".GIT/config", ".GIT"),
        ("a/.env", ".env"),
        ("a/.env.local", ".env.local"),
        (".ssh/id_rsa", ".ssh"),
        (".batchspec/state/ledger.db", ".batchspec"),
        (".netrc", ".netrc"),
        ("a/.aws/credentials", ".aws"),
    ],
)
def test_hostile_paths_are_refused(hostile: Path, path: str, words: str) -> None:
    """Nothing outside the folder, no link, no device and no secret is read; each says why."""
    with pytest.raises(FileRefused) as caught:
        read_below(hostile, path, limit=50)
    assert words in caught.value.reason


@pytest.mark.parametrize("path", ["a/b.txt", "./a/b.txt", "a//b.txt", "a/./b.txt"])
def test_plain_files_are_read(hostile: Path, path: str) -> None:
    """Ordinary spellings of a path below the folder work."""
    assert read_below(hostile, path) == b"fine"


def test_an_unreadable_file_is_refused(write: Write) -> None:
    """A file without permission is an author's problem, not a crash."""
    root = write({"a.txt": "x"})
    (root / "a.txt").chmod(0)
    if os.geteuid() == 0:
        assert read_below(root, "a.txt") == b"x"
    else:
        with pytest.raises(FileRefused, match="permission"):
            read_below(root, "a.txt")


def test_an_exchange_between_check_and_use_leads_nowhere(write: Write) -> None:
    """A folder that turns into a link and back again never gives the file behind the link."""
    root = write({"real/f.txt": "fine"})
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "f.txt").write_text("canary")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            (root / "d").symlink_to(outside)
            (root / "d").unlink()
            (root / "real").rename(root / "d")
            (root / "d").rename(root / "real")

    thread = threading.Thread(target=swap)
    thread.start()
    seen: set[bytes | str] = set()
    try:
        for _ in range(3000):
            try:
                seen.add(read_below(root, "d/f.txt"))
            except FileRefused as refused:
                seen.add(refused.reason)
    finally:
        stop.set()
        thread.join()
    assert b"canary" not in seen


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("a/b", None),
        ("environment", None),
        (".environment", None),
        (".envrc", None),
        (".gitignore", None),
        ("x/.env", ".env"),
        ("x/.ENV.production", ".ENV.production"),
        (".git/a", ".git"),
    ],
)
def test_what_is_denied(path: str, part: str | None) -> None:
    """Secrets and machinery are denied by whole names, whatever their case."""
    assert denied_part(path) == part


TREE = {
    "a.md": "",
    "b.txt": "",
    ".hidden.md": "",
    "docs/c.md": "",
    "docs/deep/er/d.md": "",
    "docs/.draft/e.md": "",
    "docs/[x].md": "",
    ".git/f.md": "",
    ".env": "",
}


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.md", ["a.md"]),
        (".*.md", [".hidden.md"]),
        ("?.*", ["a.md", "b.txt"]),
        ("[ab].*", ["a.md", "b.txt"]),
        ("[!a].*", ["b.txt"]),
        ("docs/*.md", ["docs/[x].md", "docs/c.md"]),
        ("docs/[[]x].md", ["docs/[x].md"]),
        ("*/c.md", ["docs/c.md"]),
        ("**/*.md", ["a.md", "docs/[x].md", "docs/c.md", "docs/deep/er/d.md"]),
        ("docs/**", ["docs/[x].md", "docs/c.md", "docs/deep/er/d.md"]),
        ("docs/**/d.md", ["docs/deep/er/d.md"]),
        ("**/**/d.md", ["docs/deep/er/d.md"]),
        ("docs/.draft/*", ["docs/.draft/e.md"]),
        ("docs/.*/*", ["docs/.draft/e.md"]),
        (".*/*", []),
        (".*", [".hidden.md"]),
        ("a.md", ["a.md"]),
        ("./docs//c.md", ["docs/c.md"]),
        ("docs", []),
        ("nothing/*.md", []),
        ("nothing.md", []),
    ],
)
def test_patterns_find_files_as_a_shell_does(write: Write, pattern: str, found: list[str]) -> None:
    """Stars stay inside a component, hidden names need their dot, denied ones are never found."""
    assert list(find_files(write(TREE), pattern)) == found


def test_a_pattern_does_not_descend_into_links(hostile: Path) -> None:
    """Folders behind links are passed by; a link to a file is returned, to be refused by name."""
    assert list(find_files(hostile, "**/canary.txt")) == []
    assert "link.txt" in find_files(hostile, "*.txt")
    with pytest.raises(FileRefused, match="symbolic link dir"):
        find_files(hostile, "dir/*.txt")


@pytest.mark.parametrize("pattern", ["/etc/*", "../*", "a/../../*", ".git/*", "**/.env"])
def test_patterns_stay_inside(hostile: Path, pattern: str) -> None:
    """A pattern that names a way out is refused before anything is listed."""
    with pytest.raises(FileRefused):
        find_files(hostile, pattern)
