"""The Files API (fact sheet §6.5), over raw multipart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batchspec.emulator.settings import Limits, Unknowns

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchspec.emulator.probe import Answer, Probe
    from batchspec.emulator.server import RunningEmulator

    Start = Callable[..., RunningEmulator]

FILES = "/v1/files"
EDGE = "--edge"
DISPOSITION = 'Content-Disposition: form-data; name="file"'


def send(probe: Probe, *parts: str | bytes, end: str = f"{EDGE}--\r\n") -> Answer:
    """Post a form made of parts, each with its own headers."""
    bodies = [part if isinstance(part, bytes) else part.encode() for part in parts]
    body = b"".join(f"{EDGE}\r\n".encode() + part + b"\r\n" for part in bodies) + end.encode()
    headers = {**probe.headers, "content-type": "multipart/form-data; boundary=edge"}
    return probe.call("POST", FILES, body, headers)


def upload(probe: Probe, content: bytes = b"hello", name: str = "a.txt", *more: str) -> Any:
    """Upload a file and return its metadata."""
    head = f'{DISPOSITION}; filename="{name}"\r\nContent-Type: text/plain\r\n\r\n'
    answer = send(probe, head.encode() + content, *more)
    assert answer.status == 200, answer.body
    return answer.json


def test_upload_gives_metadata(probe: Probe) -> None:
    """Every field; only the last part of the name is kept."""
    made = upload(probe, b"hello\r\n--edg", "some/folder/a.txt")
    assert made.pop("id").startswith("file_01")
    assert made.pop("created_at").endswith("Z")
    assert made == {
        "type": "file",
        "filename": "a.txt",
        "mime_type": "text/plain",
        "size_bytes": 12,
        "expires_at": None,
        "downloadable": False,
    }


def test_bytes_arrive_unchanged(start: Start) -> None:
    """Binary content with line ends and near-boundaries, in many pieces, comes back the same."""
    probe = start(unknowns=Unknowns(downloadable_uploads=True)).probe
    content = bytes(range(256)) * 2000 + b"\r\n--edg\r\n-" + b"\r\n" * 100
    made = upload(probe, content)
    assert made["size_bytes"] == len(content)
    answer = probe.call("GET", f"{FILES}/{made['id']}/content")
    assert answer.body == content
    assert answer.headers["content-type"].startswith("text/plain")
    assert upload(probe, b"")["size_bytes"] == 0


def test_uploads_cannot_be_downloaded(probe: Probe) -> None:
    """400 with its code, as for every file that no tool made."""
    answer = probe.call("GET", f"{FILES}/{upload(probe)['id']}/content")
    assert answer.status == 400
    assert answer.error["details"] == {"error_code": "file_not_downloadable"}


def test_delete_and_not_found(probe: Probe) -> None:
    """A deleted file is gone for every call; another workspace never saw it."""
    made = upload(probe)
    path = f"{FILES}/{made['id']}"
    assert probe.call("GET", path).json == made
    assert probe.call("DELETE", path).json == {"id": made["id"], "type": "file_deleted"}
    for method, where in (("GET", path), ("DELETE", path), ("GET", f"{path}/content")):
        answer = probe.call(method, where)
        assert (answer.status, answer.error["type"]) == (404, "not_found_error")
    assert upload(probe)["id"] != made["id"]


def test_list_pages_and_ids(probe: Probe) -> None:
    """Newest first, opaque cursor, or exactly the ids asked for."""
    made = [upload(probe, name=f"{n}.txt")["id"] for n in range(5)][::-1]
    first = probe.call("GET", f"{FILES}?limit=2").json
    assert [entry["id"] for entry in first["data"]] == made[:2]
    assert first["next_page"].startswith("page_")
    second = probe.call("GET", f"{FILES}?limit=3&page={first['next_page']}").json
    assert [entry["id"] for entry in second["data"]] == made[2:]
    assert second["next_page"] is None
    some = probe.call("GET", f"{FILES}?ids[]={made[3]}&ids[]=file_lost&ids[]={made[0]}").json
    assert [entry["id"] for entry in some["data"]] == [made[0], made[3]]
    for wrong in ("page=x", "page=page_x", "limit=0", f"ids={made[0]}&limit=2",
                  "&".join(f"ids[]=f{n}" for n in range(101))):  # fmt: skip
        assert probe.call("GET", f"{FILES}?{wrong}").status == 400


def test_expiry(start: Start) -> None:
    """Metadata stays, the content is gone with its code."""
    probe = start(stepped=True, unknowns=Unknowns(downloadable_uploads=True)).probe
    life = 'Content-Disposition: form-data; name="expires_in_seconds"\r\n\r\n3600'
    made = upload(probe, b"x", "a.txt", life)
    assert made["expires_at"][14:] == made["created_at"][14:]
    assert probe.call("GET", f"{FILES}/{made['id']}/content").status == 200
    probe.advance(3600)
    answer = probe.call("GET", f"{FILES}/{made['id']}/content")
    assert (answer.status, answer.error["details"]) == (404, {"error_code": "file_expired"})
    assert probe.call("GET", f"{FILES}/{made['id']}").status == 200


@pytest.mark.parametrize("seconds", ["3599", "7776001", "-5", "many", "9" * 30])
def test_life_has_bounds(probe: Probe, seconds: str) -> None:
    """From one hour to ninety days."""
    life = f'Content-Disposition: form-data; name="expires_in_seconds"\r\n\r\n{seconds}'
    assert send(probe, f'{DISPOSITION}; filename="a"\r\n\r\nx', life).status == 400


def test_malformed_forms_are_refused(start: Start) -> None:
    """No form, no file, no end, too large: a 400 or 413, and nothing is kept."""
    probe = start(limits=Limits(max_file_bytes=100)).probe
    good = f'{DISPOSITION}; filename="a"\r\n\r\n'
    assert probe.call("POST", FILES, b"x").status == 400
    assert send(probe, 'Content-Disposition: form-data; name="other"\r\n\r\nx').status == 400
    assert send(probe, good + "x", end="").status == 400
    assert send(probe, good + "x" * 101).status == 413
    assert send(probe, f"X: {'y' * 20_000}").status == 400
    assert (
        send(probe, f'Content-Disposition: form-data; name="o"\r\n\r\n{"y" * 70_000}').status == 400
    )
    assert probe.call("GET", FILES).json["data"] == []


def test_names_and_types_are_guessed(probe: Probe) -> None:
    """An empty name becomes `unnamed` with the extension of its type."""
    made = send(probe, f'{DISPOSITION}; filename=""\r\nContent-Type: application/pdf\r\n\r\nx').json
    assert (made["filename"], made["mime_type"]) == ("unnamed.pdf", "application/pdf")
    made = send(probe, f'{DISPOSITION}; filename="a.csv"\r\n\r\nx').json
    assert made["mime_type"] == "text/csv"


def test_requests_may_name_files_that_exist(start: Start, row: Any) -> None:
    """A row whose file is missing or expired is an errored line."""
    probe = start(stepped=True).probe
    life = 'Content-Disposition: form-data; name="expires_in_seconds"\r\n\r\n3600'
    kept, short = upload(probe)["id"], upload(probe, b"x", "b.txt", life)["id"]
    probe.advance(4000)

    def asking(file_id: str) -> list[Any]:
        source = {"type": "file", "file_id": file_id}
        return [{"role": "user", "content": [{"type": "document", "source": source}]}]

    batch_id = probe.create(
        row(name, messages=asking(file_id))
        for name, file_id in (("kept", kept), ("short", short), ("lost", "file_lost"))
    )
    lines = {line["custom_id"]: line["result"] for line in probe.results(batch_id)}
    assert {name: line["type"] for name, line in lines.items()} == {
        "kept": "succeeded", "short": "errored", "lost": "errored",
    }  # fmt: skip
    assert lines["lost"]["error"]["error"]["message"] == "File not found: file_lost"


def test_files_survive_a_restart(start: Start, tmp_path: Any) -> None:
    """Metadata and bytes are on disk."""
    unknowns = Unknowns(downloadable_uploads=True)
    first = start(data_dir=tmp_path, unknowns=unknowns)
    made = upload(first.probe, b"kept")
    first.close()
    second = start(data_dir=tmp_path, unknowns=unknowns).probe
    assert second.call("GET", f"{FILES}/{made['id']}").json == made
    assert second.call("GET", f"{FILES}/{made['id']}/content").body == b"kept"
