"""A code host on loopback: as much of GitHub's and GitLab's REST APIs as CI steps use."""

from __future__ import annotations

import io
import json
import re
import threading
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

BOT, GITLAB_BOT = "github-actions[bot]", "project_7_bot"
WRITES, READS = "canary-token-that-writes", "canary-token-that-reads"
OWN, FORK = 1, 2
"""Ids of the repository and of a fork."""


@dataclass
class Archive:
    """What a job kept."""

    name: str
    data: bytes
    sha: str = ""
    repository: int = OWN


@dataclass
class FakeForge:
    """What the host knows, and what it was asked."""

    comments: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By number of the pull request."""
    merged: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Pull request by the commit that it became."""
    archives: list[Archive] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    """Pull requests that were opened here."""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path and token of every call."""
    failures: list[int] = field(default_factory=list)
    """Answers that the next calls get instead of what they ask for."""
    url: str = ""

    def bodies(self, number: str) -> list[str]:
        """Return the texts of a pull request's comments."""
        return [comment["body"] for comment in self.comments.get(number, [])]

    def keep(self, name: str, folder: Path, *, sha: str, repository: int = OWN) -> None:
        """Keep the files of a folder as an artifact does."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for path in sorted(folder.rglob("*")):
                archive.write(path, path.relative_to(folder))
        self.archives.append(Archive(name, packed.getvalue(), sha, repository))

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        """Return what a call is answered with: a value, bytes, or the number of a refusal."""
        for pattern, serve in (*GITHUB, *GITLAB):
            verb, _, place = pattern.partition(" ")
            found = re.fullmatch(place, path)
            if verb == method and found:
                return serve(self, found.groups(), query, body)
        return 404

    def comment(self, number: str, body: str, author: str) -> dict[str, Any]:
        """Write a comment."""
        listed = self.comments.setdefault(number, [])
        made = {
            "id": 1 + sum(map(len, self.comments.values())),
            "body": body,
            "user": {"login": author},
            "author": {"username": author},
        }
        listed.append(made)
        return made

    def change(self, number: int, body: str) -> Any:
        """Give a comment another text."""
        for comment in (each for listed in self.comments.values() for each in listed):
            if comment["id"] == number:
                comment["body"] = body
                return comment
        return 404

    def open(self, address: str, made: dict[str, Any]) -> dict[str, Any]:
        """Open a pull request."""
        self.requests.append(made | {address: f"{self.url}/request/{len(self.requests) + 1}"})
        return self.requests[-1]


def paged(entries: list[Any], query: Mapping[str, str]) -> list[Any]:
    """Return the page that was asked for."""
    size, page = int(query["per_page"]), int(query["page"])
    return entries[(page - 1) * size : page * size]


def artifacts(forge: FakeForge, query: Mapping[str, str]) -> dict[str, Any]:
    """Return the list of artifacts of a name."""
    listed = [
        {
            "id": number,
            "name": archive.name,
            "expired": False,
            "created_at": f"2026-11-23T10:00:{number:02}Z",
            "workflow_run": {
                "repository_id": OWN,
                "head_repository_id": archive.repository,
                "head_sha": archive.sha,
            },
        }
        for number, archive in enumerate(forge.archives)
        if archive.name == query["name"]
    ]
    return {"total_count": len(listed), "artifacts": listed}


def jobs(forge: FakeForge, pipeline: str) -> list[dict[str, Any]]:
    """Return the jobs of a merge request's pipeline: those whose archives have its number."""
    return [
        {
            "id": number,
            "name": archive.name,
            "status": "success",
            "artifacts_file": {"filename": "artifacts.zip"},
        }
        for number, archive in enumerate(forge.archives)
        if archive.sha == pipeline
    ]


