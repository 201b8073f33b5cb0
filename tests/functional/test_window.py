"""`run --window`: nothing is submitted while the window is closed."""

from __future__ import annotations

import datetime as dt
import re
import signal
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.functional.conftest import Folder, MakeEmulator, MakeProject

SPEC = """\
version: 1
name: night
inputs: {rows: [{id: 1}, {id: 2}], key: id}
model: claude-haiku-4-5
max_tokens: 8
prompt: {user: "{{ id }}"}
outputs: {path: out/night.jsonl}
"""


def hours(start: int, end: int) -> str:
    """Return a window, as hours from now."""
    now = dt.datetime.now(dt.UTC)
    times = (now + dt.timedelta(hours=shift) for shift in (start, end))
    return "-".join(f"{time:%H:%M}" for time in times)


def test_waits_for_its_hours(project: MakeProject, emulator: MakeEmulator) -> None:
    """Closed, it waits and can be interrupted without having sent anything; open, it runs."""
    server = emulator()
    folder: Folder = project({"night.spec.yaml": SPEC})
    folder.environ["ANTHROPIC_BASE_URL"] = server.base_url
    folder.environ["ANTHROPIC_API_KEY"] = "canary"
    closed = hours(2, 3)
    running = folder.start("run", "--window", closed)
    assert running.stderr is not None
    said = ""
    while f"waiting for {closed} UTC to submit" not in said:
        line = running.stderr.readline()
        assert line, said
        said += line
    assert re.search(r"to submit; next look in (2 h|1[12]\d min)\n", said), said
    time.sleep(0.3)
    running.send_signal(signal.SIGINT)
    _, rest = running.communicate(timeout=60)
    assert running.returncode == 130, said + rest
    assert rest.endswith("Interrupted.\nRun `batchspec run` again to go on.\n")
    assert not server.probe.paid()
    done = folder.batchspec("run", "--window", hours(-1, 2))
    assert done.code == 0, done.err
    assert len(server.probe.paid()) == 2


def test_what_is_no_window(project: MakeProject) -> None:
    """The command line is refused before anything else."""
    done = project({"night.spec.yaml": SPEC}).batchspec("run", "--window", "22-6")
    assert done.code == 2
    assert "'22-6' is not a part of the day such as 22:00-06:00" in done.err
