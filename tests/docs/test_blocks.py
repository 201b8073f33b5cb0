"""Every YAML block of a page is what it looks like: a valid spec, project file or other YAML."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ruamel.yaml import YAML

from batchspec.cli.main import main
from batchspec.cli.terminal import Terminal

if TYPE_CHECKING:
    from tests.docs.conftest import Page

ROOT = Path(__file__).parents[2]
TICKETS = (
    "id,lang,product,subject,body,score\nT-1,en,mail,Hello,Good day,3\nT-2,de,web,Hallo,Tag,4\n"
)
SCHEMA = """\
{"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"],
 "additionalProperties": false}
"""
FILES = {
    "data/tickets.csv": TICKETS,
    "data/reviews.csv": "id,product,stars,text\n1,mail,5,Fine\n2,web,2,Slow\n",
    "data/questions.jsonl": '{"id": "a", "question": "Why?"}\n',
    "old/answers.jsonl": '{"key": "b", "result": "So."}\n',
    "docs/page.md": "# A page\n\nText.\n",
    "papers/lease.pdf": (ROOT / "examples/papers/papers/lease.pdf").read_text("ascii"),
    "prompts/reviews.md": "You read reviews.\n",
    "prompts/triage.md": "Label support tickets.\n",
    "prompts/labels.md": "Label support tickets.\n",
    "prompts/tone.md": "Be short.\n",
    "schemas/triage.json": SCHEMA,
    "schemas/label.json": SCHEMA,
    "schemas/complaint.json": SCHEMA.replace("label", "complaint"),
    "sql/tickets.sql": "SELECT * FROM 'data/tickets.csv'\n",
}
"""What specs on pages read."""


def test_specs_on_pages_are_valid(page_with_yaml: Page, tmp_path: Path) -> None:
    """A spec that a page shows has no problem, inputs and templates included, unless it says so."""
    for number, block in enumerate(page_with_yaml.blocks()):
        if block.kind != "yaml":
            continue
        data = YAML(typ="safe").load(block.text)
        if not isinstance(data, dict) or not {"version", "prompt"} <= data.keys():
            continue
        root = tmp_path / str(number)
        for name, text in {**FILES, "specs/page.yaml": block.text}.items():
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        out = io.StringIO()
        terminal = Terminal(stdout=out, stderr=out, environ={})
        code = main(["--project", str(root), "validate", "--inputs"], terminal)
        place = f"{page_with_yaml.name}:{block.line}\n{out.getvalue()}"
        assert code == int(block.mistaken), place
        assert block.mistaken or out.getvalue() == "1 spec, no problems.\n", place


def test_project_files_on_pages_are_valid(page_with_yaml: Page, tmp_path: Path) -> None:
    """A project file that a page shows is taken as it stands."""
    for number, block in enumerate(page_with_yaml.blocks()):
        data = YAML(typ="safe").load(block.text) if block.kind == "yaml" else None
        if not isinstance(data, dict) or "version" not in data or {"prompt", "rules"} & set(data):
            continue
        root = tmp_path / str(number)
        (root / "specs").mkdir(parents=True)
        (root / "specs/one.yaml").write_text(ONE, encoding="utf-8")
        text = block.text if "specs" in data else f"{block.text}specs: [specs/*.yaml]\n"
        (root / "batchspec.yaml").write_text(text, encoding="utf-8")
        out = io.StringIO()
        terminal = Terminal(stdout=out, stderr=out, environ={})
        code = main(["--project", str(root), "validate"], terminal)
        assert code == 0, f"{page_with_yaml.name}:{block.line}\n{out.getvalue()}"


def test_policies_on_pages_are_valid(page_with_yaml: Page, tmp_path: Path) -> None:
    """A policy that a page shows is understood; it may forbid the spec that is there."""
    for number, block in enumerate(page_with_yaml.blocks()):
        data = YAML(typ="safe").load(block.text) if block.kind == "yaml" else None
        if not isinstance(data, dict) or not {"version", "rules"} <= set(data):
            continue
        root = tmp_path / str(number)
        (root / "specs").mkdir(parents=True)
        (root / "specs/one.yaml").write_text(ONE, encoding="utf-8")
        (root / "policy.yaml").write_text(block.text, encoding="utf-8")
        out = io.StringIO()
        terminal = Terminal(stdout=out, stderr=out, environ={})
        main(["--project", str(root), "validate", "--format", "json"], terminal)
        for problem in json.loads(out.getvalue())["problems"]:
            assert problem["code"].startswith(("policy-", "waiver-")), problem


ONE = """\
version: 1
inputs: {rows: [{id: 1}], key: id}
model: claude-haiku-4-5
max_tokens: 5
prompt: {user: 'Say {{ id }}'}
outputs: {path: out/one.jsonl}
"""
