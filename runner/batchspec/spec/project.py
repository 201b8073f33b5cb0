"""The project: its root and settings, its specs, and the order in which they need each other."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from batchspec.problems import Place, Problem, Severity, has_errors
from batchspec.records import frozen
from batchspec.spec.betas import project_betas
from batchspec.spec.document import Document
from batchspec.spec.draft import Draft, Reading, read_draft
from batchspec.spec.environments import (
    Environment,
    in_environment,
    state_beside,
)
from batchspec.spec.facts import ModelFacts
from batchspec.spec.family import circle_of, family_problems, in_order
from batchspec.spec.find import choose, find_specs
from batchspec.spec.listed import ListedModels, read_models
from batchspec.spec.load import read_yaml
from batchspec.spec.model import ProjectFile, Spec, State
from batchspec.spec.paths import complaint
from batchspec.spec.policy import POLICY_FILE, Policy, read_policy
from batchspec.spec.rules_relay import header_problems
from batchspec.spec.secrets import secret_problems
from batchspec.spec.settings import (
    API_VERSIONS,
    base_url_problems,
    base_url_source,
    overridden,
)
from batchspec.spec.shape import shape_problems
from batchspec.spec.shared_state import default_namespace, identity, state_problems
from batchspec.spec.words import listing

PROJECT_FILE = "batchspec.yaml"
_PATHS = {
    ("state",): "BATCHSPEC_STATE",
    ("state", "folder"): "BATCHSPEC_STATE",
    ("emulator", "answers"): "BATCHSPEC_EMULATOR_ANSWERS",
    ("emulator", "replay"): "BATCHSPEC_EMULATOR_REPLAY",
}
"""Settings that are paths, and the variables that override them."""


@frozen
class Project:
    """A folder with specs and data, and the settings that hold there."""

    root: Path
    """Absolute, symlinks resolved. Every path in a spec is relative to it."""
    config: ProjectFile
    """The project file with the environment's settings over it."""
    name: str
    """``name`` of the project file, else the folder's name. Part of every custom_id."""
    state_dir: Path
    """Absolute. What is known of real work; of a shared state, this machine's copies."""
    emulated_dir: Path
    """Absolute. What is known of emulated work; never the same as ``state_dir``."""
    namespace: str = "project"
    """The project's part of a shared state's database and bucket."""
    file: Path | None
    """The project file, if there is one."""
    document: Document | None = None
    """The project file's data and places; specs take their defaults from it."""
    models: ListedModels | None = None
    """What the project's own list says of models; None: there is none."""
    environment: Environment | None = None
    """The environment that the command works in; None: none was asked for."""
    policy: Policy | None = None
    """What specs are held against; None: there is none, or it was not read (`with_policy`)."""

    @property
    def cache_dir(self) -> Path:
        """What can be rebuilt from the state at any time."""
        return self.state_dir / "cache"


@frozen
class LoadedSpec:
    """A spec without errors, and where its parts stand."""

    spec: Spec
    path: str
    """The file, relative to the project's root, with forward slashes."""
    document: Document
    needed: tuple[LoadedSpec, ...] = ()
    """The specs it needs, in the order of ``needs``."""

    def place(self, *path: str | int, key: bool = False) -> Place:
        """Return where the value at ``path`` stands, or with ``key`` its key."""
        return self.document.place(path, key=key)


def find_root(start: Path, override: Path | None) -> Path:
    """Return the project's root.

    It is ``override``, else the nearest folder from ``start`` upward that has a project file, else
    ``start``.
    """
    if override is not None:
        return override.resolve()
    start = start.resolve()
    return next((at for at in (start, *start.parents) if (at / PROJECT_FILE).is_file()), start)


def load_project(
    root: Path,
    environ: Mapping[str, str],
    *,
    env: str | None = None,
    with_models: bool = True,
) -> tuple[Project | None, tuple[Problem, ...]]:
    """Read the project file below ``root``, if there is one, and what is put over it.

    Args:
        root: The project's root.
        environ: The environment variables.
        env: The environment of the project that is asked for; None: ``BATCHSPEC_ENV``, else none.
        with_models: Read the project's own list of models too.
    """
    project, problems = _load_project(root.resolve(), environ, env)
    if project is not None and with_models:
        models, wrong = read_models(project.root)
        problems += wrong
        project = None if wrong else replace(project, models=models)
    return project, _sorted(problems)


