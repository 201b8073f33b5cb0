"""Rendered rows in a file of the engine's scratch folder, where they take no memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from batchspec.durable import disk_errors
from batchspec.inputs.columns import quote_literal
from batchspec.inputs.engine import Engine
from batchspec.plan.render import COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa


def no_rendered(engine: Engine, relation: str) -> None:
    """Make the view ``relation`` with the columns of rendered rows and no row."""
    columns = ", ".join(f"NULL::{kind} AS {name}" for name, kind in COLUMNS.items())
    engine.execute(f"CREATE OR REPLACE VIEW {relation} AS SELECT {columns} WHERE false")


def keep_rendered(engine: Engine, relation: str, chunks: Iterable[pa.RecordBatch]) -> None:
    """Make the view ``relation`` of rendered rows, which are read once.

    Raises:
        DiskFailure: The rows cannot be written.
    """
    # A plan without changes never comes here, and so does not pay for the import.
    import pyarrow.parquet as pq  # noqa: PLC0415

    path = engine.scratch / f"{relation}.parquet"
    writer: pq.ParquetWriter | None = None
    try:
        for chunk in chunks:
            with disk_errors("keep rendered items"):
                # Neither hashes nor keys repeat: what makes files small would only take time.
                writer = writer or pq.ParquetWriter(
                    path, chunk.schema, compression="none", use_dictionary=False
                )
                writer.write_batch(chunk)
    finally:
        if writer is not None:
            with disk_errors("keep rendered items"):
                writer.close()
    if writer is None:
        no_rendered(engine, relation)
    else:
        source = f"read_parquet({quote_literal(str(path))})"
        engine.execute(f"CREATE OR REPLACE VIEW {relation} AS FROM {source}")


def drop_rendered(engine: Engine, relation: str) -> None:
    """Remove the view ``relation`` and its rows."""
    engine.execute(f"DROP VIEW {relation}")
    (engine.scratch / f"{relation}.parquet").unlink(missing_ok=True)
