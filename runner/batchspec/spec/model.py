"""The spec and the project file as frozen records, after the JSON Schema has accepted their shape.

`schemas/spec.schema.json` and `schemas/project.schema.json` are the structural authority; a test
asserts that they and these models agree field by field. Defaults live here, once.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from batchspec.spec.facts import PAGE_TOKENS

Name = str
"""``[a-z0-9][a-z0-9-]{0,62}``, checked by the JSON Schema."""
JsonObject = dict[str, Any]


def _listed(value: object) -> object:
    """Let an author write one entry without a list around it."""
    return value if value is None or isinstance(value, (list, tuple)) else (value,)


Listed = BeforeValidator(_listed)


class Record(BaseModel):
    """A frozen record without unknown fields. Defaults are not validated: no validator is built."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    later: ClassVar[frozenset[str]] = frozenset()
    """Optional fields that came after outputs were first written: a spec that does not use them
    keeps the digest that the manifests of its outputs hold (`spec.digest`)."""


class FileRef(Record):
    """Text or JSON kept in a file of its own, relative to the project root."""

    file: str


Text = str | FileRef
"""A Jinja2 template: inline, or in a file."""


class Sample(Record):
    """A deterministic draw of rows from the inputs."""

    rows: int
    seed: int = 0


ColumnType = Literal["text", "integer", "number", "boolean", "date", "timestamp"]
"""What a column of a CSV file can be said to hold."""


class Inputs(Record):
    """Where items come from: exactly one of sql, files, table, rows."""

    later: ClassVar[frozenset[str]] = frozenset({"types"})

    sql: str | FileRef | None = None
    files: Annotated[tuple[str, ...] | None, Listed] = None
    table: str | None = None
    types: Literal["text"] | dict[str, ColumnType] | None = None
    """Of the columns of a CSV or TSV ``table``; None: found out from its values."""
    rows: tuple[JsonObject, ...] | None = None
    key: Annotated[tuple[str, ...] | None, Listed] = None
    """Columns naming an item; None only for ``files``, where it means ``path``."""
    sample: Sample | None = None


class Message(Record):
    """One turn of ``prompt.messages``."""

    role: Literal["user", "assistant", "system"]
    content: Text | tuple[JsonObject, ...]


class Prompt(Record):
    """What is asked: ``system`` + ``user``, or ``system`` + ``messages``.

    A block is a mapping; `prompt.blocks` knows the kinds, and `spec.rules_blocks` their keys.
    """

    system: Text | tuple[JsonObject, ...] | None = None
    user: Text | tuple[JsonObject, ...] | None = None
    messages: tuple[Message | FileRef, ...] | None = None
    """Turns; a file holds several, as JSONL."""


class Response(Record):
    """What an answer must look like."""

    later: ClassVar[frozenset[str]] = frozenset({"order", "send", "parse", "pattern", "tool"})

    schema_: FileRef | JsonObject | None = Field(
        default=None, alias="schema", union_mode="left_to_right"
    )
    """Sent as structured output, as far as ``send`` and ``parse`` allow, and validated here."""
    order: Literal["sorted", "written"] = "sorted"
    """In what order the properties of the schema are sent."""
    send: Literal["whole", "subset", "none"] = "whole"
    parse: Literal["json", "text", "regex", "tool"] | None = None
    """None: json with a schema, else text."""
    pattern: str | None = None
    """RE2, for ``parse: regex``."""
    tool: str | None = None
    """Whose call is the answer, for ``parse: tool``; None: the only tool there is."""
    on_invalid: Literal["retry", "keep", "fail"] = "retry"
    attempts: int = 2
    """How often one question is asked in all when its answers are invalid."""


class Output(Record):
    """One file (or one file per item) that a spec writes."""

    path: str
    select: str | FileRef | None = None


class AcceptedValues(Record):
    """The only values of a column."""

    column: str
    values: tuple[str | bool | int | float, ...]


class Matches(Record):
    """What a column's text must contain."""

    column: str
    regex: str
    """RE2's syntax; not anchored."""


class Range(Record):
    """Bounds of a column; both belong to the range."""

    column: str
    min: Decimal | str | None = None
    max: Decimal | str | None = None