def merge_requests(forge: FakeForge, query: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the open merge requests from a branch."""
    return [made for made in forge.requests if made["source_branch"] == query["source_branch"]]


GITHUB = (
    ("GET /user", lambda *_: 403),
    (
        r"GET /repos/team/jobs/issues/(\d+)/comments",
        lambda forge, at, query, _: paged(forge.comments.get(at[0], []), query),
    ),
    (
        r"POST /repos/team/jobs/issues/(\d+)/comments",
        lambda forge, at, _, body: forge.comment(at[0], body["body"], BOT),
    ),
    (
        r"PATCH /repos/team/jobs/issues/comments/(\d+)",
        lambda forge, at, _, body: forge.change(int(at[0]), body["body"]),
    ),
    (
        r"GET /repos/team/jobs/commits/(\w+)/pulls",
        lambda forge, at, query, _: paged(list(filter(None, [forge.merged.get(at[0])])), query),
    ),
    (
        "GET /repos/team/jobs/actions/artifacts",
        lambda forge, _at, query, _: artifacts(forge, query),
    ),
    (
        r"GET /repos/team/jobs/actions/artifacts/(\d+)/zip",
        lambda forge, at, *_: f"{forge.url}/storage/{at[0]}",
    ),
    (r"GET /storage/(\d+)", lambda forge, at, *_: forge.archives[int(at[0])].data),
    (
        "GET /repos/team/jobs/pulls",
        lambda forge, _at, query, _: paged(
            [made for made in forge.requests if f"team:{made['head']}" == query["head"]], query
        ),
    ),
    ("POST /repos/team/jobs/pulls", lambda forge, _at, _q, body: forge.open("html_url", body)),
)
GITLAB = (
    ("GET /api/v4/user", lambda *_: {"username": GITLAB_BOT}),
    (
        r"GET /api/v4/projects/7/merge_requests/(\d+)/notes",
        lambda forge, at, query, _: paged(forge.comments.get(at[0], []), query),
    ),
    (
        r"POST /api/v4/projects/7/merge_requests/(\d+)/notes",
        lambda forge, at, _, body: forge.comment(at[0], body["body"], GITLAB_BOT),
    ),
    (
        r"PUT /api/v4/projects/7/merge_requests/\d+/notes/(\d+)",
        lambda forge, at, _, body: forge.change(int(at[0]), body["body"]),
    ),
    (
        r"GET /api/v4/projects/7/repository/commits/(\w+)/merge_requests",
        lambda forge, at, query, _: paged(list(filter(None, [forge.merged.get(at[0])])), query),
    ),
    (
        r"GET /api/v4/projects/7/merge_requests/(\d+)/pipelines",
        lambda _forge, at, query, _: paged([{"id": int(at[0]), "project_id": 7}], query),
    ),
    (
        r"GET /api/v4/projects/7/pipelines/(\d+)/jobs",
        lambda forge, at, query, _: paged(jobs(forge, at[0]), query),
    ),
    (
        r"GET /api/v4/projects/7/jobs/(\d+)/artifacts",
        lambda forge, at, *_: f"{forge.url}/storage/{at[0]}",
    ),
    (
        "GET /api/v4/projects/7/merge_requests",
        lambda forge, _at, query, _: paged(merge_requests(forge, query), query),
    ),
    (
        "POST /api/v4/projects/7/merge_requests",
        lambda forge, _at, _q, body: forge.open("web_url", body),
    ),
)
"""Method and path, and what serves it: a value, bytes, an address to go to, or a status."""


class Handler(BaseHTTPRequestHandler):
    """One call."""

    forge: FakeForge

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _serve(self) -> None:
        size = int(self.headers["Content-Length"] or 0)
        data = self.rfile.read(size)
        token = self.headers["Authorization"] or self.headers["PRIVATE-TOKEN"] or ""
        token = token.removeprefix("Bearer ")
        address = urlsplit(self.path)
        self.forge.asked.append((self.command, address.path, token))
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        allowed = (WRITES, READS) if self.command == "GET" else (WRITES,)
        if self.forge.failures:
            answer: Any = self.forge.failures.pop(0)
        elif token not in allowed and not address.path.startswith("/storage/"):
            answer = 403
        else:
            body = json.loads(data) if data else None
            answer = self.forge.answer(self.command, address.path, query, body)
        self._send(answer)

    do_GET = do_POST = do_PUT = do_PATCH = _serve  # noqa: N815 - the names that the server calls

    def _send(self, answer: Any) -> None:
        status, data, address = 200, b"", ""
        if isinstance(answer, bytes):
            data = answer
        elif isinstance(answer, str):
            status, address = 302, answer
        elif isinstance(answer, int):
            status, data = answer, json.dumps({"message": f"says the fake {answer}"}).encode()
        else:
            data = json.dumps(answer).encode()
        self.send_response(status)
        if address:
            self.send_header("Location", address)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Served:
    """A fake forge that is listening."""

    def __init__(self) -> None:
        self.forge = FakeForge()
        handler = type("Bound", (Handler,), {"forge": self.forge})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.forge.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FakeForge:
        """Start."""
        self._thread.start()
        return self.forge

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
