"""Environments: overlays of the project file, each with a state and outputs of its own.

An overlay is put over the project file's data before anything reads it, so that places, rules and
settings work as if it stood there. What it changes in specs (the sample, the folder of outputs) is
put into their data, before their rules are applied.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from batchspec.problems import Place, Problem
from batchspec.records import frozen
from batchspec.spec.defaults import under
from batchspec.spec.document import Document, NodePath, Spot, shown
from batchspec.spec.model import Sample, State
from batchspec.spec.paths import complaint, normal
from batchspec.spec.words import listing, nearest

VARIABLE = "BATCHSPEC_ENV"
FOLDER = "environments"
"""Default folder of an environment's outputs: ``environments/NAME``."""
DEV = "dev"
DEV_ROWS = 20
"""So many items the environment called dev takes of each spec when it says nothing itself."""
_PLACES = {"state": "state", "outputs": "folder of outputs"}
_MERGED = ("api", "budget")


@frozen
class Environment:
    """The environment that a command works in."""

    name: str
    outputs: str
    """Folder below the project that outputs are written below."""
    sample: Sample | None
    """What is taken of each spec's items at most; None: all."""
    sample_by_default: bool
    """The project file does not say so; the name does."""

    def words(self) -> str:
        """Return one line on it for the head of a plan or a run."""
        text = f"Environment {self.name}, outputs below {self.outputs}/"
        if self.sample is None:
            return text
        text += f", at most {self.sample.rows:,} items of each spec"
        if not self.sample_by_default:
            return text
        return f"{text} ({self.name}'s default; `sample: all` takes all)"


def in_environment(
    document: Document | None, root: Path, environ: Mapping[str, str], option: str | None
) -> tuple[Environment | None, Document | None, tuple[Problem, ...]]:
    """Return the environment that is asked for, and the project file with it put over.

    Args:
        document: The project file, whose shape is right.
        root: The project's root.
        environ: The environment variables.
        option: What ``--env`` says.
    """
    problems = () if document is None else tuple(environment_problems(document, root))
    name = option or environ.get(VARIABLE)
    if not name:
        return None, document, problems
    source = "--env" if option else f"the environment variable {VARIABLE}"
    unknown = _unknown(name, source, document)
    if document is None or unknown is not None:
        return None, document, (*problems, *([unknown] if unknown else []))
    return environment_of(document, name), overlaid(document, name), problems


def _unknown(name: str, source: str, document: Document | None) -> Problem | None:
    known = document.get("environments") if document is not None else None
    names = sorted(known) if isinstance(known, dict) else []
    if name in names:
        return None
    meant = nearest(name, names)
    has = (
        f"The environments are {listing(names, 'and')}."
        if names
        else ("The project file has no environments.")
    )
    return Problem(
        code="unknown-environment",
        summary=f"there is no environment {shown(name)}",
        detail=f"It was asked for by {source}. " + (f"Did you mean {meant}?" if meant else has),
        where=document.place(("environments",), key=True) if document and names else None,
    )


def overlaid(document: Document, name: str) -> Document:
    """Return the project file with one of its environments put over it."""
    overlay: dict[str, Any] = document.get("environments", name) or {}
    data, spots = dict(document.data), dict(document.spots)
    base = ("environments", name)
    for key in _MERGED:
        if key in overlay:
            data[key] = {**(data.get(key) or {}), **overlay[key]}
            for inner in overlay[key]:
                _move(spots, document, (*base, key, inner), (key, inner))
    for key in ("state", "policy"):
        if key in overlay:
            data[key] = overlay[key]
            _move(spots, document, (*base, key), (key,))
    if "state" not in overlay:
        data["state"] = state_beside(data.get("state") or _state_default(), name)
    if "defaults" in overlay:
        whole = under(document, _part(document, (*base, "defaults")))
        data["defaults"] = whole.data
        spots = {path: spot for path, spot in spots.items() if path[:1] != ("defaults",)}
        spots |= {("defaults", *path): spot for path, spot in whole.spots.items()}
    return Document(source=document.source, data=data, spots=spots)


def _part(document: Document, base: NodePath) -> Document:
    """Return a part of a document as one of its own."""
    spots = {
        path[len(base) :]: s for path, s in document.spots.items() if path[: len(base)] == base
    }
    return Document(source=document.source, data=document.get(*base), spots=spots)


def state_beside(state: Any, name: str) -> Any:
    """Return the state of an environment that names none: beside the project's own.

    That is another folder, or another part of what is shared; where no part is named, the default
    one has the environment's name in it.
    """
    if isinstance(state, str):
        return f"{state.rstrip('/')}.{name}"
    beside = dict(state)
    if "folder" in state or "ledger" not in state:
        beside["folder"] = state_beside(state.get("folder") or _state_default(), name)
    if "namespace" in state:
        beside["namespace"] = f"{state['namespace']}-{name}"
    return beside