class Relationships(Record):
    """Where every value of a column must be found."""

    column: str
    to: str
    """A table, or a data file of the project."""
    field: str


class RowCount(Record):
    """How many rows a table has."""

    min: int | None = None
    max: int | None = None
    equals: str | None = None
    """A table with as many rows."""


class Agreement(Record):
    """How often a column must agree with reference labels."""

    column: str
    reference: str
    min: Decimal
    """Least accuracy, 0 to 1."""


class Drift(Record):
    """How far a column's distribution may move from that of the former output."""

    column: str
    max: Decimal
    """Greatest total variation distance, 0 to 1: the part of the rows that changed sides."""


class Check(Record):
    """An assertion over an output: SQL whose rows are failures, or exactly one built-in kind."""

    name: str | None = None
    """None: `spec.checks.title` makes one of the kind and its columns."""
    sql: str | FileRef | None = None
    not_null: Annotated[tuple[str, ...] | None, Listed] = None
    unique: Annotated[tuple[str, ...] | None, Listed] = None
    accepted_values: AcceptedValues | None = None
    matches: Matches | None = None
    range: Range | None = None
    relationships: Relationships | None = None
    row_count: RowCount | None = None
    max_failed: Decimal | None = None
    max_refused: Decimal | None = None
    max_truncated: Decimal | None = None
    max_invalid: Decimal | None = None
    agreement: Agreement | None = None
    drift: Drift | None = None
    table: str = "output"
    where: str | None = None
    """A SQL condition on the rows that are looked at."""
    severity: Literal["error", "warn"] = "error"
    warn_if: str | None = None
    """A comparison with the number of failing rows, or with their percentage."""
    error_if: str | None = None

    later: ClassVar[frozenset[str]] = frozenset(
        {
            "not_null",
            "unique",
            "accepted_values",
            "matches",
            "range",
            "relationships",
            "row_count",
            "max_failed",
            "max_refused",
            "max_truncated",
            "max_invalid",
            "agreement",
            "drift",
            "table",
            "where",
            "warn_if",
            "error_if",
        }
    )


class Retry(Record):
    """Rounds for answers worth asking again, beyond the first ask."""

    errored: int = 3
    expired: int = 3


class Budget(Record):
    """Ceilings that refuse before spending."""

    max_usd: Decimal | None = None
    max_requests: int | None = None


class Assume(Record):
    """Tokens that the estimate takes for what no fact and no byte tells (fact sheet §6.5)."""

    image_tokens: int | None = None
    """Of a picture of unknown size; None: the expected price leaves it out."""
    document_tokens: int | None = None
    """Of a document of unknown size; None: the expected price leaves it out."""
    page_tokens: int = PAGE_TOKENS
    """Of a page of a PDF, its image included."""


class BatchLimits(Record):
    """How large one batch may become; the API's own limits are 100,000 and 256 MB."""

    max_requests: int = 9973
    max_bytes: int = 32_000_000


class Spec(Record):
    """One job."""

    later = frozenset({"anthropic_version", "assume", "betas", "files_api", "primer", "samples"})

    version: Literal[1]
    name: Name
    description: str = ""
    needs: tuple[Name, ...] = ()
    inputs: Inputs
    vars: JsonObject = Field(default_factory=dict)
    samples: int = 1
    """How often each item is asked."""
    model: str
    max_tokens: int
    cache: Literal["auto", "5m", "1h", "off"] = "auto"
    primer: Literal["auto", "off"] = "auto"
    prompt: Prompt
    anthropic_version: str | None = None
    """None: the project's."""
    betas: tuple[str, ...] | None = None
    """None: the project's."""
    files_api: bool = False
    """Files of the prompt are uploaded once and sent as ids, instead of as base64."""
    params: JsonObject = Field(default_factory=dict)
    """Any other Messages parameter, passed through (fact sheet §1.5)."""
    response: Response = Field(default_factory=Response.model_construct)
    outputs: Annotated[tuple[Output, ...], Listed]
    checks: tuple[Check, ...] = ()
    retry: Retry = Field(default_factory=Retry.model_construct)
    budget: Budget = Field(default_factory=Budget.model_construct)
    assume: Assume = Field(default_factory=Assume.model_construct)
    batch: BatchLimits = Field(default_factory=BatchLimits.model_construct)
    canary: int | None = None
    """Size of the first submission of a changed prompt; None: decided by size, 0: never."""


