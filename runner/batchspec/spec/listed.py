"""The project's own list of models: what the Models API said, kept beside the project file.

``batchspec models --refresh`` writes it, so that a new model, a new limit or a retirement reaches
the rules in a change that can be reviewed, and never by a call in the middle of a plan.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from batchspec.problems import Place, Problem
from batchspec.records import frozen
from batchspec.spec.schema import published_validator

MODELS_FILE = "batchspec.models.json"
FORMAT_VERSION = 1
Lifecycle = Literal["active", "deprecated", "retired"]
_DATES = ("released", "deprecated_at", "retires_at")


@frozen
class ListedModel:
    """One model as the Models API describes it (fact sheet §8); None: the API did not say."""

    id: str
    name: str | None = None
    """For people."""
    lifecycle: Lifecycle | None = None
    released: dt.date | None = None
    deprecated_at: dt.date | None = None
    retires_at: dt.date | None = None
    context: int | None = None
    """Most tokens of a prompt."""
    max_output: int | None = None
    """Largest ``max_tokens`` without a beta."""
    batch: bool | None = None
    """Whether it can be asked in batches."""
    structured_outputs: bool | None = None
    effort: bool | None = None
    """Whether ``output_config.effort`` is accepted."""
    efforts: tuple[str, ...] | None = None
    """Accepted levels of effort."""
    thinking: tuple[str, ...] | None = None
    """Accepted ``thinking.type`` values."""
    abilities: Mapping[str, bool] | None = None
    """What it takes of `facts.ABILITIES`."""


@frozen
class ListedModels:
    """A list of models with its day."""

    as_of: dt.date
    models: tuple[ListedModel, ...]


def read_models(root: Path) -> tuple[ListedModels | None, tuple[Problem, ...]]:
    """Return the project's list; None when there is none, or when it has a problem."""
    path = root / MODELS_FILE
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None, ()
    except (OSError, ValueError, RecursionError) as error:
        return None, (_problem(f"cannot be read: {error}"),)
    wrong = next(iter(published_validator("models").iter_errors(document)), None)
    if wrong is not None:
        where = "/".join(str(step) for step in wrong.absolute_path) or "its top level"
        return None, (_problem(f"is not as expected at {where}: {wrong.message[:200]}"),)
    try:
        models = tuple(_model(entry) for entry in document["models"])
        return ListedModels(as_of=dt.date.fromisoformat(document["as_of"]), models=models), ()
    except ValueError as error:
        return None, (_problem(f"has a date that is none: {error}"),)


def models_text(listed: ListedModels) -> str:
    """Return the list as the file holds it: one model a line, so that a review shows what moved."""
    lines = [
        f"    {json.dumps(_plain(model), ensure_ascii=False)}"
        for model in sorted(listed.models, key=lambda model: model.id)
    ]
    head = f'{{\n  "format_version": {FORMAT_VERSION},\n  "as_of": "{listed.as_of}",\n'
    return head + '  "models": [\n' + ",\n".join(lines) + "\n  ]\n}\n"


def _plain(model: ListedModel) -> dict[str, Any]:
    """Return what is said of a model as JSON data."""
    said = {name: value for name, value in dataclasses.asdict(model).items() if value is not None}
    return {name: str(value) if name in _DATES else value for name, value in said.items()}


def _model(entry: Mapping[str, Any]) -> ListedModel:
    values = dict(entry)
    for name in _DATES:
        if name in values:
            values[name] = dt.date.fromisoformat(values[name])
    for name in ("efforts", "thinking"):
        if name in values:
            values[name] = tuple(values[name])
    return ListedModel(**values)


def _problem(what: str) -> Problem:
    return Problem(
        code="bad-models-file",
        summary=f"the file {MODELS_FILE} {what}",
        detail="It corrects what the program knows of models, so it is not passed over. Write it"
        " anew with `batchspec models --refresh`, or delete it.",
        where=Place(file=MODELS_FILE),
    )
