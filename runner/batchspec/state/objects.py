"""Immutable files that several machines share: in a bucket, or in a folder that all of them see.

An object's name says what is in it, so storing one twice is harmless and a store that already has
it is asked for its bytes, never believed. Nothing of `obstore` is imported before a bucket is used.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

from batchspec.durable import disk_errors, read_pieces, write_file
from batchspec.errors import EnvironmentFailure

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SMALL = 64 << 20
"""Bytes up to which an object is sent in one piece, on condition that there is none yet."""
_TIMEOUT, _CONNECT = dt.timedelta(seconds=60), dt.timedelta(seconds=10)
_PATIENCE = dt.timedelta(seconds=60)
_PLAIN_HTTP = ("AWS_ALLOW_HTTP", "AZURE_ALLOW_HTTP", "GOOGLE_ALLOW_HTTP")
_NOTE_TIMEOUT = dt.timedelta(seconds=5)


class StoreFailure(EnvironmentFailure):
    """The shared store cannot be reached, or refuses."""


class Objects(Protocol):
    """A place for named, immutable objects; every method raises `StoreFailure` or `DiskFailure`."""

    @property
    def name(self) -> str:
        """How messages call it, without secrets."""
        ...

    def put(self, name: str, file: Path, sha256: str) -> None:
        """Store a file whose content has this digest; when this returns, it is there, whole."""
        ...

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield an object's bytes.

        Raises:
            FileNotFoundError: there is no such object.
        """
        ...

    def names(self) -> Iterable[str]:
        """Return the names of all objects."""
        ...

    def discard(self, name: str) -> None:
        """Remove an object, if there is one."""
        ...

    def read_note(self, name: str) -> bytes:
        """Return a small object that changes; empty when there is none or it cannot be read."""
        ...

    def write_note(self, name: str, data: bytes) -> None:
        """Replace a small object, or leave it when that takes long: it is an extra safety."""
        ...


class FolderObjects:
    """Objects in a folder, such as one on a file server; as durable as a local state."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def name(self) -> str:
        """The folder's path."""
        return str(self._folder)

    def put(self, name: str, file: Path, sha256: str) -> None:
        """Copy a file in, unless it is there already."""
        target = self._folder / name
        with disk_errors(f"store {name} in {self._folder}"):
            if target.is_file() and _sha256(read_pieces(target)) == sha256:
                return
        write_file(target, read_pieces(file))

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield a file's bytes."""
        return read_pieces(self._folder / name)

    def names(self) -> Iterable[str]:
        """Return the names of the files."""
        return [path.name for path in self._folder.glob("[!.]*") if path.is_file()]

    def discard(self, name: str) -> None:
        """Remove a file."""
        with disk_errors(f"remove {name} from {self._folder}"):
            (self._folder / name).unlink(missing_ok=True)

    def read_note(self, name: str) -> bytes:
        """Return a note."""
        try:
            return (self._folder / name).read_bytes()
        except OSError:
            return b""

    def write_note(self, name: str, data: bytes) -> None:
        """Replace a note."""
        with contextlib.suppress(EnvironmentFailure):
            write_file(self._folder / name, [data])


