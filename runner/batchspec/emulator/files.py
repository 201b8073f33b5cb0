"""The Files API: upload, list, retrieve, download, delete (fact sheet §6.5)."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import StreamingResponse

from batchspec.emulator.clock import rfc3339
from batchspec.emulator.draws import make_id
from batchspec.emulator.errors import ApiError, json_response
from batchspec.emulator.gate import Call, Prepared
from batchspec.emulator.multipart import Form, read_form
from batchspec.emulator.paging import page_limit
from batchspec.emulator.results import file_blocks

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from starlette.responses import Response

    from batchspec.emulator.core import Emulator

_SHORTEST_LIFE, _LONGEST_LIFE = 3600, 7_776_000
FILE_ID = "file_id"
_MOST_IDS = 100
_LONGEST_NAME = 255
_SELECT = "SELECT seq, id, created, filename, mime_type, size, expires FROM files"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """One uploaded file. Times are emulated seconds since the epoch."""

    seq: int
    """Order of upload."""
    id: str
    """``file_…``."""
    created: float
    """``created_at``."""
    filename: str
    """Last component of the name it was uploaded with."""
    mime_type: str
    """Its media type."""
    size: int
    """Bytes."""
    expires: float | None
    """When its bytes become unavailable; ``None``: never."""


@dataclass(frozen=True, slots=True)
class FileShelf:
    """The files of an emulator: records in the store's database, bytes below its folder."""

    db: sqlite3.Connection
    """The store's connection."""
    folder: Path
    """Folder of the bytes."""

    def add(self, workspace: str, record: FileRecord, content: Path) -> None:
        """Make a file exist whose bytes are complete at ``content``."""
        content.rename(self.folder / record.id)
        self.db.execute(
            "INSERT INTO files (seq, id, workspace, created, filename, mime_type, size, expires)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                record.seq, record.id, workspace, record.created, record.filename,
                record.mime_type, record.size, record.expires,
            ),
        )  # fmt: skip

    def next_seq(self) -> int:
        """Return the number of the next file; numbers of deleted files are not given again."""
        self.db.execute(
            "INSERT INTO meta VALUES ('files', '1')"
            " ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + 1"
        )
        row = self.db.execute("SELECT value FROM meta WHERE name = 'files'").fetchone()
        return int(row[0])

    def get(self, workspace: str, file_id: str) -> FileRecord | None:
        """Return a file of a workspace."""
        row = self.db.execute(
            f"{_SELECT} WHERE id = ? AND workspace = ?", (file_id, workspace)
        ).fetchone()
        return None if row is None else _record(row)

    def every(self, workspace: str) -> list[FileRecord]:
        """Return the files of a workspace, newest first."""
        rows = self.db.execute(f"{_SELECT} WHERE workspace = ? ORDER BY seq DESC", (workspace,))
        return [_record(row) for row in rows]

    def delete(self, record: FileRecord) -> None:
        """Delete a file and its bytes."""
        self.db.execute("DELETE FROM files WHERE seq = ?", (record.seq,))
        (self.folder / record.id).unlink(missing_ok=True)

    def usable(self, workspace: str, now: float) -> frozenset[str]:
        """Return the ids that a request of a workspace may name at ``now``."""
        return frozenset(
            record.id
            for record in self.every(workspace)
            if record.expires is None or record.expires > now
        )


def _record(row: tuple[Any, ...]) -> FileRecord:
    seq, file_id, created, filename, mime_type, size, expires = row
    return FileRecord(
        seq=seq,
        id=file_id,
        created=created,
        filename=filename,
        mime_type=mime_type,
        size=size,
        expires=expires,
    )


def _object(record: FileRecord, *, downloadable: bool) -> dict[str, Any]:
    return {
        "id": record.id,
        "type": "file",
        "filename": record.filename,
        "mime_type": record.mime_type,
        "size_bytes": record.size,
        "created_at": rfc3339(record.created),
        "expires_at": None if record.expires is None else rfc3339(record.expires),
        "downloadable": downloadable,
    }


def _shown(call: Call, record: FileRecord) -> dict[str, Any]:
    return _object(record, downloadable=call.emulator.settings.unknowns.downloadable_uploads)


def _placeholder_file(emulator: Emulator, workspace: str) -> FileRecord:
    """Return the file that the placeholder id of the SDKs' own tests stands for."""
    name = f"placeholder file of {workspace}"
    known = emulator.files.get(workspace, emulator.store.meta(name) or "")
    if known is not None:
        return known
    content = emulator.store.incoming() / "content"
    content.write_bytes(b"placeholder")
    form = Form(filename="placeholder.txt", size=content.stat().st_size)
    record = _new_record(emulator, form, None)
    emulator.files.add(workspace, record, content)
    emulator.store.set_meta(name, record.id)
    content.parent.rmdir()
    return record


