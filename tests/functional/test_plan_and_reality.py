"""What a plan expects, by kind of content, beside what the run then uses and costs.

The bounds are those of docs/explanation/estimates.md, where a reader finds them.
"""

# ruff: noqa: E501, S608 - a spec stands in one line, and the SQL is the test's own.

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.functional.conftest import Folder, MakeEmulator, MakeProject

PAGE = Path(__file__).parents[2] / "docs/explanation/estimates.md"
ROW = re.compile(r"^\| `([\w-]+)` \|[^|]*\| (\d+) % \| (\d+) % \|$", re.MULTILINE)
LONG = "A sentence that every request shares with all the others. " * 200
HEAD = """\
version: 1
inputs: {table: data/rows.csv, key: id}
model: claude-opus-5-5
max_tokens: 60
"""
TOOL = "{name: note, input_schema: {type: object, properties: {said: {type: string}}}}"
SCHEMA = (
    "{type: object, additionalProperties: false, required: [a], properties: {a: {type: string}}}"
)
ASK = '{text: "{{ say }} {{ id }}."}'
KINDS = {
    "text": 'prompt: {system: "Be brief.", user: "{{ say }} {{ id }}, {{ body }}"}\n',
    "cjk": f'prompt: {{user: "{{{{ say }}}} {{{{ id }}}} {"質問に答えてください。" * 9}"}}\n',
    "turns": f"prompt: {{messages: [{{file: data/turns.jsonl}}, {{role: user, content: [{ASK}]}}]}}\n",
    "image": f'prompt: {{user: [{{image: "data/{{{{ id % 3 }}}}.png"}}, {ASK}]}}\n',
    "image-upload": f'files_api: true\nprompt: {{user: [{ASK}, {{image: "data/{{{{ id % 3 }}}}.png"}}]}}\n',
    "image-address": f'prompt: {{user: [{{image: "https://example.com/{{{{ id }}}}.png"}}, {ASK}]}}\n',
    "document-address": f'prompt: {{user: [{{document: "https://example.com/{{{{ id }}}}"}}, {ASK}]}}\n',
    "pdf": f'prompt: {{user: [{{document: "data/{{{{ id % 2 }}}}.pdf"}}, {ASK}]}}\n',
    "pdf-upload": f'files_api: true\nprompt: {{user: [{ASK}, {{document: "data/{{{{ id % 2 }}}}.pdf"}}]}}\n',
    "document": f'prompt: {{user: [{{document: {{text: "{{{{ body }}}}"}}, citations: true}}, {ASK}]}}\n',
    "search-result": f'prompt: {{user: [{{search_result: "https://example.com", title: t, content: ["{{{{ body }}}}"]}}, {ASK}]}}\n',
    "tool": f"prompt: {{user: [{ASK}]}}\nparams: {{tools: [{TOOL}], tool_choice: {{type: none}}}}\n",
    "schema": f"prompt: {{user: [{ASK}, {{text: '{{{{ body }}}}'}}]}}\nresponse: {{schema: {SCHEMA}}}\n",
    "cached": 'prompt: {system: {file: data/long.md}, user: "{{ say }} {{ id }}"}\n',
    "cached-5m": 'cache: 5m\nprompt: {system: {file: data/other.md}, user: "{{ say }} {{ id }}!"}\n',
    "cached-groups": f'cache: "off"\nprompt: {{user: [{{text: "{{{{ say }}}} {{{{ id % 3 }}}} {LONG}", cache: 1h}}, {ASK}]}}\n',
    "never-cached": f'cache: "off"\nprompt: {{user: [{{text: "{{{{ id }}}} {{{{ say }}}} {LONG}", cache: true}}, {ASK}]}}\n',
}  # fmt: skip
ITEMS = 32


def png(side: int) -> bytes:
    """Return the header of a square picture, which is all that is looked at."""
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + side.to_bytes(4, "big") * 2 + b"\x08\0\0\0\0"


def pdf(pages: int) -> bytes:
    """Return something that passes for a PDF."""
    return b"%PDF-1.4\n" + b"<</Type/Page>>\n" * pages + b"<</Type/Pages/Count %d>> endobj" % pages


def rows(say: str) -> str:
    """Return the inputs; another word makes every question another one."""
    body = "Words of the ticket, some of them long and others short. "
    lines = [f'{number},{say},"{body * (1 + number % 5)}"\n' for number in range(ITEMS)]
    return "id,say,body\n" + "".join(lines)