def environment_of(document: Document, name: str) -> Environment:
    """Return what an environment of the project file says of specs."""
    overlay: dict[str, Any] = document.get("environments", name) or {}
    given = overlay.get("sample")
    by_default = given is None and name == DEV
    sample = Sample(rows=DEV_ROWS) if by_default else None
    if isinstance(given, int):
        sample = Sample(rows=given)
    elif isinstance(given, dict):
        sample = Sample.model_validate(given)
    return Environment(
        name=name,
        outputs=_outputs(overlay, name),
        sample=sample,
        sample_by_default=by_default,
    )


def applied(document: Document, environment: Environment | None, root: Path) -> Document:
    """Return a spec's document with the sample and the outputs of an environment."""
    if environment is None or not isinstance(document.data, dict):
        return document
    data = dict(document.data)
    inputs, outputs = data.get("inputs"), data.get("outputs")
    if environment.sample is not None and isinstance(inputs, dict):
        data["inputs"] = {**inputs, "sample": _smaller(inputs.get("sample"), environment.sample)}
    if isinstance(outputs, list):
        data["outputs"] = [_below(output, environment, root) for output in outputs]
    elif outputs is not None:
        data["outputs"] = _below(outputs, environment, root)
    return Document(source=document.source, data=data, spots=document.spots)


def _smaller(own: Any, sample: Sample) -> Any:
    """Return the smaller of two samples; what is no sample stays, and is a problem of the spec."""
    if own is None:
        return sample.model_dump()
    rows = own.get("rows") if isinstance(own, dict) else None
    if not isinstance(rows, int) or rows <= sample.rows:
        return own
    return {**own, "rows": sample.rows}


def _below(output: Any, environment: Environment, root: Path) -> Any:
    path = output.get("path") if isinstance(output, dict) else None
    if not isinstance(path, str) or complaint(path, root) is not None:
        return output
    return {**output, "path": f"{environment.outputs}/{normal(path)}"}


def environment_problems(document: Document, root: Path) -> Iterator[Problem]:
    """Yield what is wrong with the environments of a project file, chosen or not.

    Two of them must not share a state or a folder of outputs: what one has answered would count as
    the other's.
    """
    found = document.get("environments")
    states: list[tuple[Any, str]] = [(_plain(document.get("state") or _state_default()), "")]
    folders: list[tuple[Any, str]] = []
    for name, overlay in found.items() if isinstance(found, dict) else ():
        own: dict[str, Any] = overlay or {}
        state, base = own.get("state"), document.get("state")
        state = state_beside(base or _state_default(), name) if state is None else state
        outputs = _outputs(own, name)
        part = _part_of(state, name)
        for key, value, taken in (("state", part, states), ("outputs", outputs, folders)):
            place = document.place(("environments", name, key))
            yield from _overlap(name, key, value, taken, place)
            taken.append((value, name))
        wrong = complaint(outputs, root)
        if wrong is not None or outputs == ".":
            yield Problem(
                code="path-outside-project",
                summary=f"the path of environments.{name}.outputs {wrong or 'is the project'}",
                detail="An environment's outputs stand apart, below the project. Name a folder.",
                where=document.place(("environments", name, "outputs")),
            )


def _overlap(
    name: str, key: str, value: Any, taken: list[tuple[Any, str]], place: Place
) -> Iterator[Problem]:
    for other, of in taken:
        if other == value:
            whose = f"of the environment {of}" if of else "of the project without an environment"
            yield Problem(
                code="environment-overlap",
                summary=f"the {_PLACES[key]} of the environment {name} is also that {whose}",
                detail="What is answered in one environment must not count in another. Give it one"
                " of its own, or leave the key out.",
                where=place,
            )


def _state_default() -> str:
    return State.model_construct().folder


def _outputs(overlay: dict[str, Any], name: str) -> str:
    return normal(overlay.get("outputs") or f"{FOLDER}/{name}")


def _part_of(state: Any, name: str) -> Any:
    """Return a state as it is compared: where no part is named, it is the environment's own."""
    if isinstance(state, dict) and "ledger" in state:
        return {"namespace": ("default of", name), **state}
    return _plain(state)


def _plain(state: Any) -> Any:
    return normal(state) if isinstance(state, str) else state


def _move(spots: dict[NodePath, Spot], document: Document, old: NodePath, new: NodePath) -> None:
    """Let the parts below ``new`` stand where those below ``old`` do."""
    for path in [path for path in spots if path[: len(new)] == new]:
        del spots[path]
    for path, spot in _part(document, old).spots.items():
        spots[(*new, *path)] = spot