def _found(call: Call) -> FileRecord:
    file_id = str(call.request.path_params["file_id"])
    if file_id == FILE_ID and call.emulator.settings.placeholders:
        return _placeholder_file(call.emulator, call.workspace)
    record = call.emulator.files.get(call.workspace, file_id)
    if record is None:
        raise ApiError(404, f"File not found: {file_id}")
    return record


async def upload(call: Call) -> Prepared:
    """Read an upload."""
    emulator = call.emulator
    folder = emulator.store.incoming()
    content = folder / "content"

    def discard() -> None:
        content.unlink(missing_ok=True)
        folder.rmdir()

    try:
        with content.open("wb") as out:
            form = await read_form(
                call.request.stream(),
                call.request.headers.get("content-type", ""),
                out,
                emulator.settings.limits.max_file_bytes,
            )
        life = _life(form)
    except BaseException:
        discard()
        raise

    async def act() -> Response:
        record = _new_record(emulator, form, life)
        emulator.files.add(call.workspace, record, content)
        return json_response(_shown(call, record))

    return Prepared(act, discard)


def _life(form: Form) -> int | None:
    text = form.fields.get("expires_in_seconds")
    if text is None:
        return None
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) < len("1" * 9) else 0
    if not _SHORTEST_LIFE <= seconds <= _LONGEST_LIFE:
        raise ApiError(
            400,
            f"expires_in_seconds: Input should be between {_SHORTEST_LIFE} and {_LONGEST_LIFE}",
        )
    return seconds


def _new_record(emulator: Emulator, form: Form, life: int | None) -> FileRecord:
    now = emulator.clock.now()
    seq = emulator.files.next_seq()
    name = (form.filename or "").replace("\\", "/").rpartition("/")[2][:_LONGEST_NAME]
    mime_type = form.mime_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return FileRecord(
        seq=seq,
        id=make_id("file", emulator.store.nonce, seq),
        created=now,
        filename=name or f"unnamed{mimetypes.guess_extension(mime_type) or ''}",
        mime_type=mime_type,
        size=form.size,
        expires=None if life is None else now + life,
    )


async def list_files(call: Call) -> Prepared:
    """Answer one page, or the files that ``ids`` names."""

    async def act() -> Response:
        query = call.request.query_params
        records = call.emulator.files.every(call.workspace)
        wanted = [part for text in query.getlist("ids[]") + query.getlist("ids")
                  for part in text.split(",") if part]  # fmt: skip
        lenient = call.emulator.settings.placeholders
        if wanted:
            if ("limit" in query or "page" in query) and not lenient:
                raise ApiError(400, "ids: mutually exclusive with page and limit")
            if len(set(wanted)) > _MOST_IDS:
                raise ApiError(400, f"ids: at most {_MOST_IDS} ids")
            found = [record for record in records if record.id in wanted]
            return _page(call, found, None)
        limit = page_limit(query)
        before = _cursor(query.get("page"))
        rest = [record for record in records if before is None or record.seq < before]
        following = f"page_{rest[limit - 1].seq}" if len(rest) > limit else None
        return _page(call, rest[:limit], following)

    return Prepared(act)


def _cursor(text: str | None) -> int | None:
    if text is None:
        return None
    number = text.removeprefix("page_")
    if not text.startswith("page_") or not (number.isascii() and number.isdigit()):
        raise ApiError(400, "page: not a cursor of this list")
    return int(number[:18])


def _page(call: Call, records: list[FileRecord], following: str | None) -> Response:
    data = [_shown(call, record) for record in records]
    return json_response(
        {
            "data": data,
            "next_page": following,
            "has_more": following is not None,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
        }
    )


async def retrieve_file(call: Call) -> Prepared:
    """Answer the metadata of a file."""

    async def act() -> Response:
        return json_response(_shown(call, _found(call)))

    return Prepared(act)


async def download_file(call: Call) -> Prepared:
    """Answer the bytes of a file; uploaded ones cannot be downloaded unless so chosen."""

    async def act() -> Response:
        emulator = call.emulator
        record = _found(call)
        if record.expires is not None and record.expires <= emulator.clock.now():
            raise ApiError(404, f"File expired: {record.id}", code="file_expired")
        if not emulator.settings.unknowns.downloadable_uploads:
            raise ApiError(
                400, f"File is not downloadable: {record.id}", code="file_not_downloadable"
            )
        content = emulator.files.folder / record.id
        size = {"content-length": str(content.stat().st_size)}
        return StreamingResponse(file_blocks(content), headers=size, media_type=record.mime_type)

    return Prepared(act)


async def delete_file(call: Call) -> Prepared:
    """Delete a file."""

    async def act() -> Response:
        record = _found(call)
        call.emulator.files.delete(record)
        return json_response({"id": record.id, "type": "file_deleted"})

    return Prepared(act)
