"""Specs with anything anywhere: always problems or a spec, never an exception."""

from __future__ import annotations

import copy
import datetime as dt
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchspec.problems import has_errors
from batchspec.spec.draft import Draft
from batchspec.spec.facts import ModelFacts
from batchspec.spec.family import family_problems, in_order
from batchspec.spec.load import parse_yaml
from batchspec.spec.model import ProjectFile, Spec
from batchspec.spec.rules import rule_problems
from batchspec.spec.shape import shape_problems
from batchspec.spec.subject import Subject

VALID = Path(__file__).parents[2] / "cases" / "valid"


def _read(name: str) -> Any:
    document, problems = parse_yaml((VALID / name).read_bytes(), name)
    assert problems == ()
    assert document is not None
    return {"name": "mutant", **document.data}


GOOD = [_read(name) for name in ("design.yaml", "rows-and-turns.yaml", "sql-file.yaml")]

Way = tuple[str | int, ...]


def ways(value: Any, way: Way = ()) -> Iterator[Way]:
    """Yield the way to every part of a value."""
    yield way
    if isinstance(value, dict | list):
        for step, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from ways(part, (*way, step))


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 400_000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "x", "../x", "a\\b", "{{ key }}", "text", "assistant", "#", "#/a", "("]),
    st.lists(st.sampled_from(["a", 1, None, {}, []]), max_size=2),
    st.dictionaries(
        st.sampled_from(["file", "text", "type", "role", "$ref", "properties", "required", "a"]),
        st.sampled_from(["a", 1, None, {}, [], ["a"], {"a": []}, "object"]),
        max_size=3,
    ),
)


@st.composite
def mutants(draw: st.DrawFn) -> Any:
    """Return a good spec with up to three parts replaced."""
    spec = copy.deepcopy(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(1, 3))):
        way = draw(st.sampled_from(sorted(ways(spec), key=repr)))
        if not way:
            continue
        inside = spec
        for step in way[:-1]:
            inside = inside[step]
        inside[way[-1]] = copy.deepcopy(draw(ODD))
    return spec


@given(mutants())
@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
def test_any_mutant_is_a_spec_or_has_a_problem(
    facts: Mapping[str, ModelFacts], today: dt.date, spec: Any
) -> None:
    """What the schema and the rules let pass, the model takes; nothing makes them fall over."""
    document, problems = parse_yaml(json.dumps(spec).encode(), "mutant.yaml")
    assert problems == ()
    assert document is not None
    subject = Subject(
        document=document,
        name="mutant",
        root=VALID,
        config=ProjectFile(),
        facts=facts,
        today=today,
    )
    found = (*shape_problems(document, "spec"), *rule_problems(subject))
    drafts = [Draft(path="mutant.yaml", name="mutant", document=document, problems=found)]
    list(family_problems(drafts))
    in_order(drafts)
    if not has_errors(found):
        Spec.model_validate(spec)