@pytest.fixture
def folder(project: MakeProject, emulator: MakeEmulator) -> Folder:
    """Return a project with a spec for each kind of content, on a server that keeps its cache."""
    turns = '{"user": "Say hello.", "assistant": "Hello, and welcome to all of you."}\n'
    made = project(
        {
            "batchspec.yaml": "version: 1\nname: kinds\n",
            "data/rows.csv": rows("Say"),
            "data/turns.jsonl": turns,
            "data/long.md": LONG,
            "data/other.md": f"Others. {LONG}",
            **{f"data/{number}.png": png(200 + 300 * number) for number in range(3)},
            **{f"data/{number}.pdf": pdf(1 + number) for number in range(2)},
        }
    )
    select = "SELECT any_value(prompt) AS prompt, any_value(cost) AS cost FROM"
    for name, text in KINDS.items():
        query = (
            f"{select} (SELECT request_hash, input_tokens + cache_read + cache_write_5m"
            " + cache_write_1h AS prompt, cost_usd AS cost FROM results) GROUP BY request_hash"
        )
        made.write(
            f"specs/{name}.yaml",
            f"{HEAD}name: {name}\noutputs: {{path: out/{name}.jsonl, select: {query!r}}}\n{text}",
        )
    # So slow that no prefix is lost from the cache because the machine is busy.
    server = emulator(delay_seconds=3.0, cache_warm_seconds=0.1, speed=60.0)
    made.environ["ANTHROPIC_BASE_URL"] = server.base_url
    made.environ["ANTHROPIC_API_KEY"] = "canary-key-of-a-test"
    return made


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One spec: its plan, and what became of it."""

    estimate: dict[str, Any]
    prompt: int
    usd: float

    @property
    def below_most(self) -> bool:
        """Whether the cost is not above the most that the plan said."""
        return self.usd <= float(self.estimate["usd_max"]) * 1.0001

    @property
    def within(self) -> bool:
        """Whether the cost lies between the least and the most that the plan said."""
        return self.below_most and float(self.estimate["usd_min"]) <= self.usd * 1.0001

    @property
    def tokens_off(self) -> float:
        """By how many percent the plan's input tokens are off."""
        return 100 * abs(float(self.estimate["input_tokens"]) / self.prompt - 1)

    @property
    def usd_off(self) -> float:
        """By how many percent the expected price is off."""
        return 100 * abs(float(self.estimate["usd"]) / self.usd - 1)


def compared(folder: Folder) -> dict[str, Compared]:
    """Plan and run all specs."""
    done = folder.batchspec("plan", "--format", "json")
    assert done.code == 0, done.out + done.err
    plans = {spec["name"]: spec["estimate"] for spec in done.json()["specs"]}
    ran = folder.batchspec("run", timeout=300)
    assert ran.code == 0, ran.out + ran.err
    found = {}
    for name, estimate in plans.items():
        answers = folder.rows(f"out/{name}.jsonl")
        found[name] = Compared(
            estimate=estimate,
            prompt=sum(row["prompt"] for row in answers),
            usd=sum(float(row["cost"]) for row in answers),
        )
    return found


def test_plans_agree_with_what_is_used(folder: Folder) -> None:
    """At first nothing costs more than the plan's most; after one run it is as near as stated."""
    stated = {name: (int(t), int(u)) for name, t, u in ROW.findall(PAGE.read_text("utf-8"))}
    assert stated.keys() == KINDS.keys()
    first = compared(folder)
    assert [name for name, one in first.items() if not one.below_most] == []
    notes = json.dumps(first["never-cached"].estimate["notes"])
    assert "can never hit" in notes
    # Other rows, and other prefixes: one that an earlier run left in the cache would cost less.
    folder.write("data/rows.csv", rows("Tell"))
    folder.write("data/long.md", f"Again. {LONG}")
    folder.write("data/other.md", f"Again, others. {LONG}")
    second = compared(folder)
    assert [name for name, one in second.items() if not one.within] == []
    far = {
        name: (round(one.tokens_off, 1), round(one.usd_off, 1))
        for name, one in second.items()
        if one.tokens_off > stated[name][0] or one.usd_off > stated[name][1]
    }
    assert far == {}