def _load_project(
    root: Path, environ: Mapping[str, str], env: str | None
) -> tuple[Project | None, tuple[Problem, ...]]:
    file = root / PROJECT_FILE
    document: Document | None = None
    problems: tuple[Problem, ...] = _misnamed(root)
    if file.is_file():
        document, found = read_yaml(file, root)
        problems += found
        if document is None:
            return None, problems
        problems += (*shape_problems(document, "project"), *secret_problems(document))
    environment: Environment | None = None
    if not has_errors(problems):
        environment, document, found = in_environment(document, root, environ, env)
        problems += found
    data = document.data if document is not None and isinstance(document.data, dict) else {}
    if has_errors(problems):
        return None, problems
    settings, wrong = overridden(data, environ)
    if environment is not None:
        settings["state"] = _apart(settings["state"], environ, environment.name)
    problems += (*wrong, *_path_problems(document, root))
    config = ProjectFile.model_validate(settings)
    problems += tuple(state_problems(config.state, document))
    problems += (*_base_url(config, document, environ), *_version(config, document))
    problems += project_betas(config.api.betas, document)
    problems += tuple(header_problems(config, document))
    if has_errors(problems):
        return None, problems
    project = _project(root, config, file if document else None, document, environment)
    return project, problems


def _project(
    root: Path,
    config: ProjectFile,
    file: Path | None,
    document: Document | None,
    environment: Environment | None,
) -> Project:
    name = config.name or root.name or "project"
    ending = part = ""
    if environment is not None:
        ending, part = f".{environment.name}", f"-{environment.name}"
    space = config.state.namespace or default_namespace(f"{name}{part}")
    return Project(
        root=root,
        config=config,
        name=name,
        namespace=space,
        state_dir=_state_dir(root, config.state, space),
        emulated_dir=root / ".batchspec" / f"emulated{ending}",
        file=file,
        document=document,
        environment=environment,
    )


def _apart(state: dict[str, Any], environ: Mapping[str, str], environment: str) -> dict[str, Any]:
    """Return the state's settings with what variables say of every environment made its own."""
    named = {"BATCHSPEC_STATE": "folder", "BATCHSPEC_STATE_NAMESPACE": "namespace"}
    keys = {key for variable, key in named.items() if environ.get(variable)}
    own = state_beside({key: state[key] for key in keys}, environment) if keys else {}
    return {**state, **{key: own[key] for key in keys}}


def _state_dir(root: Path, state: State, space: str) -> Path:
    """Return the folder of the local state, or where this machine works on the shared one."""
    if state.ledger is None:
        return (root / state.folder).resolve()
    key = f"{identity(state.ledger)} {identity(state.segments or '')} {space}"
    digest = hashlib.sha256(key.encode()).hexdigest()[:8]
    return root / ".batchspec" / "cache" / f"{space}-{digest}"


def _misnamed(root: Path) -> tuple[Problem, ...]:
    wrong = root / "batchspec.yml"
    if not wrong.is_file():
        return ()
    return (
        Problem(
            code="misnamed-project-file",
            summary="the file batchspec.yml is not read",
            detail="The project file is called batchspec.yaml, and only that. Rename it.",
            severity=Severity.WARNING,
            where=Place(file="batchspec.yml"),
        ),
    )


def _path_problems(document: Document | None, root: Path) -> Iterator[Problem]:
    """Check the paths of the project file: it is shared, and paths of one machine are not."""
    for path, variable in _PATHS.items():
        value = None if document is None else document.get(*path)
        wrong = complaint(value, root) if isinstance(value, str) else None
        if document is None or wrong is None:
            continue
        yield Problem(
            code="path-outside-project",
            summary=f"the path of {'.'.join(path)} {wrong}",
            detail="The project file is shared, and a path of one machine is not. Write a path"
            f" below the project, or set {variable} on the machine that needs another.",
            where=document.place(path),
        )


def _base_url(
    config: ProjectFile, document: Document | None, environ: Mapping[str, str]
) -> tuple[Problem, ...]:
    if config.api.base_url is None:
        return ()
    data = document.data if document is not None else {}
    variable = base_url_source(data, environ)
    where = document.place(("api", "base_url")) if variable is None and document else None
    source = f" It comes from the environment variable {variable}." if variable else ""
    return tuple(
        Problem(code="bad-base-url", summary=summary, detail=detail + source, where=where)
        for summary, detail in base_url_problems(config.api.base_url, environ)
    )


def _version(config: ProjectFile, document: Document | None) -> tuple[Problem, ...]:
    version = config.api.anthropic_version
    if version in API_VERSIONS:
        return ()
    named = document is not None and document.get("api", "anthropic_version") == version
    return (
        Problem(
            code="unknown-api-version",
            summary=f"the API version {version} is not known",
            detail="The API refuses versions it does not have. The known ones are"
            f" {listing(API_VERSIONS, 'and')}.",
            severity=Severity.WARNING,
            where=document.place(("api", "anthropic_version")) if named and document else None,
        ),
    )