class EnvRef(Record):
    """A value that only an environment variable holds."""

    env: str


class Api(Record):
    """How the API is reached. The key itself is only ever in the environment."""

    base_url: str | None = None
    key_env: str = "ANTHROPIC_API_KEY"
    anthropic_version: str = "2026-10-21"
    betas: tuple[str, ...] = ()
    workspace: str | None = None
    headers: dict[str, str | EnvRef] = Field(default_factory=dict)
    """Sent with every call, for a relay; part of no question."""
    key_label: str | None = None
    """What `batchspec cost` calls the key; None: a fingerprint of it."""
    settle_seconds: float = 1020.0
    """U + L of the submit protocol: 900 s for a late commit, 120 s for a late listing."""
    poll_seconds: float | None = None
    """Fixed polling interval; None: adaptive, 5 s to 5 min."""


class Prices(Record):
    """USD per million tokens of one model, standard (not batch) rates."""

    input: Decimal
    output: Decimal
    cache_write_5m: Decimal | None = None
    cache_write_1h: Decimal | None = None
    cache_read: Decimal | None = None
    web_searches: Decimal | None = None
    """USD per 1,000 of them, in a batch."""


class Emulator(Record):
    """How the emulator inside ``--emulate`` answers; paths are relative to the project root."""

    answers: str | None = None
    replay: str | None = None
    delay_seconds: float = 0.0
    files: dict[str, str] = Field(default_factory=dict)


class EnvironmentOverlay(Record):
    """What an environment changes of the project file; `spec.environments` puts it over it."""

    api: JsonObject = Field(default_factory=dict)
    state: JsonObject | str | None = None
    """None: beside the project's, with the environment's name at the end."""
    budget: JsonObject = Field(default_factory=dict)
    defaults: JsonObject = Field(default_factory=dict)
    policy: str | None = None
    sample: Sample | int | Literal["all"] | None = None
    """None: all, but for an environment called dev."""
    outputs: str | None = None
    """None: ``environments/NAME``."""


class State(Record):
    """Where what was submitted and answered is remembered: a folder, or shared by a team."""

    folder: str = ".batchspec/state"
    """The local state; not used while the state is shared."""
    ledger: str | None = None
    """``postgresql://…`` of the shared ledger; None: the state is local."""
    segments: str | None = None
    """Where the shared segments are: ``s3://``, ``gs://``, ``az://`` or ``file:///``."""
    namespace: str | None = None
    """Whose part of the database and of the bucket it is; None: from the project's name."""
    lease_seconds: float = 90.0
    """After so long without a sign of life the holder of a shared lease counts as dead."""
    cache_mb: int = 4096
    """Ceiling for local copies of shared segments, in MB."""

    @model_validator(mode="before")
    @classmethod
    def _of_text(cls, value: Any) -> Any:
        return {"folder": value} if isinstance(value, str) else value


class ProjectFile(Record):
    """``batchspec.yaml``."""

    version: Literal[1] = 1
    name: str | None = None
    specs: tuple[str, ...] = ("specs/*.yaml", "specs/*.yml", "*.spec.yaml")
    state: State = Field(default_factory=State.model_construct)
    policy: str | None = None
    """None: ``policy.yaml``, where there is one."""
    api: Api = Field(default_factory=Api.model_construct)
    defaults: JsonObject = Field(default_factory=dict)
    prices: dict[str, Prices] = Field(default_factory=dict)
    budget: Budget = Field(default_factory=Budget.model_construct)
    emulator: Emulator = Field(default_factory=Emulator.model_construct)
    environments: dict[str, EnvironmentOverlay] = Field(default_factory=dict)
    memory_mb: int = 512
    """Ceiling for DuckDB, in MB; 512 is the least that ingests with two threads."""
