"""What every step of the workflow stands on: the project, its state, and the ways out of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from batchspec.api.catalogue import Catalogue, load_catalogue
from batchspec.api.client import ApiClient
from batchspec.api.port import BatchApi, FactsApi, FilesApi
from batchspec.api.transport import Connection, custom_headers
from batchspec.clock import Clock
from batchspec.errors import MissingKey, UsageFailure
from batchspec.inputs.engine import Engine
from batchspec.plan.baseline import BaselinePaths
from batchspec.plan.hashing import namespace
from batchspec.spec.project import Project
from batchspec.state.lease import held
from batchspec.state.ledger import LedgerReader
from batchspec.state.mirror import Mirror, note_path, state_moved_back
from batchspec.state.reader import SqlReader
from batchspec.state.segments import FolderSegments, Segments
from batchspec.state.sqlite import SqliteLedger, SqliteReader
from batchspec.state.team import Team
from batchspec.state.writer import SqlLedger
from batchspec.workflow.scratch import scratch_below
from batchspec.workflow.untrusted import refuse_untrusted
from batchspec.workflow.waits import Waits, waits_for

EMULATED_KEY = "emulated"
SHORTEST_SECRET = 8
"""Shorter values of headers are ordinary words, which messages would be unreadable without."""
STALLED_SECONDS = 30.0
"""Protocol §3.3: after a longer pause before the last byte the connection is given up instead."""


@dataclass(slots=True)
class Session:
    """One command's view of a project.

    Attributes:
        project: The project.
        emulated: Work goes to the embedded emulator and its own state.
        clock: The clock; tests hand in one that they move.
        environ: The environment; the key is read from it when the API is first needed.
        randomness: Source of random bytes for submission tags and the state's lineage.
    """

    project: Project
    emulated: bool
    clock: Clock
    environ: Mapping[str, str]
    randomness: Callable[[int], bytes] = os.urandom
    sampled: bool = False
    """Specs are run on a sample of their items, apart from what runs of all items left."""
    left_out: bool = False
    """Specs with problems were left out, so that a command that is done ends with their code."""
    client: BatchApi | None = None
    """The way to the API; None: opened from the project's settings when it is first needed."""
    ledgers: Callable[[Path, Callable[[int], bytes]], SqliteLedger] = SqliteLedger
    """Opens the ledger for writing; the model test hands in one whose process can be struck."""
    _stack: ExitStack = field(default_factory=ExitStack)
    _http: ApiClient | None = None
    _team: Team | None = None
    _scratch: Path | None = None
    _spools: int = 0

    def __enter__(self) -> Self:
        """Nothing is opened before it is needed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close connections and the emulator."""
        self._stack.close()

    @property
    def state_dir(self) -> Path:
        """The folder of this session's state; emulated and real work never share one."""
        return self.project.emulated_dir if self.emulated else self.project.state_dir

    @property
    def cache_dir(self) -> Path:
        """What can be rebuilt at any time."""
        return self.state_dir / "cache"

    @property
    def ledger_path(self) -> Path:
        """The ledger's file."""
        return self.state_dir / "ledger.db"

    @property
    def team(self) -> Team | None:
        """The shared state; None: it is local, as that of emulated work always is."""
        if self._team is None and not self.emulated and self.project.config.state.ledger:
            self._team = Team(self.project.config.state, self.project.namespace, self.environ)
        return self._team

    @property
    def segments(self) -> Segments:
        """Where requests and result lines are kept."""
        folder = self.state_dir / "segments"
        return FolderSegments(folder) if self.team is None else self.team.segments(folder)

    @property
    def waits(self) -> Waits:
        """The waiting times that hold here."""
        return waits_for(self.project.config.api, emulated=self.emulated)

    @property
    def namespace(self) -> str:
        """The project's part of custom_ids; each environment has another."""
        environment = self.project.environment
        ending = "" if environment is None else f"@{environment.name}"
        return namespace(f"{self.project.name}{ending}")

    @property
    def takes_samples(self) -> bool:
        """Whether specs are run on a sample, by an option or by the environment."""
        environment = self.project.environment
        return self.sampled or (environment is not None and environment.sample is not None)

    @property
    def catalogue(self) -> Catalogue:
        """Models and prices, with the project's overrides."""
        return load_catalogue(self.project.config.prices, self.project.models)

    @property
    def mirror(self) -> Mirror:
        """The note outside the state; emulated work keeps none."""
        if self.emulated:
            return Mirror()
        if self.team is not None:
            return self.team.mirror()
        return Mirror(path=note_path(self.state_dir, self.environ))

    @property
    def stalled_seconds(self) -> float:
        """After a longer pause before the last byte of a create, it is not sent (protocol §3.3)."""
        lease = self.project.config.state.lease_seconds
        return STALLED_SECONDS if self.team is None else min(STALLED_SECONDS, lease / 3)

    def baseline(self, spec: str, *, pending: bool = False) -> BaselinePaths:
        """Where the items of a spec's last applied plan are kept, or of one not yet applied."""
        folder = self.state_dir / "items"
        if self.sampled:
            folder /= "sampled"
        return BaselinePaths.under(folder / "pending" if pending else folder, spec)

    def answers_path(self, tag: str) -> Path:
        """Where the answers of a collected submission are kept for queries."""
        from batchspec.outputs.answers import FOLDER  # noqa: PLC0415 - Arrow, which plans may spare

        return self.cache_dir / FOLDER / f"{tag}.parquet"

    @property
    def scratch(self) -> Path:
        """Folder of this session's temporary files, made when it is first asked for.

        Raises:
            EnvironmentFailure: It cannot be made.
        """
        if self._scratch is None:
            parent = self.project.root / ".batchspec" / "tmp"
            self._scratch = self._stack.enter_context(scratch_below(parent))
        return self._scratch

    def spool_path(self, spec: str) -> Path:
        """Return a new path where a plan keeps the requests of a spec until they are sent."""
        self._spools += 1
        return self.scratch / f"{spec}.{self._spools}.spool"

    def reading_path(self, spec: str) -> Path:
        """Where it is kept how the output of a spec is read by those that need it."""
        return self.cache_dir / "outputs" / f"{spec}.json"

    def engine(self) -> Engine:
        """Open the locked-down DuckDB; the caller closes it."""
        extra = () if self.state_dir.is_relative_to(self.project.root) else (self.state_dir,)
        return Engine.open(
            root=self.project.root,
            extra=extra,
            temp=self.scratch,
            memory_mb=self.project.config.memory_mb,
        )

    def reader(self) -> LedgerReader | None:
        """Open the ledger for reading, or return None when nothing was ever submitted."""
        reader: SqlReader | None = None
        if self.team is not None:
            reader = self.team.reader(self.clock, self.randomness)
        elif self.ledger_path.exists():
            reader = SqliteReader.open(self.ledger_path)
        if reader is not None:
            self._stack.callback(reader.close)
        return reader

    @contextmanager
    def writer(self, operation: str, *, force: bool = False) -> Iterator[SqlLedger]:
        """Open the ledger as its only writer.

        Args:
            operation: What for, such as ``run``.
            force: Take the lease away from whoever holds it.

        Raises:
            StateLocked: when another living process is the writer.
        """
        with ExitStack() as stack:
            ledger: SqlLedger
            if self.team is None:
                local = ledger = self.ledgers(self.ledger_path, self.randomness)
                lease = held(local, self.state_dir, operation, self.clock, force=force)
            else:
                shared = ledger = self.team.ledger(self.clock, self.randomness)
                lease = shared.held(operation, force=force)
            stack.callback(ledger.close)
            ledger.clock = self.clock
            stack.enter_context(lease)
            self._doubt_survey(ledger)
            yield ledger

    def _doubt_survey(self, ledger: SqlLedger) -> None:
        """Make a ledger that was rolled back compare itself with the workspace again.

        That has to be durable before anything else is: the next transactions carry the serial past
        the one in the note, and then nothing would tell any more (crash matrix #20).
        """
        if not ledger.surveyed:
            return
        if state_moved_back(self.mirror.read(), ledger.lineage, ledger.serial):
            ledger.doubt_survey()

    def key(self) -> str:
        """Return the API key.

        Raises:
            MissingKey: when the environment has none.
            UntrustedJob: when a CI job may run somebody else's specs with it.
        """
        if self.emulated:
            return EMULATED_KEY
        refuse_untrusted(self.environ)
        name = self.project.config.api.key_env
        key = self.environ.get(name, "").strip()
        if not key:
            raise MissingKey(
                f"There is no API key in the environment variable {name}.",
                hint=f"Set {name}, or use --emulate to run against the embedded emulator "
                "without a key.",
            )
        if not (key.isascii() and key.isprintable()):
            raise MissingKey(
                f"The API key in the environment variable {name} holds characters that no key has "
                "(a line break, or letters outside ASCII).",
                hint=f"Set {name} to the key alone, as the API's console shows it.",
            )
        return key

    def headers(self) -> dict[str, str]:
        """Return the further headers of every call.

        Raises:
            MissingKey: when the environment lacks a value.
        """
        found: dict[str, str] = {}
        for header, value in self.project.config.api.headers.items():
            if isinstance(value, str):
                found[header] = value
                continue
            text = self.environ.get(value.env, "").strip()
            if not (text and text.isascii() and text.isprintable()):
                raise MissingKey(
                    f"The header {header} takes its value from the environment variable "
                    f"{value.env}, which is not set, or holds what no header can carry.",
                    hint=f"Set {value.env}, or correct api.headers in batchspec.yaml.",
                )
            found[header] = text
        return found

    def key_print(self) -> str:
        """Return a fingerprint by which the same key is recognised; it does not reveal the key."""
        return "key-" + hashlib.sha256(b"batchspec key\0" + self.key().encode()).hexdigest()[:12]

    def key_label(self) -> str:
        """Return what the key is called in reports: the project's name for it, or its print."""
        return self.project.config.api.key_label or self.key_print()

    def api(self) -> BatchApi:
        """Return the API's client, opened on first use; for emulated work the emulator starts.

        Raises:
            MissingKey: when the environment has no key.
        """
        if self.client is None:
            self.client = self._opened()
        return self.client

    def facts_api(self) -> FactsApi:
        """Return the way to the calls that change nothing; opened as `api` is."""
        return self._opened()

    def files_api(self) -> FilesApi:
        """Return the way to the Files API; opened as `api` is."""
        return self._opened()

    def _opened(self) -> ApiClient:
        """Open the client, once."""
        if self._http is None:
            settings = self.project.config.api
            key = self.key()
            base_url = self._emulator() if self.emulated else settings.base_url
            headers = {} if self.emulated else self.headers()
            hidden = [v for name, v in headers.items() if settings.headers[name] != v]
            custom = custom_headers(self.environ)
            self._http = ApiClient(
                Connection(
                    base_url=base_url,
                    key=key,
                    anthropic_version=settings.anthropic_version,
                    workspace=settings.workspace,
                    headers=custom | headers,
                    secrets=tuple(
                        value
                        for value in (*hidden, *custom.values())
                        if len(value) >= SHORTEST_SECRET
                    ),
                    answer_seconds=self.waits.answer,
                )
            )
            self._stack.callback(self._http.close)
        return self._http

    def _emulator(self) -> str:
        from batchspec.emulator.server import EmulatorSettings, start_emulator  # noqa: PLC0415

        wanted = self.project.config.emulator
        recording = self._emulator_file("replay", wanted.replay)
        settings = EmulatorSettings(
            data_dir=self.state_dir / "server",
            answers=self._emulator_file("answers", wanted.answers),
            replay=() if recording is None else (recording,),
            replay_only=recording is not None,
            delay_seconds=wanted.delay_seconds,
            files=self._workspace_files(wanted.files),
        )
        try:
            running = start_emulator(settings)
        except ValueError as error:  # of the files above
            raise UsageFailure(f"The emulator cannot start: {error}") from error
        self._stack.callback(running.close)
        return running.base_url

    def _workspace_files(self, named: Mapping[str, str]) -> dict[str, Path]:
        """Return the files that the emulator's workspace holds, by id."""
        root = self.project.root.resolve()
        found = {file_id: (root / path).resolve() for file_id, path in named.items()}
        for file_id, path in found.items():
            if not path.is_relative_to(root) or not path.is_file():
                raise UsageFailure(
                    f"emulator.files says that {file_id} is {named[file_id]!r}, and there is no"
                    f" such file below {root}.",
                    hint="Correct emulator.files in batchspec.yaml.",
                )
        return found

    def _emulator_file(self, name: str, text: str | None) -> Path | None:
        if text is None:
            return None
        path = self.project.root / text
        if not path.is_file():
            raise UsageFailure(
                f"The emulator's {name} file is {text!r}, and there is no such file in "
                f"{self.project.root}.",
                hint=f"Correct emulator.{name} in batchspec.yaml, or the environment variable "
                f"BATCHSPEC_EMULATOR_{name.upper()}.",
            )
        return path


def open_session(
    project: Project, *, emulate: bool, clock: Clock, environ: Mapping[str, str]
) -> Session:
    """Return a session; a context manager that closes what it opened."""
    return Session(project=project, emulated=emulate, clock=clock, environ=environ)
