"""`collect` takes paid answers in, also those of a spec that cannot be planned any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.functional.conftest import MakeEmulator, MakeProject


SPEC = """\
version: 1
inputs: {{table: data/{name}.csv, key: id}}
model: claude-haiku-4-5
max_tokens: 16
prompt: {{user: "Say {name} {{{{ word }}}}."}}
response: {{parse: regex, pattern: "^echo"}}
outputs: {{path: out/{name}.jsonl}}
"""


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (("data/second.csv", "id,word\n1,one\n1,again\n"), "key-not-unique"),
        (
            ("specs/second.yaml", SPEC.format(name="second").replace("word", "wort")),
            "undefined-name",
        ),
    ],
)
def test_a_spec_that_broke_meanwhile_loses_nothing(
    project: MakeProject, emulator: MakeEmulator, broken: tuple[str, str], code: str
) -> None:
    """The other spec's output is written; mended, the broken one is complete without a request."""
    whole = {
        f"{place}/{name}.{end}": text
        for name in ("first", "second")
        for place, end, text in (
            ("specs", "yaml", SPEC.format(name=name)),
            ("data", "csv", "id,word\n1,one\n2,two\n"),
        )
    }
    server = emulator(stepped=True, delay_seconds=60.0)
    folder = project(whole)
    folder.environ["ANTHROPIC_BASE_URL"] = server.base_url
    folder.environ["ANTHROPIC_API_KEY"] = "canary-key-of-a-test"
    assert folder.batchspec("run", "--detach").code == 0
    server.probe.advance(61)
    path, text = broken
    folder.write(path, text)
    done = folder.batchspec("collect")
    assert done.code == 1, done.err
    assert code in done.err
    assert [row["status"] for row in folder.rows("out/first.jsonl")] == ["succeeded"] * 2
    assert not (folder.root / "out/second.jsonl").exists()
    folder.write(path, whole[path])
    again = folder.batchspec("collect")
    assert again.code == 0, again.err
    assert [row["status"] for row in folder.rows("out/second.jsonl")] == ["succeeded"] * 2
    assert "0 requests submitted" in again.out + again.err
