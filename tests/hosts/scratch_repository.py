"""A scratch repository: a bare one, a checkout of a person, and the API that its jobs use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workflow_runner import git

if TYPE_CHECKING:
    from tests.functional.conftest import Folder

    from batchspec.emulator.server import RunningEmulator

KEY = "canary-key-of-a-test"
ROWS = "id,body\n" + "".join(f"{n},Body {n}\n" for n in range(3))
SPEC = """\
version: 1
name: triage
inputs: {table: tickets.csv, key: id}
model: claude-haiku-4-5
max_tokens: 40
prompt: {user: "Ticket: {{ body }}"}
outputs: {path: out/triage.jsonl}
"""
FILES = {
    "batchspec.yaml": "version: 1\nname: jobs\n",
    "specs/triage.yaml": SPEC,
    "tickets.csv": ROWS,
    ".gitignore": ".batchspec/\n*.receipt.json\n",
}


@dataclass(kw_only=True)
class Scratch:
    """A bare repository, a checkout of a person, and the API."""

    origin: Path
    folder: Folder
    api: RunningEmulator

    def paid(self) -> int:
        """Return how many requests the API was ever asked."""
        return len(self.api.probe.paid())

    def commit(self, files: dict[str, str], *, branch: str) -> str:
        """Write files, commit them and push them to a branch; return the commit."""
        for path, text in files.items():
            self.folder.write(path, text)
        root = self.folder.root
        git(root, "add", "--all")
        git(root, "commit", "--quiet", "--message", "A change")
        git(root, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        return git(root, "rev-parse", "HEAD")

    def merge(self, commit: str, number: int) -> str:
        """Merge a commit into main on top of whatever is there; return the merge commit."""
        root = self.folder.root
        git(root, "fetch", "--quiet", "origin", "main")
        git(root, "checkout", "--quiet", "--detach", "FETCH_HEAD")
        git(root, "merge", "--quiet", "--no-ff", "--message", f"Merge #{number}", commit)
        git(root, "push", "--quiet", "origin", "HEAD:refs/heads/main")
        return git(root, "rev-parse", "HEAD")

    def main(self) -> str:
        """Return the commit of the branch main."""
        return git(self.origin, "rev-parse", "refs/heads/main")

    def there(self, path: str) -> str:
        """Return a file of the branch main."""
        return git(self.origin, "show", f"main:{path}")