def with_policy(project: Project) -> tuple[Project, tuple[Problem, ...]]:
    """Return the project with its policy, for commands that may spend, and what is wrong with it.

    Commands that look after work in flight do not read it: a mistake in it must strand nothing.
    """
    where = None if project.document is None else project.document.place(("policy",))
    policy, problems = read_policy(project.root, project.config.policy, where)
    return replace(project, policy=policy), problems


def load_specs(
    project: Project,
    selectors: Sequence[str],
    facts: Mapping[str, ModelFacts],
    *,
    today: dt.date | None = None,
) -> tuple[tuple[LoadedSpec, ...], tuple[Problem, ...]]:
    """Load specs by path or name, all of the project's when none is selected.

    Args:
        project: The project.
        selectors: Paths (as seen from the current folder, else from the root) or names.
        facts: What is known of models, by id.
        today: For models that retire and waivers that end; None leaves those rules out.

    Returns:
        The selected specs without errors of their own, each after those it needs, and every
        problem of the selected ones, in the order of files and lines.
    """
    reading = Reading(
        root=project.root,
        config=project.config,
        defaults=project.document,
        facts=facts,
        today=today,
        policy=project.policy,
        environment=project.environment,
    )
    found, problems = find_specs(
        project.root,
        project.config.specs,
        project.document,
        others=(PROJECT_FILE, project.config.policy or POLICY_FILE),
    )
    drafts, chosen, unknown = choose(
        selectors, found, project.root, functools.partial(read_draft, reading=reading)
    )
    files = {draft.path for draft in chosen}
    if selectors:  # a file that the globs find and nobody asked for is not in the way
        problems = tuple(p for p in problems if p.where is None or p.where.file == PROJECT_FILE)
    between = tuple(family_problems(drafts))
    shared = tuple(p for p in between if p.where is None or p.where.file in files)
    problems += unknown
    problems += tuple(problem for draft in chosen for problem in draft.problems)
    problems += shared
    if project.policy is not None:
        every, own = ([draft.name for draft in some] for some in (drafts, chosen))
        problems += tuple(project.policy.warnings(every, own, today, unused=not selectors))
    broken = {problem.where.file for problem in between if problem.where and _stops(problem)}
    family = _family(drafts, broken)
    problems += tuple(_needs_broken(chosen, drafts, family, broken))
    specs = [family[draft.path] for draft in in_order(chosen) if draft.path in family]
    return tuple(specs), _sorted(problems)


def _family(drafts: Sequence[Draft], broken: set[str]) -> dict[str, LoadedSpec]:
    """Return the usable specs by path, each with those it needs, which are usable too."""
    loaded: dict[str, LoadedSpec] = {}
    by_name: dict[str, LoadedSpec] = {}
    for draft in in_order(drafts):
        if not _is_usable(draft, broken) or not all(name in by_name for name in draft.needs):
            continue
        needed = tuple(by_name[name] for name in draft.needs)
        by_name[draft.name] = loaded[draft.path] = _loaded(draft, needed)
    return loaded


def _needs_broken(
    chosen: Sequence[Draft],
    drafts: Sequence[Draft],
    family: Mapping[str, LoadedSpec],
    broken: set[str],
) -> Iterator[Problem]:
    """Yield a problem for each need that is there and cannot be used.

    What is wrong with it is told only where it was chosen too.
    """
    paths = {draft.name: draft.path for draft in drafts}
    for draft in chosen:
        if draft.document is None or draft.path in broken or circle_of(draft, drafts):
            continue
        for number, name in enumerate(draft.needs):
            if name in paths and paths[name] not in family:
                yield Problem(
                    code="broken-need",
                    summary=f"{draft.name} needs {name}, which has problems of its own",
                    detail="Its output cannot be relied on before they are corrected. `batchspec"
                    f" validate {name}` tells them.",
                    where=draft.document.place(("needs", number)),
                )


def _stops(problem: Problem) -> bool:
    return problem.severity is Severity.ERROR


def _is_usable(draft: Draft, broken: set[str]) -> bool:
    return not has_errors(draft.problems) and draft.path not in broken


def _loaded(draft: Draft, needed: tuple[LoadedSpec, ...]) -> LoadedSpec:
    assert draft.document is not None  # noqa: S101 - a draft without one has errors
    spec = Spec.model_validate({**draft.document.data, "name": draft.name})
    return LoadedSpec(spec=spec, path=draft.path, document=draft.document, needed=needed)


def _sorted(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Return problems by place; one that several specs inherit from the defaults, once."""

    def order(problem: Problem) -> tuple[str, int, int]:
        where = problem.where
        return (where.file, where.line or 0, where.column or 0) if where else ("", 0, 0)

    return tuple(sorted(dict.fromkeys(problems), key=order))
