"""`files_api: true`: every content is uploaded once, and its id is sent."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from batchspec.state.segments import FolderSegments

if TYPE_CHECKING:
    from tests.functional.conftest import Folder

SPEC = """\
version: 1
name: papers
inputs: {files: "docs/*.pdf"}
model: claude-haiku-4-5
max_tokens: 40
files_api: true
prompt:
  user:
    - {document: "{{ path }}", title: "{{ name }}"}
    - {text: "{{ name }}"}
outputs: {path: out/papers.jsonl}
"""


def pdf(pages: int) -> bytes:
    """Return something that passes for a PDF."""
    return b"%%PDF-1.4\n1 0 obj <</Type/Pages/Count %d>> endobj\n" % pages


@pytest.fixture
def folder(served: Folder) -> Folder:
    """Return a project with three documents, two of them alike."""
    served.write("batchspec.yaml", "version: 1\nname: papers\n")
    served.write("specs/papers.yaml", SPEC)
    for name, pages in (("a", 1), ("b", 2), ("c", 1)):
        served.write(f"docs/{name}.pdf", pdf(pages))
    return served


def call(folder: Folder, method: str, path: str) -> Any:
    """Call the Files API."""
    request = urllib.request.Request(  # noqa: S310 - the emulator of this test
        f"{folder.environ['ANTHROPIC_BASE_URL']}/v1/files{path}",
        method=method,
        headers={"x-api-key": "canary-key-of-a-test", "anthropic-version": "2026-10-21"},
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - as above
        return json.load(answer)


def files(folder: Folder) -> list[Any]:
    """Return the files of the workspace, oldest first."""
    return list(reversed(call(folder, "GET", "")["data"]))


def sent(folder: Folder) -> dict[str, str]:
    """Return the file ids that the newest batch named, by document."""
    state = folder.root / ".batchspec/state/segments"
    newest = max(state.glob("req-*.jsonl.zst"), key=lambda path: path.stat().st_mtime_ns)
    found = {}
    for line in FolderSegments(state).lines(newest.name.removesuffix(".jsonl.zst")):
        document, text = json.loads(line)["params"]["messages"][0]["content"]
        assert document["source"]["type"] == "file"
        found[text["text"]] = document["source"]["file_id"]
    return found


def test_each_content_is_uploaded_once(folder: Folder) -> None:
    """Two of three documents are alike; later, only a new content is uploaded."""
    done = folder.batchspec("run")
    assert done.code == 0, done.err + done.out
    assert "Uploading 2 files" in done.err
    uploaded = files(folder)
    assert len(uploaded) == 2
    assert all(file["expires_at"] for file in uploaded)
    ids = sent(folder)
    assert set(ids.values()) == {file["id"] for file in uploaded}
    assert ids["a.pdf"] == ids["c.pdf"] != ids["b.pdf"]
    assert [row["status"] for row in folder.rows("out/papers.jsonl")] == ["succeeded"] * 3
    folder.write("docs/d.pdf", pdf(2))
    folder.write("docs/e.pdf", pdf(3))
    done = folder.batchspec("run")
    assert done.code == 0, done.err
    assert "Uploading 1 file " in done.err
    assert sent(folder)["d.pdf"] == ids["b.pdf"]
    assert len(files(folder)) == 3


def test_uploading_or_not_is_the_same_question(folder: Folder) -> None:
    """What was asked with base64 is not asked again with an id, and the reverse."""
    folder.write("specs/papers.yaml", SPEC.replace("files_api: true\n", ""))
    assert folder.batchspec("run").code == 0
    assert files(folder) == []
    before = folder.read("out/papers.jsonl")
    folder.write("specs/papers.yaml", SPEC)
    done = folder.batchspec("run")
    assert (done.code, folder.read("out/papers.jsonl")) == (0, before)
    assert files(folder) == []


def test_what_was_deleted_is_uploaded_again(folder: Folder) -> None:
    """The remembered id is looked at before it is sent."""
    assert folder.batchspec("run").code == 0
    first = sent(folder)
    call(folder, "DELETE", f"/{first['b.pdf']}")
    folder.write("specs/papers.yaml", SPEC.replace('text: "{{ name }}"', 'text: "{{ stem }}"'))
    done = folder.batchspec("run")
    assert done.code == 0, done.err
    assert "Uploading 1 file " in done.err
    assert sent(folder)["a"] == first["a.pdf"]
    assert sent(folder)["b"] != first["b.pdf"]
    assert [row["status"] for row in folder.rows("out/papers.jsonl")] == ["succeeded"] * 3


def test_a_lost_state_finds_its_files_by_name(folder: Folder) -> None:
    """What a crash left behind, or a state that is gone, costs no second upload."""
    assert folder.batchspec("run").code == 0
    import sqlite3  # noqa: PLC0415 - the row is forgotten as a crash would leave it

    with sqlite3.connect(folder.root / ".batchspec/state/ledger.db") as db:
        db.execute("DELETE FROM files")
    folder.write("specs/papers.yaml", SPEC.replace('text: "{{ name }}"', 'text: "{{ stem }}"'))
    done = folder.batchspec("run")
    assert done.code == 0, done.err
    assert "Uploading" not in done.err
    assert len(files(folder)) == 2


def uploaded(folder: Folder, name: str, data: bytes, seconds: int) -> Any:
    """Upload a file that lives so many seconds, as somebody else would."""
    line = "--boundary\r\nContent-Disposition: form-data; name="
    body = (
        f'{line}"expires_in_seconds"\r\n\r\n{seconds}\r\n{line}"file"; filename="{name}"\r\n'
        "Content-Type: application/pdf\r\n\r\n"
    ).encode()
    request = urllib.request.Request(  # noqa: S310 - the emulator of this test
        f"{folder.environ['ANTHROPIC_BASE_URL']}/v1/files",
        data=body + data + b"\r\n--boundary--\r\n",
        method="POST",
        headers={
            "x-api-key": "canary-key-of-a-test",
            "anthropic-version": "2026-10-21",
            "content-type": "multipart/form-data; boundary=boundary",
        },
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - as above
        return json.load(answer)


def test_a_file_that_expires_soon_is_uploaded_again(folder: Folder) -> None:
    """A file must outlive the batch: one with an hour left is not used, one with 90 days is."""
    names = {pages: f"batchspec-{hashlib.sha256(pdf(pages)).hexdigest()}.pdf" for pages in (1, 2)}
    soon = uploaded(folder, names[1], pdf(1), 3600)
    late = uploaded(folder, names[2], pdf(2), 7_776_000)
    done = folder.batchspec("run")
    assert done.code == 0, done.err
    assert "Uploading 1 file " in done.err
    ids = sent(folder)
    assert ids["b.pdf"] == late["id"]
    assert ids["a.pdf"] == ids["c.pdf"] != soon["id"]


def test_a_plan_uploads_nothing(folder: Folder) -> None:
    """Its size is known without an id, and a budget that refuses comes before any upload."""
    done = folder.batchspec("plan", "--format", "json")
    assert done.code == 0, done.err
    assert done.json()["specs"][0]["requests"] == 3
    folder.write("specs/papers.yaml", SPEC + "budget: {max_requests: 1}\n")
    assert folder.batchspec("run").code == 4
    assert files(folder) == []
