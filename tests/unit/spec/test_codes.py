"""The register of codes is complete, and its page is fresh."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from batchspec.spec.codes import CODES, THEMES, problems_page

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "runner" / "batchspec"
ROOMS = ("spec", "inputs", "prompt", "plan", "outputs", "workflow", "cli")
MAKERS = {
    "error", "warning", "Problem", "Finding", "problem_at", "_problem", "_add", "_stop", "_note",
    "_of_cache", "ItemError", "TableRefused",
}  # fmt: skip
KEBAB = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+")


def used() -> Iterator[str]:
    """Yield every code that functions of these rooms make problems with."""
    for file in (file for room in ROOMS for file in (PACKAGE / room).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in MAKERS:
                values = [*node.args, *(k.value for k in node.keywords if k.arg == "code")]
                yield from (
                    value.value
                    for value in values
                    if isinstance(value, ast.Constant)
                    and isinstance(value.value, str)
                    and KEBAB.fullmatch(value.value)
                )


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def test_every_code_in_use_is_registered() -> None:
    """A code that nobody explains cannot be looked up."""
    assert set(used()) <= set(CODES)


def test_no_code_is_registered_twice() -> None:
    """One code, one meaning."""
    codes = [code.code for theme in THEMES for code in theme.codes]
    assert sorted(codes) == sorted(set(codes))


def test_the_page_is_fresh() -> None:
    """docs/reference/problems.md is what `problems_page` returns; write it anew from there."""
    page = ROOT / "docs" / "reference" / "problems.md"
    assert page.read_text(encoding="utf-8") == problems_page()
