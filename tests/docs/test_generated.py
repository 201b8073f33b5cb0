"""Generated pages are fresh: the spec's reference from its schema, the command line's from help."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from manual import manual

from batchspec.cli.parser import COMMANDS

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference"
Fresh = Callable[[Path, str], None]

SPEC_HEAD = """\
# The spec

Every key of a spec, of the project file and of the policy file, generated from
[`schemas/spec.schema.json`](../../schemas/spec.schema.json),
[`schemas/project.schema.json`](../../schemas/project.schema.json) and
[`schemas/policy.schema.json`](../../schemas/policy.schema.json), which the loader executes.
`batchspec schema` prints the first, `batchspec schema project` and `batchspec schema policy` the
others. With this line at the top of a spec, editors complete and explain its keys:

```text
# yaml-language-server: $schema=../schemas/spec.schema.json
```

Paths in a spec are relative to the project's root: the nearest folder upward with a
`batchspec.yaml`, else the current folder. A key that is not on this page is a problem; nothing is
ignored silently. [Problems](problems.md) lists every complaint by its code.

[Pictures and documents](../how-to/pictures-and-documents.md) shows the blocks of a prompt.
"""
BLOCKS_HEAD = """
`prompt.system`, `prompt.user` and the `content` of a message are a text, a `{file: …}`, or a list
of blocks. A block is named by its first key; with `type` it is written as the API takes it. All of
them are in [an example](../../examples/blocks/).
"""
SHARED = {
    "message": "A message",
    "block": "A block",
    "image_source": "`image`, when it is no path",
    "document_source": "`document`, when it is no path",
}
"""Parts of the schema that stand in several places, with their headings."""
LINE_HEAD = """\
# The command line

Generated from the program's own `--help`. Data goes to stdout, progress and errors go to stderr.
See [exit codes](exit-codes.md) and [environment variables](environment.md).
"""


def defs(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Return a node with what it refers to, its own words over the others'."""
    reference = node.get("$ref", "")
    if reference.startswith("spec.schema.json#"):
        spec = json.loads((ROOT / "schemas/spec.schema.json").read_text(encoding="utf-8"))
        return defs(spec, walk(spec, reference.partition("#")[2])) | node
    return (walk(schema, reference[1:]) if reference else {}) | node


def walk(schema: dict[str, Any], pointer: str) -> dict[str, Any]:
    """Return what a JSON pointer names."""
    for step in pointer.strip("/").split("/"):
        schema = schema[step]
    return schema


def kind(schema: dict[str, Any], node: dict[str, Any]) -> str:
    """Say in words what a value may be."""
    node = defs(schema, node)
    if "const" in node:
        return f"`{json.dumps(node['const'])}`"
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    types = node["type"] if isinstance(node.get("type"), list) else []
    choices = node.get("anyOf", [{"type": one} for one in types])
    if choices:
        return " or ".join(kind(schema, choice) for choice in choices)
    if "type" not in node and "properties" not in node and "examples" in node:
        return listed(node["examples"])
    return word(schema, node) + limits(node)


def word(schema: dict[str, Any], node: dict[str, Any]) -> str:
    """Say in words what a value of one type is."""
    if node.get("type") == "array":
        return f"list of {kind(schema, node.get('items', {}))}"
    if node.get("title") == "File":
        return "`{file: …}`"
    words = {
        "object": "mapping",
        "string": "text",
        "integer": "integer",
        "number": "number",
        "boolean": "true or false",
    }
    other = "mapping" if "properties" in node else "any"
    return words.get(node.get("type", ""), other)


def listed(examples: list[Any]) -> str:
    """Say in words what a value may be that the API checks, by its examples."""
    if len(examples) > 1 and all(isinstance(value, str) for value in examples):
        return ", ".join(f"`{value}`" for value in examples)
    kinds = {str: "text", list: "list", dict: "mapping", int: "integer", float: "number"}
    return kinds[type(examples[0])]


def limits(node: dict[str, Any]) -> str:
    """Say in words how small and how large a number may be."""
    least, most = node.get("minimum"), node.get("maximum")
    if "exclusiveMinimum" in node:
        return f", more than {node['exclusiveMinimum']:,}, at most {most:,}"
    if least is None:
        return ""
    return f", at least {least:,}" if most is None else f", {least:,} to {most:,}"


def rows(schema: dict[str, Any], node: dict[str, Any], before: str) -> Iterator[tuple[str, ...]]:
    """Yield name, type, default and description of a mapping's keys, nested ones included."""
    required = node.get("required", [])
    for name, raw in node.get("properties", {}).items():
        child = defs(schema, raw)
        own_words = raw if "description" in raw else child
        default = json.dumps(own_words["default"]) if "default" in own_words else ""
        need = "required" if name in required else f"`{default}`" if default else ""
        path = f"{before}{name}"
        yield path, kind(schema, raw), need, child.get("description", "")
        if child.get("title") != "File":
            yield from nested(schema, child, path)


