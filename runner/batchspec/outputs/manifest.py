"""The manifest beside an output: what it was made from. No times, no host: equal work, equal bytes.

It is written before the output is put into place, so that at any moment whatever stands there is
known to be ours; `verify_output` then says whether the two belong together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from batchspec.crashpoints import reached
from batchspec.durable import file_sha256, write_file
from batchspec.outputs.places import (
    ASIDE,
    EMULATED_SAMPLES,
    SAMPLES,
    Target,
    refuse_foreign,
    target_of,
)
from batchspec.outputs.profile import Profiles, read_profiles
from batchspec.records import frozen

FORMAT_VERSION: Final = 1


@frozen
class OutputFacts:
    """What is said of an output's bytes."""

    path: str
    """Relative to the project root; for one file per item, the template."""
    sha256: str
    """Of the file's bytes; for one file per item, of the listing of their paths and digests."""
    rows: int
    bytes: int
    files: Mapping[str, str] | None = None
    """For one file per item: path relative to the project root, and SHA-256 of each."""


@frozen
class Manifest:
    """What one output was made from."""

    spec: str
    spec_digest: str
    """Hex SHA-256 of the spec's canonical form."""
    model: str
    items: int
    items_digest: str
    """Hex Merkle root over key and request hash of every item, in key order."""
    output: OutputFacts
    statuses: tuple[tuple[str, int], ...]
    usage: tuple[tuple[str, int], ...]
    """Tokens of the answers that stand; items that share a question count once."""
    usd: Decimal | None
    """What those answers cost; None: the model's price is unknown."""
    emulated: bool
    profile: Profiles | None = None
    """Distributions of the columns whose drift is checked; None: no drift is."""

    def encode(self) -> bytes:
        """Return the file's bytes."""
        output: dict[str, Any] = {
            "path": self.output.path,
            "sha256": self.output.sha256,
            "rows": self.output.rows,
            "bytes": self.output.bytes,
        }
        if self.output.files is not None:
            output["files"] = dict(sorted(self.output.files.items()))
        document = {
            "format_version": FORMAT_VERSION,
            "spec": {"name": self.spec, "digest": f"sha256:{self.spec_digest}"},
            "model": self.model,
            "items": self.items,
            "items_digest": f"sha256:{self.items_digest}",
            "output": output,
            "statuses": dict(self.statuses),
            "usage": dict(self.usage),
            "cost": {"usd": None if self.usd is None else plain_usd(self.usd)},
            "emulated": self.emulated,
        }
        if self.profile is not None:
            document["profile"] = {n: p.document() for n, p in sorted(self.profile.items())}
        return json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"


def plain_usd(amount: Decimal) -> str:
    """Return the exact amount, with at least four decimals and no zeros beyond them."""
    whole, _, fraction = f"{amount:f}".partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(4, '0')}"


def read_manifest(path: Path) -> Manifest | None:
    """Return the manifest at ``path``; None when there is none, or it is not one of ours."""
    try:
        return _decode(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError):
        return None


def _decode(document: dict[str, Any]) -> Manifest | None:
    if document["format_version"] != FORMAT_VERSION:
        return None
    output, usd = document["output"], document["cost"]["usd"]
    files = output.get("files")
    return Manifest(
        spec=str(document["spec"]["name"]),
        spec_digest=str(document["spec"]["digest"]).removeprefix("sha256:"),
        model=str(document["model"]),
        items=int(document["items"]),
        items_digest=str(document["items_digest"]).removeprefix("sha256:"),
        output=OutputFacts(
            path=str(output["path"]),
            sha256=str(output["sha256"]),
            rows=int(output["rows"]),
            bytes=int(output["bytes"]),
            files=None if files is None else {str(k): str(v) for k, v in files.items()},
        ),
        statuses=tuple((str(name), int(n)) for name, n in document["statuses"].items()),
        usage=tuple((str(name), int(n)) for name, n in document["usage"].items()),
        usd=None if usd is None else Decimal(usd),
        emulated=bool(document["emulated"]),
        profile=read_profiles(document.get("profile")),
    )