class BucketObjects:
    """Objects below a prefix of a bucket, written on condition that there are none yet."""

    def __init__(self, url: str, shown: str, *, plain_http: bool) -> None:
        self._shown = shown
        self._store = _open(url, _TIMEOUT, _PATIENCE, plain_http=plain_http)
        self._hasty = _open(url, _NOTE_TIMEOUT, _NOTE_TIMEOUT, plain_http=plain_http)

    @property
    def name(self) -> str:
        """The bucket and the prefix."""
        return self._shown

    def put(self, name: str, file: Path, sha256: str) -> None:
        """Upload a file.

        An answer that was lost shows as an object that is there already: it is read back then.
        """
        import obstore  # noqa: PLC0415 - only who uses a bucket has it
        from obstore.exceptions import AlreadyExistsError  # noqa: PLC0415

        with self._errors(f"store {name}"):
            size = file.stat().st_size
            try:
                if size <= SMALL:
                    obstore.put(self._store, name, file, mode="create", use_multipart=False)
                    return
            except AlreadyExistsError:
                pass
            if not self._holds(name, sha256):
                obstore.put(self._store, name, file)

    def _holds(self, name: str, sha256: str) -> bool:
        try:
            return _sha256(self.pieces(name)) == sha256
        except FileNotFoundError:
            return False

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield an object's bytes as they arrive."""
        import obstore  # noqa: PLC0415 - only who uses a bucket has it

        with self._errors(f"read {name}"):
            for piece in obstore.get(self._store, name).stream():
                yield bytes(piece)

    def names(self) -> Iterable[str]:
        """Return the names below the prefix."""
        with self._errors("list the segments"):
            return [str(m["path"]) for batch in self._store.list() for m in batch]

    def discard(self, name: str) -> None:
        """Remove an object."""
        with self._errors(f"remove {name}"), contextlib.suppress(FileNotFoundError):
            self._store.delete(name)

    def read_note(self, name: str) -> bytes:
        """Return a note."""
        try:
            with self._errors("read the note"):
                return bytes(self._hasty.get(name).bytes())
        except (FileNotFoundError, StoreFailure):
            return b""

    def write_note(self, name: str, data: bytes) -> None:
        """Replace a note."""
        with contextlib.suppress(StoreFailure), self._errors("write the note"):
            self._hasty.put(name, data)

    @contextlib.contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        from obstore.exceptions import BaseError  # noqa: PLC0415 - only who uses a bucket has it

        try:
            yield
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            raise StoreFailure(
                f"Could not {doing} in {self._shown}: {_reason(error)}.",
                hint="Check the network, the bucket's name and the credentials in the environment; "
                "then run the same command again. Nothing was paid twice, and nothing that was "
                "complete before is lost.",
            ) from error


def open_objects(url: str, shown: str, environ: Mapping[str, str]) -> Objects:
    """Return the objects below an address: ``file:///``, ``s3://``, ``gs://`` or ``az://``.

    Args:
        url: The address.
        shown: The same, for messages.
        environ: The environment; ``AWS_ALLOW_HTTP`` and its like permit stores without TLS.

    Raises:
        StoreFailure: the address cannot be used, or `obstore` is not installed.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        return FolderObjects(Path(unquote(parts.path)))
    plain = any(environ.get(name, "").lower() in {"1", "true"} for name in _PLAIN_HTTP)
    return BucketObjects(url, shown, plain_http=plain)


def _open(
    url: str, timeout: dt.timedelta, patience: dt.timedelta, *, plain_http: bool
) -> ObjectStore:
    try:
        from obstore.exceptions import BaseError  # noqa: PLC0415 - only who uses a bucket has it
        from obstore.store import from_url  # noqa: PLC0415
    except ImportError as error:
        raise StoreFailure(
            "Segments in a bucket need the package obstore, which is not installed.",
            hint="Install it with: pip install 'batchspec[shared]'",
        ) from error
    connect = min(timeout, _CONNECT)
    options: Any = {"timeout": timeout, "connect_timeout": connect, "allow_http": plain_http}
    retry: Any = {"max_retries": 5, "retry_timeout": patience}
    try:
        return from_url(url, client_options=options, retry_config=retry)
    except (BaseError, ValueError) as error:
        raise StoreFailure(
            f"The store of segments cannot be opened: {_reason(error)}.",
            hint="Check `state.segments` and the credentials in the environment.",
        ) from error


_QUERY = re.compile(r"\?[^\s\"')]*")


def _reason(error: Exception) -> str:
    """Return the first line of an error, without what a signed address may carry."""
    text = _QUERY.sub("", str(error).strip().partition("\n")[0])
    return text.rstrip(".")[:300] or type(error).__name__


def _sha256(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()
