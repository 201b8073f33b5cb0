"""What a DuckDB is set to before anything is read through it, and where it keeps what it spills."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from batchspec.errors import EnvironmentFailure
from batchspec.inputs.columns import escape_glob, quote_literal

STREAMED: Final = "SET streaming_buffer_size = '1MB'"
"""How far a streamed result may run ahead of its reader; each cursor has DuckDB's own 10 MB."""
UNSOUND: Final = "type_pushdown"
"""An optimizer. With it, ``n::VARCHAR`` of a CSV column is the file's text (``1.10``) rather than
the value's (``1.1``), and a value that does not fit its column goes unnoticed."""


def make_scratch(temp: Path) -> Path:
    """Make a fresh folder below ``temp``.

    Raises:
        EnvironmentFailure: It cannot be made.
    """
    try:
        temp.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="duckdb-", dir=temp)).resolve()
    except OSError as error:
        raise EnvironmentFailure(
            f"The folder for temporary files, {temp}, cannot be used: {error.strerror}.",
            hint="Check its permissions and the free space.",
        ) from None


def settings(folders: Sequence[Path], scratch: Path, memory_mb: int, threads: int) -> list[str]:
    """Return the statements that lock a DuckDB down, in the order that DuckDB 2.0 accepts.

    Folders first, then everything that external access would still allow, then external access
    off, then the lock.
    """
    # DuckDB compares the text of a path, which for a pattern below a folder is the escaped one.
    spellings = dict.fromkeys(
        spelling for folder in folders for spelling in (str(folder), escape_glob(str(folder)))
    )
    allowed = ", ".join(quote_literal(f"{spelling}/") for spelling in spellings)
    return [
        "SET GLOBAL TimeZone = 'UTC'",
        "SET GLOBAL errors_as_json = true",
        f"SET allowed_directories = [{allowed}]",
        f"SET temp_directory = {quote_literal(str(scratch))}",
        memory_limit(memory_mb),
        f"SET threads = {int(threads)}",
        "SET preserve_insertion_order = false",
        # Freed memory goes back to the system early: a plan of a million items peaks 30 MB lower.
        "SET GLOBAL allocator_flush_threshold = '16MB'",
        "SET enable_external_file_cache = false",
        "SET autoinstall_known_extensions = false",
        "SET autoload_known_extensions = false",
        "SET allow_community_extensions = false",
        "SET allow_extension_repositories = 'forbidden'",
        "SET allow_persistent_secrets = false",
        "SET GLOBAL python_enable_replacements = false",
        # The engine itself needs them; author SQL cannot SET anything.
        "SET allowed_configs = ['disabled_optimizers', 'memory_limit', 'streaming_buffer_size']",
        f"SET GLOBAL disabled_optimizers = '{UNSOUND}'",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ]


def memory_limit(memory_mb: float) -> str:
    """Return the statement that bounds DuckDB's memory."""
    return f"SET GLOBAL memory_limit = '{int(memory_mb)}MB'"
