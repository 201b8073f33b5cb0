"""Tables of the reference name what the code has: variables, exit codes, words, matrix rows."""

from __future__ import annotations

import importlib
import re
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from batchspec.api.catalogue import load_catalogue
from batchspec.cli import exits
from batchspec.plan.cost import BATCH_FACTOR
from batchspec.plan.hashing import parse_custom_id

ROOT = Path(__file__).parents[2]
VARIABLE = re.compile(r"\b(?:BATCHSPEC|ANTHROPIC|XDG)_[A-Z_]*[A-Z]\b")
CI_SECTION = re.compile(r"^## Set by CI systems$.*?(?=^## )", re.DOTALL | re.MULTILINE)
WORD_ROW = re.compile(r"^\| \*\*([\w ]+)\*\* \|.*\| `([\w.]+)` \|$", re.MULTILINE)
NOT_VARIABLES = {"ANTHROPIC_API_VERSION"}
"""A name inside the SDK."""
OTHERS = {"NO_COLOR", "TERM", "CI", "HOME"}


def page(name: str) -> str:
    """Return a page's text."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def first_cells(text: str) -> list[str]:
    """Return the code in the first cell of each table row."""
    return re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)


def sources() -> str:
    """Return the text of the program."""
    paths = sorted((ROOT / "runner").rglob("*.py"))
    return "".join(path.read_text(encoding="utf-8") for path in paths)


def test_every_variable_is_explained() -> None:
    """docs/reference/environment.md has the variables that the program reads, and no others."""
    explained = CI_SECTION.sub("", page("reference/environment.md"))
    used = set(VARIABLE.findall(sources()))
    assert set(first_cells(explained)) == (used - NOT_VARIABLES) | OTHERS


def test_variables_of_ci_systems_are_read() -> None:
    """What the page says of the variables that a CI system sets is about ones that are read."""
    (section,) = CI_SECTION.findall(page("reference/environment.md"))
    text = sources()
    assert not [name for name in first_cells(section) if f'"{name}"' not in text]


def test_every_exit_code_is_explained() -> None:
    """docs/reference/exit-codes.md has the codes of `cli.exits`, and no others."""
    codes = {str(value) for name, value in vars(exits).items() if name.isupper()}
    assert set(first_cells(page("reference/exit-codes.md"))) == codes


def test_every_word_has_its_place_in_the_code() -> None:
    """A word of the glossary is a type, a function or a constant of the program."""
    rows = WORD_ROW.findall(page("glossary.md"))
    assert len(rows) >= 15
    for word, name in rows:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(f"batchspec.{module}"), attribute), word


def test_the_crash_matrix_names_tests_that_exist() -> None:
    """A test that the matrix points to is a function, a class or a case of that file."""
    cited = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page("explanation/pay-once.md"))
    assert len(cited) > 10
    for path, name in cited:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not name or re.search(rf"^def {name}\(", text, re.MULTILINE), f"{path}::{name}"


def test_the_example_of_an_id_is_one() -> None:
    """The `custom_id` that the protocol's page shows is read as one of ours."""
    shown = re.search(r"^c1-[a-z2-7].*$", page("explanation/pay-once.md"), re.MULTILINE)
    assert shown is not None
    assert parse_custom_id(shown[0]) is not None


def test_the_economics_of_caching_are_those_of_the_catalogue() -> None:
    """The table's dollars, and the shares from which caching pays, follow from the prices."""
    text = page("explanation/caching.md")
    prices = load_catalogue().prices("claude-haiku-4-5")
    assert prices is not None
    rates = prices.rates
    million = 10 * BATCH_FACTOR
    rows = re.findall(r"^\| ([\d.]+) % \| \$([\d.]+) \| \$([\d.]+) \|$", text, re.MULTILINE)
    assert len(rows) == 5
    assert f"without caching: ${million * rates.input:.2f}" in text
    for share, *shown in rows:
        read = Decimal(share) / 100
        for write, usd in zip((rates.cache_write_5m, rates.cache_write_1h), shown, strict=True):
            cost = million * (read * rates.cache_read + (1 - read) * write)
            assert cost.quantize(Decimal("0.01"), ROUND_HALF_UP) == Decimal(usd), share
    for write, said in ((rates.cache_write_5m, 22), (rates.cache_write_1h, 53)):
        assert round(100 * (write - rates.input) / (write - rates.cache_read)) == said
        assert f"{said} percent" in text
