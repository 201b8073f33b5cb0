"""Named points at which the crash suite kills the process.

``BATCHSPEC_CRASH_AT=name:3`` ends the process the third time it gets to ``name``, with SIGKILL, as
a power cut would; ``BATCHSPEC_CRASH_LOG=file`` appends each name that is passed. With neither set,
which is always outside the crash suite, passing a point costs one comparison.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

_AT, _, _TIMES = os.environ.get("BATCHSPEC_CRASH_AT", "").rpartition(":")
_LOG = os.environ.get("BATCHSPEC_CRASH_LOG", "")
_WATCHED = bool(_AT or _LOG)
_passed: dict[str, int] = {}


def reached(name: str) -> None:
    """Pass the point ``name``; the process ends here when the crash suite asked for it."""
    if not _WATCHED:
        return
    _passed[name] = _passed.get(name, 0) + 1
    if _LOG:
        with Path(_LOG).open("a", encoding="utf-8") as log:
            log.write(f"{name}\n")
    if name == _AT and _passed[name] == int(_TIMES):
        os.kill(os.getpid(), signal.SIGKILL)
