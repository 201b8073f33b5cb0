"""Pictures and documents in prompts: what is sent, what asks anew, and what is refused."""

from __future__ import annotations

import base64
import json
import zlib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.functional.conftest import Folder, MakeEmulator, MakeProject

SPEC = """\
version: 1
name: pictures
inputs: {INPUTS}
model: claude-haiku-4-5
max_tokens: 40
prompt:
  system: What is on the picture?
  user:
    - {image: "{{ path }}"}
    - {text: "{{ path }}"}
outputs: {path: out/pictures.jsonl}
"""
BY_GLOB = SPEC.replace("INPUTS", 'files: "img/*.png"')
BY_TABLE = SPEC.replace("INPUTS", "table: data/pictures.csv, key: path")


def png(width: int, shade: int) -> bytes:
    """Return a grey picture."""
    header = width.to_bytes(4, "big") * 2 + b"\x08\0\0\0\0"
    rows = zlib.compress((b"\0" + bytes([shade]) * width) * width)
    chunks = b"".join(
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        for kind, data in ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.fixture
def folder(served: Folder) -> Folder:
    """Return a project with three pictures."""
    served.write("batchspec.yaml", "version: 1\nname: pictures\n")
    for number in range(3):
        served.write(f"img/{number}.png", png(56, number))
    served.write("data/pictures.csv", "path\nimg/0.png\nimg/1.png\nimg/2.png\n")
    return served


def planned(folder: Folder) -> dict[str, Any]:
    """Return the plan of the only spec."""
    done = folder.batchspec("plan", "--format", "json")
    assert done.code == 0, done.err
    (spec,) = done.json()["specs"]
    assert isinstance(spec, dict)
    return spec


@pytest.mark.parametrize("spec", [BY_GLOB, BY_TABLE], ids=["glob", "table"])
def test_a_changed_picture_is_asked_about_again(folder: Folder, spec: str) -> None:
    """Its bytes are part of the question, by whichever way its path is known."""
    folder.write("specs/pictures.yaml", spec)
    first = folder.batchspec("run")
    assert first.code == 0, first.err
    answers = {row["key"]: row["request_hash"] for row in folder.rows("out/pictures.jsonl")}
    assert [row["result"] for row in folder.rows("out/pictures.jsonl")] == [
        f"echo: img/{number}.png" for number in range(3)
    ]
    assert planned(folder)["requests"] == 0
    folder.write("img/1.png", png(56, 99))
    plan = planned(folder)
    assert (plan["requests"], plan["counts"]["unchanged"]) == (1, 2)
    assert plan["reasons"]["input"] == 1
    assert [change["key"] for change in plan["changes"]] == ["img/1.png"]
    assert folder.batchspec("run").code == 0
    again = {row["key"]: row["request_hash"] for row in folder.rows("out/pictures.jsonl")}
    assert {key for key in answers if answers[key] != again[key]} == {"img/1.png"}


def test_a_moved_picture_is_the_same_question(folder: Folder) -> None:
    """The path is not sent, so two names of one picture are one question."""
    folder.write("specs/pictures.yaml", BY_GLOB.replace('text: "{{ path }}"', "text: Name it."))
    folder.write("img/3.png", png(56, 0))
    plan = planned(folder)
    assert (plan["items"], plan["requests"], plan["counts"]["duplicate"]) == (4, 3, 1)
    assert folder.batchspec("run").code == 0
    (folder.root / "img/0.png").rename(folder.root / "img/9.png")
    assert planned(folder)["requests"] == 0


def test_what_is_sent_is_the_picture(folder: Folder) -> None:
    """The request that is kept holds the bytes as base64, and its size was planned."""
    folder.write("specs/pictures.yaml", BY_GLOB)
    size = planned(folder)["bytes"]
    assert folder.batchspec("run").code == 0
    state = folder.root / ".batchspec/state/segments"
    (segment,) = state.glob("req-*.jsonl.zst")
    from batchspec.state.segments import FolderSegments  # noqa: PLC0415

    lines = list(FolderSegments(state).lines(segment.name.removesuffix(".jsonl.zst")))
    assert len(b'{"requests":[' + b",".join(lines) + b"]}") == size
    sent = {}
    for line in lines:
        image, text = json.loads(line)["params"]["messages"][0]["content"]
        assert image["source"]["media_type"] == "image/png"
        sent[text["text"]] = base64.b64decode(image["source"]["data"])
    assert sent == {f"img/{number}.png": png(56, number) for number in range(3)}


def test_a_table_that_names_no_picture_is_refused(folder: Folder) -> None:
    """One problem for all items that fail alike, with the place of the block."""
    folder.write("specs/pictures.yaml", BY_TABLE)
    folder.write("data/pictures.csv", "path\nimg/0.png\nimg/7.png\nimg/8.png\n")
    done = folder.batchspec("plan")
    assert done.code == 1
    assert "specs/pictures.yaml:9:15" in done.err
    assert "content-missing" in done.err
    assert '2 items: "img/7.png", "img/8.png"' in done.err
    assert not (folder.root / ".batchspec/state").exists()


def test_odd_files_are_told_before_anything_is_sent(folder: Folder) -> None:
    """Cut, too large, of another kind, or behind a password: each is one problem."""
    folder.write("specs/pictures.yaml", BY_GLOB)
    folder.write("img/3.png", png(56, 0)[:20])
    folder.write("img/4.png", png(56, 0)[:16] + (8001).to_bytes(4, "big") + png(56, 0)[20:])
    folder.write("img/5.png", "no picture")
    folder.write("img/zwölf 十二.png", png(12, 0))
    done = folder.batchspec("plan", "--format", "json")
    assert done.code == 1
    found = {(p["code"], p["detail"].split(". ")[1][:60]) for p in done.json()["problems"]}
    assert found == {
        ("content-type", "img/3.png is cut off before its size"),
        ("content-type", "By its bytes img/5.png is of the kind text/plain"),
        ("content-too-large", "img/4.png has 8,001 x 56 pixels, and the API takes images of"),
    }
    for number in (3, 4, 5):
        (folder.root / f"img/{number}.png").unlink()
    assert planned(folder)["items"] == 4
    locked = b"%PDF-1.7\n1 0 obj <</Type/Pages/Count 1>> endobj\ntrailer <</Encrypt 5 0 R>>"
    folder.write("img/locked.pdf", locked)
    folder.write(
        "specs/pictures.yaml",
        BY_GLOB.replace("*.png", "*.pdf").replace("{image:", "{document:"),
    )
    done = folder.batchspec("plan")
    assert (done.code, "img/locked.pdf is encrypted." in done.err) == (1, True)


def test_base64_that_fills_batches_says_how_many(folder: Folder) -> None:
    """Three pictures of 30 kB do not fit into batches of 100 kB."""
    folder.write("specs/pictures.yaml", BY_GLOB + "batch: {max_bytes: 100000}\n")
    for number in range(3):
        folder.write(f"img/{number}.png", png(56, number) + bytes(40_000))
    plan = planned(folder)
    assert plan["batches"] == 3
    assert "base64: 0.2 MB in 3 batches. With `files_api: true`" in plan["estimate"]["notes"][-1]


def test_documents_of_all_kinds_run(project: MakeProject, emulator: MakeEmulator) -> None:
    """PDFs, texts, parts, search results and raw blocks pass the emulator's own checks."""
    folder = project(
        {
            "batchspec.yaml": "version: 1\nname: documents\n",
            "docs/a.pdf": b"%PDF-1.4\n1 0 obj <</Type/Pages/Count 2>> endobj\n",
            "docs/b.txt": "Some {text}.\n",
            "shots.jsonl": '{"user": "{a}?", "assistant": "b"}\n',
            "specs/documents.yaml": """\
version: 1
inputs: {files: "docs/*"}
model: claude-haiku-4-5
max_tokens: 40
prompt:
  messages:
    - {file: shots.jsonl}
    - role: user
      content:
        - {document: "{{ path }}", title: "{{ name }}", citations: true, cache: true}
        - {document: {content: ["{{ name }}", {text: "{{ stem }}"}]}, context: Parts.}
        - {search_result: "https://example.com/{{ stem }}", title: S, content: ["{{ stem }}"]}
        - {type: text, text: "{{ name }}"}
    - {role: system, content: Answer in one word.}
    - {role: user, content: Well}
outputs: {path: out/documents.jsonl}
""",
        }
    )
    folder.environ["ANTHROPIC_BASE_URL"] = emulator().base_url
    folder.environ["ANTHROPIC_API_KEY"] = "canary-key-of-a-test"
    done = folder.batchspec("run")
    assert done.code == 0, done.err + done.out
    rows = folder.rows("out/documents.jsonl")
    assert [(row["key"], row["status"]) for row in rows] == [
        ("docs/a.pdf", "succeeded"),
        ("docs/b.txt", "succeeded"),
    ]
    shown = folder.batchspec("show", "documents", "docs/a.pdf")
    assert "docs/a.pdf" in shown.out
