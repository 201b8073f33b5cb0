"""What is to be written, and what was."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path

from batchspec.outputs.manifest import Manifest, OutputFacts, choose_target
from batchspec.outputs.places import Target
from batchspec.outputs.profile import Profiles
from batchspec.outputs.results import Results
from batchspec.records import frozen
from batchspec.spec.checks import number_of
from batchspec.spec.document import NodePath
from batchspec.spec.model import Output
from batchspec.spec.project import LoadedSpec


@frozen
class OutputJob:
    """One output of one spec."""

    root: Path
    """The project root, absolute."""
    loaded: LoadedSpec
    number: int
    """Index into the spec's outputs."""
    spec_digest: str
    """Hex digest of the spec (`spec.rules.spec_digest`)."""
    items_digest: str
    """Hex Merkle root over the items (`plan.items.ItemTable.inputs_digest`)."""
    emulated: bool
    sampled: bool = False
    """Only a sample of the items was asked, so no output of all items is touched."""

    @property
    def output(self) -> Output:
        """The output as the spec has it."""
        return self.loaded.spec.outputs[self.number]

    @property
    def place(self) -> NodePath:
        """Where it stands in the spec: a single output may be written without a list."""
        single = isinstance(self.loaded.document.get("outputs"), dict)
        return ("outputs",) if single else ("outputs", self.number)

    @property
    def target(self) -> Target:
        """Where it is written."""
        return choose_target(
            self.root, self.output.path, emulated=self.emulated, sampled=self.sampled
        )

    @property
    def profiled(self) -> tuple[str, ...]:
        """The columns of this output whose drift is checked."""
        return tuple(
            check.drift.column
            for check in self.loaded.spec.checks
            if check.drift is not None and number_of(check.table) == self.number + 1
        )

    def manifest(
        self, results: Results, facts: OutputFacts, profile: Profiles | None = None
    ) -> Manifest:
        """Return the manifest of this output once its bytes are known."""
        totals = results.totals
        return Manifest(
            spec=self.loaded.spec.name,
            spec_digest=self.spec_digest,
            model=self.loaded.spec.model,
            items=totals.items,
            items_digest=self.items_digest,
            output=facts,
            statuses=totals.statuses,
            usage=totals.usage,
            usd=totals.usd,
            emulated=self.emulated,
            profile=profile or None,
        )


@frozen
class Written:
    """An output that stands complete on disk, with its manifest."""

    path: str
    """Relative to the project root; for one file per item, the template."""
    rows: int
    """Rows, or files."""
    digest: str
    """Hex SHA-256 of the bytes; for one file per item, of the listing of paths and digests."""
    bytes: int
    changed: bool
    """False: the same bytes stood there before, and no file was touched."""
    statuses: tuple[tuple[str, int], ...]
    """Items by status, in the order of `results.STATUSES`; zero counts left out."""
    relation: str
    """The query that reads it back, for checks; valid while the results are open."""
    profile: Profiles = field(default_factory=dict)
    """Distributions of the columns whose drift is checked."""
    earlier: Profiles | None = None
    """Those of the output that stood there before; None: there was none."""
