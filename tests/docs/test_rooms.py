"""The drawing of the rooms is made from the import contract, so that it shows what is enforced."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "docs/explanation/rooms.svg"
SAYS = {
    "cli": "arguments, one module per command, the one error boundary",
    "forge": "the code host of CI jobs: comments, plans, branches",
    "workflow": "effects in order",
    "report": "values in, text out",
    "outputs": "answers as tables, files, manifests, checks",
    "state": "ledger, segments, lease",
    "api": "the port and the client",
    "plan": "hashes, differences, batches, cost, saved plans",
    "prompt": "templates, requests, caching",
    "inputs": "the locked-down DuckDB, files, tables, keys",
    "spec": "YAML with places, schema, model, rules, project",
    "durable": "files that are whole or not there",
    "crashpoints": "steps to be killed at",
    "problems": "mistakes as values",
    "events": "what happens",
    "errors": "failures",
    "clock": "time",
}
WIDTH, HEIGHT, GAP, LEFT = 760, 46, 14, 20
HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" \
font-family="system-ui, sans-serif">
<title>The rooms of batchspec: each imports only from the rooms below it</title>
<style>
rect {{ fill: #e0f2f1; stroke: #00796b; }} .alone {{ fill: #fff3cd; stroke: #b38600; }}
text {{ fill: #1c1c1c; font-size: 15px; font-weight: 600; }}
.says {{ font-size: 12px; font-weight: 400; }}
path {{ stroke: #00796b; fill: none; stroke-width: 1.5; }}
</style>
"""


def layers() -> list[list[str]]:
    """Return the rooms of the import contract, from the top down."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    contracts = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    (rooms,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [
        [name.strip().removeprefix("batchspec.") for name in layer.split("|")] for layer in rooms
    ]


def box(place: tuple[float, float], width: float, room: str, *, alone: bool = False) -> str:
    """Return one room as SVG."""
    x, y = place
    says = "a second reading of the API; imports nothing of ours" if alone else SAYS.get(room, "")
    kind = ' class="alone"' if alone else ""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{HEIGHT}" rx="4"{kind}/>\n'
        f'<text x="{x + 10:g}" y="{y + 20:g}">{room}</text>\n'
        f'<text x="{x + 10:g}" y="{y + 37:g}" class="says">{says}</text>\n'
    )


def drawing() -> str:
    """Return docs/explanation/rooms.svg."""
    rows = layers()
    height = (len(rows) + 1) * (HEIGHT + GAP) + 2 * LEFT
    parts = [HEAD.format(width=WIDTH + 2 * LEFT, height=height)]
    y = float(LEFT)
    for number, row in enumerate(rows):
        width = (WIDTH - GAP * (len(row) - 1)) / len(row)
        for place, room in enumerate(row):
            parts.append(box((LEFT + place * (width + GAP), y), width, room))
        if number < len(rows) - 1:
            middle, end = LEFT + WIDTH / 2, y + HEIGHT + GAP
            parts.append(f'<path d="M{middle:g} {end - GAP:g}V{end - 1:g}m-4 -5l4 5l4 -5"/>\n')
        y += HEIGHT + GAP
    parts.append(box((LEFT, y + GAP), WIDTH, "emulator", alone=True))
    return "".join(parts) + "</svg>\n"


def test_the_drawing_is_fresh(fresh: Callable[[Path, str], None]) -> None:
    """docs/explanation/rooms.svg shows the layers that import-linter keeps."""
    fresh(TARGET, drawing())