def choose_target(root: Path, path: str, *, emulated: bool, sampled: bool = False) -> Target:
    """Return where an output is written: an emulated one never in the place of a real one.

    Args:
        root: The project root.
        path: The output's path as the spec has it.
        emulated: Whether the answers are emulated.
        sampled: Whether it is an output of a sample, which touches no other.
    """
    if sampled:
        return target_of(root, path, base=EMULATED_SAMPLES if emulated else SAMPLES)
    target = target_of(root, path)
    if not emulated:
        return target
    manifest = read_manifest(target.manifest)
    if manifest is None:
        taken = not target.is_template and (target.path.exists() or target.path.is_symlink())
    else:
        taken = not manifest.emulated
    return target_of(root, path, base=ASIDE) if taken else target


def has_real_answers(root: Path, path: str) -> bool:
    """Tell whether the output that a spec calls ``path`` was written from real answers."""
    manifest = read_manifest(target_of(root, path).manifest)
    return manifest is not None and not manifest.emulated


def keep_manifest(target: Target, encoded: bytes) -> None:
    """Write a manifest unless its bytes stand there already.

    Raises:
        Refused: A foreign file has its name.
        DiskFailure: The disk refuses.
    """
    path = target.manifest
    with suppress(OSError):
        if not path.is_symlink() and path.read_bytes() == encoded:
            return
    shown = path.relative_to(target.root).as_posix()
    refuse_foreign(shown, path, ours=read_manifest(path) is not None)
    write_file(path, [encoded])
    reached("output:manifest")


@frozen
class Complaint:
    """One thing that does not fit between an output, its manifest and its spec."""

    path: str
    """The file, relative to the project root."""
    stale: bool
    """True: whole, but not made from the spec and items as they are now. False: damaged."""
    message: str
    """What is wrong and what to do, in full sentences."""


def verify_output(
    root: Path,
    path: str,
    spec_digest: str | None = None,
    *,
    items_digest: str | None = None,
    emulated: bool = False,
    digest_of: Callable[[Path], str | None] | None = None,
) -> tuple[Complaint, ...]:
    """Check an output against its manifest, and its manifest against the spec.

    Args:
        root: The project root.
        path: The output's path as the spec has it.
        spec_digest: Digest of the spec as it is now; None: not compared.
        items_digest: Merkle root of the items as they are now; None: not compared.
        emulated: Whether the output of emulated work is meant.
        digest_of: Gives the digest of a file; None: that of its bytes.
    """
    target = choose_target(root, path, emulated=emulated)
    manifest = read_manifest(target.manifest)
    if manifest is None:
        return (_without_manifest(target),)
    found = list(_damage(root, manifest, digest_of or file_digest))
    if manifest.emulated and not emulated:
        found.append(_emulated(target))
    if spec_digest is not None and manifest.spec_digest != spec_digest:
        found.append(_stale(target, "the spec has changed"))
    if items_digest is not None and manifest.items_digest != items_digest:
        found.append(_stale(target, "the inputs or the requests have changed"))
    return tuple(found)


def _without_manifest(target: Target) -> Complaint:
    there = target.is_template or target.path.exists()
    what = "It has no readable manifest" if there else "It was not written yet"
    message = f"{what}, so nothing says what it was made from. Run `batchspec run`."
    if there and not target.is_template:
        message = f"{what}, so nothing says what it was made from. Move it away and run again."
    return Complaint(path=target.shown, stale=not there, message=message)


def _stale(target: Target, why: str) -> Complaint:
    message = f"It is stale: {why} since it was written. Run `batchspec run` to renew it."
    return Complaint(path=target.shown, stale=True, message=message)


def _emulated(target: Target) -> Complaint:
    message = "Its answers come from the emulator. Run `batchspec run` to ask for real ones."
    return Complaint(path=target.shown, stale=True, message=message)


def _damage(
    root: Path, manifest: Manifest, digest_of: Callable[[Path], str | None]
) -> Iterator[Complaint]:
    output = manifest.output
    files = {output.path: output.sha256} if output.files is None else output.files
    for path, expected in files.items():
        found = digest_of(root / path)
        if found == expected:
            continue
        what = "It is not there" if found is None else "Its bytes are not those that were written"
        yield Complaint(
            path=path,
            stale=False,
            message=f"{what}. Run `batchspec run`: it restores the file without asking again.",
        )


def file_digest(path: Path) -> str | None:
    """Return the hex SHA-256 of a file; None when it cannot be read."""
    try:
        return file_sha256(path)
    except OSError:
        return None
