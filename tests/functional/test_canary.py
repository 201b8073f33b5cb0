"""A first batch that has no answers, because it was never made or is lost, holds up nothing."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.functional.conftest import MakeEmulator, MakeProject

ROWS = json.dumps([{"n": n} for n in range(1, 21)])
SPEC = f"""\
version: 1
inputs: {{rows: {ROWS}, key: n}}
model: claude-haiku-4-5
max_tokens: 20
prompt: {{user: "Count to {{{{ n }}}}."}}
outputs: {{path: out/t.jsonl}}
canary: 5
"""


@pytest.mark.parametrize(
    ("fault", "sizes"),
    [
        ({"status": 500}, [5, 15]),  # planned anew, and proven anew
        ({"status": 413, "envelope": False}, [2, 3, 15]),  # sent in halves
    ],
)
def test_a_canary_that_was_never_made_is_sent_again(
    project: MakeProject, emulator: MakeEmulator, fault: dict[str, Any], sizes: list[int]
) -> None:
    """Whether it was made has to be found out first; then the run goes on to its end."""
    server = emulator()
    server.probe.fault("status", endpoint="create", **fault)
    folder = project({"specs/t.yaml": SPEC})
    folder.environ["ANTHROPIC_BASE_URL"] = server.base_url
    folder.environ["ANTHROPIC_API_KEY"] = "canary-key-of-a-test"
    done = folder.batchspec("run")
    assert done.code == 0, done.err
    assert "never became a batch" in done.err
    told = re.findall(r"submitted \S+ with (\d+) request", done.err)
    assert [int(requests) for requests in told] == sizes
    assert len(folder.rows("out/t.jsonl")) == 20
    assert len(server.probe.paid()) == 20
