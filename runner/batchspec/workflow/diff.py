"""How the answers of two versions of a spec differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from batchspec.errors import UsageFailure
from batchspec.inputs.engine import Engine
from batchspec.outputs.compare import Comparison, NoKeyError, compare
from batchspec.outputs.database import table_name
from batchspec.outputs.manifest import Manifest, choose_target, read_manifest
from batchspec.outputs.places import MANIFEST, Target, target_of
from batchspec.outputs.versions import UnreadableVersionError, Version
from batchspec.records import frozen
from batchspec.spec.model import Output
from batchspec.spec.project import LoadedSpec
from batchspec.workflow.context import Session
from batchspec.workflow.revisions import fetch, has_revision

HEAD = "HEAD"


@frozen
class DiffOptions:
    """What is compared with what."""

    against: str | None = None
    """A git revision or a manifest; None: `HEAD`, or for a sample the output that stands."""
    sampled: bool = False
    """The later version is what the last `run --sample` wrote."""
    limit: int | None = None
    """How many changes are named; None: all."""


def diff_spec(session: Session, loaded: LoadedSpec, options: DiffOptions) -> tuple[Comparison, ...]:
    """Compare every output of a spec with another version of it.

    Raises:
        UsageFailure: One of the versions is not there, or cannot be compared.
    """
    found = []
    for output in _compared(session.project.root, loaded, options.against):
        with session.engine() as engine:
            versions = _Versions(
                session=session, engine=engine, loaded=loaded, output=output, options=options
            )
            found.append(versions.compare())
    return tuple(found)


def _compared(root: Path, loaded: LoadedSpec, against: str | None) -> tuple[Output, ...]:
    """Return the outputs that are compared: of several, those that a manifest speaks of."""
    outputs = loaded.spec.outputs
    if against is None or not against.endswith(MANIFEST) or len(outputs) == 1:
        return outputs
    _, manifest = _manifest_at(root, against)
    of = f"/{manifest.output.path}"
    found = tuple(output for output in outputs if of.endswith(f"/{output.path}"))
    if not found:
        raise UsageFailure(
            f"{against} speaks of {manifest.output.path}, which is no output of "
            f"{loaded.spec.name}.",
            hint=f"Its outputs are {', '.join(output.path for output in outputs)}.",
        )
    return found


def _manifest_at(root: Path, against: str) -> tuple[Path, Manifest]:
    """Return a manifest that the command line names, and where it is."""
    path = Path(against)
    path = path if path.is_file() else root / against
    manifest = read_manifest(path)
    if manifest is None:
        raise UsageFailure(f"{against} is no manifest that batchspec wrote.")
    return path, manifest


@frozen
class _Versions:
    session: Session
    engine: Engine
    loaded: LoadedSpec
    output: Output
    options: DiffOptions

    @property
    def root(self) -> Path:
        return self.session.project.root

    def compare(self) -> Comparison:
        after = self._after()
        before = self._before()
        try:
            return compare(
                self.engine,
                (before, after),
                path=self.output.path,
                key=_key(self.loaded),
                partial=self.options.sampled,
                limit=self.options.limit,
            )
        except NoKeyError:
            raise UsageFailure(
                f"The rows of {self.output.path} cannot be matched: they have neither a column "
                f"`key` nor {_named(_key(self.loaded))}.",
                hint="Select the key in `outputs.select`, as in SELECT key, ….",
            ) from None
        except UnreadableVersionError as error:
            raise UsageFailure(
                f"A version of {self.output.path} cannot be read as its name says: {error}",
                hint="`batchspec verify` tells whether the output is as it was written.",
            ) from None

    def _after(self) -> Version:
        target = self._target(sampled=self.options.sampled)
        label = "the sample" if self.options.sampled else "the working tree"
        flags = " --sample 50" if self.options.sampled else ""
        flags += " --emulate" if self.session.emulated else ""
        version = self._standing(target, label)
        if version is None:
            raise UsageFailure(
                f"{target.shown} was not written yet, so there is nothing to compare.",
                hint=f"Run `batchspec run {self.loaded.spec.name}{flags}` first.",
            )
        return version

    def _before(self) -> Version:
        against = self.options.against
        if against is None and self.options.sampled:
            version = self._standing(self._target(sampled=False), "the working tree")
            if version is not None:
                return version
        if against is not None and against.endswith(MANIFEST):
            return self._of_manifest(against)
        return self._of_revision(against or HEAD)

    def _target(self, *, sampled: bool) -> Target:
        emulated = self.session.emulated
        return choose_target(self.root, self.output.path, emulated=emulated, sampled=sampled)

    def _standing(self, target: Target, label: str) -> Version | None:
        """Return an output as it is on disk; None when it is not there."""
        manifest = read_manifest(target.manifest)
        if manifest is None or not (target.is_template or target.path.is_file()):
            return None
        base = target.shown.removesuffix(self.output.path)
        return self._version(label, target.path, self._files(manifest, base))

    def _files(self, manifest: Manifest, base: str) -> tuple[tuple[str, Path], ...]:
        files = manifest.output.files or {}
        there = ((path.removeprefix(base), self.root / path) for path in sorted(files))
        return tuple((name, path) for name, path in there if path.is_file())

    def _of_manifest(self, against: str) -> Version:
        path, manifest = _manifest_at(self.root, against)
        label = against
        output = path.with_name(path.name.removesuffix(MANIFEST))
        if manifest.output.files is None and not output.is_file():
            raise UsageFailure(f"The output of {against} is not beside it.")
        return self._version(label, output, self._files(manifest, ""))

    def _of_revision(self, revision: str) -> Version:
        if not has_revision(self.root, revision):
            raise UsageFailure(
                f"{revision} is no git revision here, and no manifest.",
                hint="--against takes a revision of the repository that the project is in, or the "
                "path of a manifest.",
            )
        target = target_of(self.root, self.output.path)
        shown = target.manifest.relative_to(self.root).as_posix()
        wanted = shown if target.is_template else target.shown
        found = fetch(self.root, revision, [wanted], self.engine.scratch)
        if wanted not in found:
            raise UsageFailure(
                f"{revision} has no {wanted}, so there is nothing to compare with.",
                hint="Commit outputs with their manifests, or name another revision.",
            )
        if not target.is_template:
            return self._version(revision, found[wanted], ())
        manifest = read_manifest(found[wanted])
        files = {} if manifest is None else manifest.output.files or {}
        blobs = fetch(self.root, revision, sorted(files), self.engine.scratch)
        return self._version(revision, None, tuple(sorted(blobs.items())))

    def _version(
        self, label: str, file: Path | None, items: tuple[tuple[str, Path], ...]
    ) -> Version:
        ending = PurePosixPath(self.output.path).suffix
        is_template = "{{" in self.output.path
        return Version(
            label=label,
            ending=ending,
            file=None if is_template else file,
            table=table_name(self.loaded.spec.name),
            items=items if is_template else (),
        )


def _key(loaded: LoadedSpec) -> tuple[str, ...]:
    inputs = loaded.spec.inputs
    return inputs.key or (("path",) if inputs.files is not None else ())


def _named(names: Sequence[str]) -> str:
    return "the key columns " + ", ".join(names) if len(names) > 1 else f"`{''.join(names)}`"
