"""A spec's own headers reach the API, and another header is another question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.functional.conftest import Folder

SPEC = """\
version: 1
name: NAME
inputs: {rows: [{id: 1}], key: id}
model: MODEL
max_tokens: MAX
prompt: {user: "Say {{ id }}"}
outputs: {path: out/NAME.jsonl}
"""


def row(folder: Folder, name: str) -> Any:
    """Return the only row of an output."""
    (found,) = folder.rows(f"out/{name}.jsonl")
    return found


def test_each_spec_has_its_own_headers(served: Folder) -> None:
    """One batch each: an old version that takes a temperature, and a beta for long answers."""
    served.write("batchspec.yaml", "version: 1\nname: headers\n")
    old = SPEC.replace("NAME", "old").replace("MODEL", "claude-haiku-4-5").replace("MAX", "20")
    old += 'anthropic_version: "2023-06-01"\nparams: {temperature: 0}\n'
    new = SPEC.replace("NAME", "long").replace("MODEL", "claude-sonnet-5")
    new = new.replace("MAX", "300000") + "betas: [output-300k-2026-03-24]\n"
    served.write("specs/old.yaml", old)
    served.write("specs/long.yaml", new)
    done = served.batchspec("run")
    assert done.code == 0, done.err + done.out
    assert (row(served, "old")["status"], row(served, "long")["status"]) == ("succeeded",) * 2


def test_another_header_is_another_question(served: Folder) -> None:
    """It may change the answer, so the item is asked again, for the reason that params changed."""
    served.write("batchspec.yaml", "version: 1\nname: headers\n")
    text = SPEC.replace("NAME", "a").replace("MODEL", "claude-sonnet-5").replace("MAX", "20")
    served.write("specs/a.yaml", text)
    assert served.batchspec("run").code == 0
    served.write("specs/a.yaml", text + "betas: [context-2026-01-01]\n")
    (spec,) = served.batchspec("plan", "--format", "json").json()["specs"]
    assert spec["reasons"]["params"] == 1
    served.write("specs/a.yaml", text)
    served.write("batchspec.yaml", "version: 1\nname: headers\napi: {betas: [x-2026-01-01]}\n")
    (spec,) = served.batchspec("plan", "--format", "json").json()["specs"]
    assert spec["reasons"]["params"] == 1
    served.write("specs/a.yaml", text + "betas: []\n")
    (spec,) = served.batchspec("plan", "--format", "json").json()["specs"]
    assert spec["requests"] == 0
