"""Bug reports: a traceback file without local variables and without secrets."""

from __future__ import annotations

import hashlib
import platform
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import batchspec
from batchspec.cli.redaction import redact_report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchspec.cli.terminal import Terminal


def write_bug_report(error: Exception, terminal: Terminal, argv: Sequence[str]) -> tuple[str, str]:
    """Write the traceback to ``.batchspec/bug-<digest>.txt`` and return message and hint.

    The digest names the place in the code, so that the same bug makes one file.
    """
    environ, names = terminal.environ, terminal.secret_names
    trace = redact_report("".join(traceback.format_exception(error)), environ, names)
    frames = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    digest = hashlib.sha256(f"{type(error).__name__} {frames}".encode()).hexdigest()[:8]
    head = (
        f"batchspec {batchspec.__version__}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}\n"
        f"command: {redact_report(' '.join(argv), environ, names)}\n\n"
    )
    kind = type(error).__name__
    where = _write(f"bug-{digest}.txt", head + trace, terminal.root or Path.cwd())
    if where is None:
        terminal.note(head + trace)
        return f"This is a bug in batchspec ({kind}); its traceback stands above.", _HINT
    return f"This is a bug in batchspec ({kind}). The traceback is in {where}.", _HINT


_HINT = (
    "Please report it with that traceback and the spec, if you may share it. Local variables and "
    "keys are not in it. Submitted work is not lost."
)


def _write(name: str, text: str, root: Path) -> Path | None:
    """Write below the project, else into the temporary folder; None when neither can be."""
    for folder in (root / ".batchspec", Path(tempfile.gettempdir())):
        try:
            folder.mkdir(exist_ok=True)
            path = folder / name
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError:
            continue
        return path
    return None
