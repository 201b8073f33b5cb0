"""Uploading the files of a chunk, each content once, so that its requests can name their ids.

An upload is free, so nothing here is guarded like a create: what a crash leaves behind is found
again by its name, which is the content's digest, and at worst a file exists twice.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
from collections.abc import Generator, Iterable, Mapping

from batchspec.api.port import UploadedFile
from batchspec.events import Event, Notice
from batchspec.prompt.contents import Content, contents_of, file_source, filled
from batchspec.state.files import RememberedFile
from batchspec.workflow.chunks import WrittenChunk, refilled
from batchspec.workflow.contents import unchanged
from batchspec.workflow.patience import patiently
from batchspec.workflow.worker import Worker

LIFE_SECONDS = 30 * 86400
"""How long an uploaded file lives; the API takes an hour to ninety days (fact sheet §6.5)."""
NEEDED = dt.timedelta(hours=48)
"""A file with less left is uploaded anew: a request may run 24 hours after its batch was made."""
PAGES = 50
"""So many pages of the workspace's files are searched for contents that were uploaded before."""
_ASKED = 100
_ENDINGS = {
    "application/pdf": ".pdf",
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
}


def with_uploads(
    worker: Worker, chunk: WrittenChunk, workspace: str
) -> Generator[Event, None, WrittenChunk]:
    """Return the chunk with the ids of uploaded files, in a segment of its own.

    Args:
        worker: The holder of the lease.
        chunk: Its requests refer to files.
        workspace: By what the workspace is recognised; ids hold within one.

    Raises:
        ContentChanged: a file is not what it was when the plan was made.
        NetworkFailure, AuthFailure: the Files API cannot be reached, or refuses.
    """
    session = worker.session
    wanted: dict[str, Content] = {}
    for line in session.segments.lines(chunk.segment):
        wanted.update((content.sha256, content) for content in contents_of(line))
    ids = yield from _ids(worker, wanted, workspace)
    return refilled(
        session,
        chunk,
        lambda line: filled(line, lambda content: file_source(ids[content.sha256])),
    )


def _ids(
    worker: Worker, wanted: Mapping[str, Content], workspace: str
) -> Generator[Event, None, dict[str, str]]:
    """Return the file id of each content, by digest; upload what is in the workspace no more."""
    known = worker.ledger.files(workspace)
    ids = yield from _alive(worker, [known[digest] for digest in wanted if digest in known])
    missing = {digest: content for digest, content in wanted.items() if digest not in ids}
    if not missing:
        return ids
    found = yield from _found(worker, missing)
    if found:
        worker.ledger.remember_files(workspace, found)
        ids |= {file.sha256: file.file_id for file in found}
    rest = [content for digest, content in missing.items() if digest not in ids]
    if rest:
        size = sum(content.size for content in rest)
        files = "1 file" if len(rest) == 1 else f"{len(rest):,} files"
        yield Notice(message=f"Uploading {files} ({size / 1e6:,.1f} MB), which is free.")
    for content in rest:
        file = yield from _upload(worker, content)
        worker.ledger.remember_files(workspace, [file])
        ids[content.sha256] = file.file_id
    return ids


def _alive(
    worker: Worker, files: Iterable[RememberedFile]
) -> Generator[Event, None, dict[str, str]]:
    """Return the ids of those files that still exist and live long enough, by digest."""
    session, alive = worker.session, dict[str, str]()
    lasting = (file for file in files if _lasts(file.expires_at, session.clock.now()))
    by_id = {file.file_id: file.sha256 for file in lasting}
    names = iter(by_id)
    while asked := list(itertools.islice(names, _ASKED)):
        call = functools.partial(session.files_api().files, asked)
        there = yield from patiently(session, call, "looking at files")
        alive.update((by_id[file.id], file.id) for file in there if file.id in by_id)
    return alive


def _found(
    worker: Worker, missing: Mapping[str, Content]
) -> Generator[Event, None, list[RememberedFile]]:
    """Return the contents that the workspace holds although the ledger does not know them."""
    session, api = worker.session, worker.session.files_api()
    names = {file_name(content): content for content in missing.values()}
    found: dict[str, RememberedFile] = {}
    cursor: str | None = None
    for _ in range(PAGES):
        call = functools.partial(api.file_page, cursor)
        page = yield from patiently(session, call, "listing files")
        for file in page.files:
            content = names.get(file.name)
            if content is None or content.size != file.size:
                continue
            if _lasts(file.expires_at, session.clock.now()):
                found.setdefault(content.sha256, _remembered(content, file))
        cursor = page.next_page
        if cursor is None or len(found) == len(missing):
            break
    return list(found.values())


def _upload(worker: Worker, content: Content) -> Generator[Event, None, RememberedFile]:
    session = worker.session
    data = unchanged(session.project.root, content)
    file = yield from patiently(
        session,
        lambda: session.files_api().upload(
            file_name(content), content.media_type, data, seconds=LIFE_SECONDS
        ),
        f"uploading {content.path}",
    )
    return _remembered(content, file)


def file_name(content: Content) -> str:
    """Return the name under which a content is uploaded, and found again."""
    return f"batchspec-{content.sha256}{_ENDINGS.get(content.media_type, '')}"


def _remembered(content: Content, file: UploadedFile) -> RememberedFile:
    return RememberedFile(sha256=content.sha256, file_id=file.id, expires_at=file.expires_at)


def _lasts(expires_at: dt.datetime | None, now: dt.datetime) -> bool:
    return expires_at is None or expires_at - now > NEEDED
