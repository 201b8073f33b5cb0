"""A project's defaults under a spec: what is merged, what is replaced, and where it then stands."""

from __future__ import annotations

from typing import Any

import pytest

from batchspec.spec.defaults import under
from batchspec.spec.load import parse_yaml


def merged(defaults: str, spec: str) -> Any:
    """Return the data of a spec with defaults under it."""
    project = parse_yaml(f"defaults: {defaults}\n".encode(), "batchspec.yaml")[0]
    document = parse_yaml(f"{spec}\n".encode(), "a.yaml")[0]
    assert project is not None
    assert document is not None
    return under(project, document).data


@pytest.mark.parametrize(
    ("defaults", "spec", "expected"),
    [
        ("{model: a}", "{}", {"model": "a"}),
        ("{model: a}", "{model: b}", {"model": "b"}),
        ("{retry: {errored: 1, expired: 2}}", "{retry: {expired: 5}}",
         {"retry": {"errored": 1, "expired": 5}}),
        ("{vars: {a: {b: 1}}}", "{vars: {a: {c: 2}}}", {"vars": {"a": {"b": 1, "c": 2}}}),
        ("{params: {thinking: {type: enabled, budget_tokens: 9}}}",
         "{params: {thinking: {type: disabled}}}", {"params": {"thinking": {"type": "disabled"}}}),
        ("{params: {a: 1}}", "{params: {b: 2}}", {"params": {"a": 1, "b": 2}}),
        ("{response: {schema: {file: a.json}, attempts: 3}}",
         "{response: {schema: {type: object}}}",
         {"response": {"schema": {"type": "object"}, "attempts": 3}}),
        ("{prompt: {system: {file: a.md}}}", "{prompt: {system: Hi, user: You}}",
         {"prompt": {"system": "Hi", "user": "You"}}),
        ("{prompt: {user: You}}", "{prompt: {messages: []}}", {"prompt": {"messages": []}}),
        ("{inputs: {table: a.csv, sample: {rows: 1}}}", "{inputs: {sql: SELECT 1}}",
         {"inputs": {"sql": "SELECT 1", "sample": {"rows": 1}}}),
        ("{outputs: {select: SELECT 1}}", "{outputs: [{path: a}]}", {"outputs": [{"path": "a"}]}),
        ("{checks: [{name: a}]}", "{checks: []}", {"checks": []}),
        ("{model: a}", "{model: }", {"model": None}),
    ],
)  # fmt: skip
def test_the_spec_wins(defaults: str, spec: str, expected: object) -> None:
    """Mappings are merged; texts, schemas, lists and single parameters are not."""
    assert merged(defaults, spec) == expected


def test_inherited_values_stand_in_the_project_file() -> None:
    """A problem with a default is shown where it can be corrected."""
    project = parse_yaml(b"version: 1\ndefaults:\n  retry: {errored: 1}\n", "batchspec.yaml")[0]
    spec = parse_yaml(b"retry: {expired: 2}\n", "a.yaml")[0]
    assert project is not None
    assert spec is not None
    document = under(project, spec)
    inherited = document.place(("retry", "errored"))
    assert (inherited.file, inherited.line, inherited.column) == ("batchspec.yaml", 3, 20)
    assert document.place(("retry", "expired")).file == "a.yaml"
    assert document.place(("retry",)).file == "a.yaml"


def test_without_defaults_the_spec_is_as_it_is() -> None:
    """Nothing is copied when there is nothing to merge."""
    spec = parse_yaml(b"model: a\n", "a.yaml")[0]
    project = parse_yaml(b"version: 1\n", "batchspec.yaml")[0]
    assert spec is not None
    assert under(None, spec) is spec
    assert under(project, spec) is spec