def nested(schema: dict[str, Any], child: dict[str, Any], path: str) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a mapping below a key, of a list's mappings too."""
    if child.get("type") == "object" or "properties" in child:
        yield from rows(schema, child, f"{path}.")
        yield from by_name(schema, child, path)
    elif child.get("type") == "array":
        inner = defs(schema, child.get("items", {}))
        yield from rows(schema, inner, f"{path}[].") if inner.get("type") == "object" else ()
    elif path == "outputs":
        yield from rows(schema, walk(schema, "$defs/output"), "outputs.")


def by_name(schema: dict[str, Any], child: dict[str, Any], path: str) -> Iterator[tuple[str, ...]]:
    """Yield the rows of what stands below names of the author's choice; one level is enough."""
    named = child.get("additionalProperties")
    node = defs(schema, named) if isinstance(named, dict) else {}
    flat = {name: {**raw, "properties": {}} for name, raw in node.get("properties", {}).items()}
    yield from rows(schema, {**node, "properties": flat}, f"{path}.NAME.")


def cell(text: str) -> str:
    """Escape a table cell."""
    return text.replace("|", "\\|")


def table(schema: dict[str, Any], node: dict[str, Any], before: str) -> str:
    """Return the Markdown table of a mapping's keys."""
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{path}` | {cell(words)} | {cell(need)} | {cell(meaning)} |"
        for path, words, need, meaning in rows(schema, node, before)
    ]
    return "\n".join(lines)


def section(schema: dict[str, Any], name: str, node: dict[str, Any]) -> str:
    """Return the section of one top-level key."""
    child = defs(schema, node)
    need = "Required." if name in schema.get("required", []) else ""
    default = f"Default: `{json.dumps(child['default'])}`." if child.get("default") else ""
    facts = " ".join(filter(None, [f"{kind(schema, node).capitalize()}.", need, default]))
    parts = [f"### `{name}`", child.get("description", ""), facts]
    if child.get("title") != "File" and list(nested(schema, child, name)):
        lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{path}` | {cell(words)} | {cell(need)} | {cell(meaning)} |"
            for path, words, need, meaning in nested(schema, child, name)
        ]
        parts.append("\n".join(lines))
    shown = [example(value, name) for value in child.get("examples", [])[:2]]
    return "\n\n".join([*filter(None, parts), *shown])


def example(value: Any, name: str) -> str:
    """Return one example as YAML; JSON is YAML."""
    return f"```yaml\n{name}: {json.dumps(value, ensure_ascii=False)}\n```"


def spec_page() -> str:
    """Return docs/reference/spec.md."""
    parts = [SPEC_HEAD.strip(), "## A spec"]
    spec = json.loads((ROOT / "schemas/spec.schema.json").read_text(encoding="utf-8"))
    parts += [section(spec, name, node) for name, node in spec["properties"].items()]
    parts += ["## Messages and blocks", BLOCKS_HEAD.strip()]
    for name, title in SHARED.items():
        node = walk(spec, f"$defs/{name}")
        parts += [f"### {title}", node.get("description", ""), table(spec, node, "")]
    project = json.loads((ROOT / "schemas/project.schema.json").read_text(encoding="utf-8"))
    parts += ["## The project file", project["description"], table(project, own(project), "")]
    policy = json.loads((ROOT / "schemas/policy.schema.json").read_text(encoding="utf-8"))
    parts += ["## The policy file", policy["description"], table(policy, policy, "")]
    return "\n\n".join(parts) + "\n"


def own(project: dict[str, Any]) -> dict[str, Any]:
    """Return the project file's keys; those of `defaults` are the spec's and stand above."""
    defaults = {**project["properties"]["defaults"], "properties": {}}
    return {**project, "properties": {**project["properties"], "defaults": defaults}}


def command_page() -> str:
    """Return docs/reference/command-line.md."""
    parts = [LINE_HEAD.strip(), "## `batchspec`", help_block()]
    for name in COMMANDS:
        parts += [f"## `batchspec {name}`", help_block(name)]
    return "\n\n".join(parts) + "\n"


def help_block(*command: str) -> str:
    """Return the help of the program or of a command as a block."""
    done = subprocess.run(
        [sys.executable, "-m", "batchspec", *command, "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return f"```text\n{done.stdout.strip()}\n```"


def test_the_reference_of_specs_is_fresh(fresh: Fresh) -> None:
    """docs/reference/spec.md is what the schemas say."""
    fresh(REFERENCE / "spec.md", spec_page())


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="argparse words its help anew")
def test_the_reference_of_commands_is_fresh(fresh: Fresh) -> None:
    """docs/reference/command-line.md is what `--help` says."""
    fresh(REFERENCE / "command-line.md", command_page())


def test_the_manual_is_fresh(fresh: Fresh) -> None:
    """docs/batchspec.1 is what the parsers and the table of exit codes say."""
    fresh(ROOT / "docs/batchspec.1", manual())


def test_every_key_is_on_the_page() -> None:
    """No property of the schema is left out of the reference."""
    page = spec_page()
    spec = json.loads((ROOT / "schemas/spec.schema.json").read_text(encoding="utf-8"))
    for name in spec["properties"]:
        assert f"### `{name}`" in page
    assert re.search(r"`response\.on_invalid` \| `retry`, `keep`, `fail`", page)
