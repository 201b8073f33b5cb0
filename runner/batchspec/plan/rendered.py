"""Rendered rows in a file of the engine's scratch folder, where they take no memory.

They are lines of text with a tab between values: no value can hold one, for keys are JSON and the
others are numbers and hexadecimal digits. Arrow would do it in as much time, and to import it would
make the process larger by a sixth.
"""

from __future__ import annotations

from collections.abc import Iterable

from batchspec.durable import disk_errors, write_all
from batchspec.inputs.columns import quote_literal
from batchspec.inputs.engine import Engine
from batchspec.plan.render import Rendered

COLUMNS = {
    "key_json": "VARCHAR",
    "row_digest": "BLOB",
    "hash": "BLOB",
    "bytes": "UINTEGER",
    "chars": "UINTEGER",
    "spot": "BIGINT",
    "prefix": "BLOB",
    "marked": "UINTEGER",
    "images": "UINTEGER",
    "documents": "UINTEGER",
}
"""The columns of a rendered row, with DuckDB's types; ``prefix`` is NULL where it has none."""
_ROOM = 2 << 20
"""Bytes of the longest line that DuckDB reads when it is told nothing."""


def no_rendered(engine: Engine, relation: str) -> None:
    """Make the view ``relation`` with the columns of rendered rows and no row."""
    columns = ", ".join(f"NULL::{kind} AS {name}" for name, kind in COLUMNS.items())
    engine.execute(f"CREATE OR REPLACE VIEW {relation} AS SELECT {columns} WHERE false")


def keep_rendered(engine: Engine, relation: str, chunks: Iterable[list[Rendered]]) -> None:
    """Make the view ``relation`` of rendered rows, which are read once.

    Raises:
        DiskFailure: The rows cannot be written.
    """
    path = engine.scratch / f"{relation}.tsv"
    longest = 0
    with disk_errors("keep rendered items"):
        file = path.open("wb", buffering=0)
    with file:
        for chunk in chunks:
            lines = [_line(row).encode() for row in chunk]
            longest = max([longest, *map(len, lines)])
            with disk_errors("keep rendered items"):
                write_all(file.fileno(), b"".join(lines))
    if not longest:
        no_rendered(engine, relation)
        return
    names = ", ".join(
        f"unhex({name}) AS {name}" if kind == "BLOB" else name for name, kind in COLUMNS.items()
    )
    text = {name: kind.replace("BLOB", "VARCHAR") for name, kind in COLUMNS.items()}
    listed = ", ".join(f"{quote_literal(name)}: {quote_literal(t)}" for name, t in text.items())
    room = max(_ROOM, longest)
    source = (
        f"read_csv({quote_literal(str(path))}, auto_detect = false, header = false,"
        " delim = '\t', quote = '', escape = '', nullstr = '', new_line = '\\n',"
        f" max_line_size = {room}, buffer_size = {room}, columns = {{{listed}}})"
    )
    engine.execute(f"CREATE OR REPLACE VIEW {relation} AS SELECT {names} FROM {source}")  # noqa: S608 - names are ours or quoted


def drop_rendered(engine: Engine, relation: str) -> None:
    """Remove the view ``relation`` and its rows."""
    engine.execute(f"DROP VIEW {relation}")
    (engine.scratch / f"{relation}.tsv").unlink(missing_ok=True)


def _line(row: Rendered) -> str:
    key, digest, found, size, chars, spot, prefix, marked, images, documents = row
    return (
        f"{key}\t{digest.hex()}\t{found.hex()}\t{size}\t{chars}\t{spot}\t{prefix.hex()}"
        f"\t{marked}\t{images}\t{documents}\n"
    )
