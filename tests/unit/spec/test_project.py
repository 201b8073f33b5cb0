"""Finding the project, choosing specs, and the order in which they need each other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from batchspec.problems import Problem
from batchspec.spec.facts import ModelFacts
from batchspec.spec.project import LoadedSpec, find_root, load_project, load_specs

Write = Callable[[Mapping[str, str]], Path]


def load(
    root: Path, *selectors: str, facts: Mapping[str, ModelFacts] | None = None
) -> tuple[tuple[LoadedSpec, ...], tuple[Problem, ...]]:
    """Load specs of a project whose own file has no problems."""
    project, problems = load_project(root, {})
    assert problems == ()
    assert project is not None
    return load_specs(project, selectors, facts or {})


def names(root: Path, *selectors: str) -> list[str]:
    """Return the names of the specs that selectors choose."""
    return [loaded.spec.name for loaded in load(root, *selectors)[0]]


def test_the_root_is_the_nearest_folder_with_a_project_file(project: Write) -> None:
    """From anywhere below, a command finds its project."""
    root = project({"batchspec.yaml": "version: 1\n", "a/b/c.txt": "", "a/batchspec.yaml": ""})
    assert find_root(root, None) == root
    assert find_root(root / "a" / "b", None) == root / "a"
    assert find_root(root / "a" / "b", root) == root


def test_without_a_project_file_the_current_folder_is_the_root(tmp_path: Path) -> None:
    """A folder of specs needs nothing else."""
    assert find_root(tmp_path, None) == tmp_path.resolve()


def test_specs_are_found_by_the_usual_globs(project: Write) -> None:
    """The usual places are searched; the project file is no spec."""
    root = project(
        {
            "batchspec.yaml": "version: 1\nspecs: [specs/*.yaml, '*.yaml', '*.spec.yaml']\n",
            "specs/b.yaml": "SPEC",
            "specs/a.yaml": "SPEC",
            "top.spec.yaml": "SPEC",
            "specs/deep/c.yaml": "not read",
        }
    )
    specs, problems = load(root)
    assert problems == ()
    assert [(loaded.path, loaded.spec.name) for loaded in specs] == [
        ("specs/a.yaml", "a"),
        ("specs/b.yaml", "b"),
        ("top.spec.yaml", "top"),
    ]


def test_a_selector_is_a_name_or_a_path(project: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths count from the current folder, else from the root, and need not be in the globs."""
    root = project(
        {"specs/a.yaml": "SPECname: first\n", "specs/b.yaml": "SPEC", "drafts/c.yaml": "SPEC"}
    )
    assert names(root, "first") == ["first"]
    assert names(root, "specs/b.yaml") == ["b"]
    assert names(root, str(root / "specs" / "b.yaml"), "first") == ["first", "b"]
    assert names(root, "drafts/c.yaml", "b") == ["c", "b"]
    monkeypatch.chdir(root / "drafts")
    assert names(root, "c.yaml", "../specs/a.yaml") == ["c", "first"]


def test_an_unknown_selector_names_the_nearest_specs(project: Write) -> None:
    """Each unknown selector is one problem, and the known ones are still chosen."""
    root = project({"specs/tickets.yaml": "SPEC", "specs/users.yaml": "SPEC"})
    specs, problems = load(root, "tickts", "specs/none.yaml", "users", "zzzzzz")
    assert [loaded.spec.name for loaded in specs] == ["users"]
    assert [problem.code for problem in problems] == ["unknown-spec"] * 3
    assert "Did you mean tickets?" in problems[0].detail
    assert "no such file" in problems[1].detail
    assert "tickets and users" in problems[2].detail


def test_a_file_outside_of_the_project_is_not_a_spec_of_it(project: Write, tmp_path: Path) -> None:
    """A path that leads out names nothing, as a path or through a symlink."""
    (tmp_path / "other.yaml").write_text("version: 1\n")
    root = project({"specs/a.yaml": "SPEC"})
    (root / "specs" / "link.yaml").symlink_to(tmp_path / "other.yaml")
    _, problems = load(root, str(tmp_path / "other.yaml"))
    assert [problem.code for problem in problems] == ["unknown-spec"]
    specs, problems = load(root)
    assert [loaded.spec.name for loaded in specs] == ["a"]
    assert [problem.code for problem in problems] == ["path-outside-project"]
    assert [problem.code for problem in load(root, "specs/link.yaml")[1]] == ["unknown-spec"]


def test_selected_specs_answer_only_for_themselves(project: Write) -> None:
    """Another spec's mistakes do not keep a good one from running."""
    root = project({"specs/good.yaml": "SPEC", "specs/bad.yaml": "SPECbananas: 1\n"})
    assert load(root, "good")[1] == ()
    assert [problem.code for problem in load(root)[1]] == ["unknown-key"]
    assert names(root) == ["good"]


def test_a_name_shared_with_an_unselected_spec_is_still_a_problem(project: Write) -> None:
    """State tells specs apart by names, whichever of them a command works on."""
    root = project({"specs/a.yaml": "SPECname: same\n", "specs/b.yaml": "SPECname: same\n"})
    specs, problems = load(root, "same")
    assert specs == ()
    assert [problem.code for problem in problems] == ["duplicate-name"] * 2


def test_symlinked_prompts_stay_inside(project: Write, tmp_path: Path) -> None:
    """A link inside the project to a file outside of it is outside."""
    (tmp_path / "secret.md").write_text("secret")
    root = project({"specs/a.yaml": "SPEC", "specs/b.yaml": "SPEC"})
    text = (root / "specs" / "a.yaml").read_text()
    (root / "specs" / "a.yaml").write_text(text.replace('"{{ subject }}"', "{file: link.md}"))
    (root / "link.md").symlink_to(tmp_path / "secret.md")
    assert [problem.code for problem in load(root, "a")[1]] == ["path-outside-project"]


def test_a_loaded_spec_knows_its_places(project: Write) -> None:
    """Other rooms report their problems where the author can see them."""
    root = project({"specs/a.yaml": "SPEC"})
    ((loaded,), _) = load(root)
    place = loaded.place("prompt", "user")
    assert (place.file, place.line, place.column) == ("specs/a.yaml", 5, 16)
    assert loaded.document.inside(("prompt", "user"), 1, 4).column == 20
    assert place.source == 'prompt: {user: "{{ subject }}"}'


def test_rules_about_models_need_facts(project: Write, facts: Mapping[str, ModelFacts]) -> None:
    """Without a catalogue nothing is claimed about a model."""
    root = project({"specs/a.yaml": "SPEC"})
    text = (root / "specs" / "a.yaml").read_text().replace("max_tokens: 64", "max_tokens: 99999")
    (root / "specs" / "a.yaml").write_text(text)
    assert load(root)[1] == ()
    assert [p.code for p in load(root, facts=facts)[1]] == ["max-tokens-too-large"]


def test_heavy_packages_are_not_imported_to_validate() -> None:
    """`validate` has 0.4 CPU seconds; DuckDB, Jinja2 and the SDK alone would take more."""
    code = (
        "import sys, batchspec.spec.project as p, pathlib\n"
        "project, _ = p.load_project(pathlib.Path('tests/cases/valid'), {})\n"
        "specs, problems = p.load_specs(project, ['design.yaml'], {})\n"
        "assert specs and not problems, problems\n"
        "heavy = {'anthropic', 'duckdb', 'pyarrow', 'jinja2', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    runner = Path(__file__).parents[3]
    environ = {**os.environ, "PYTHONPATH": str(runner / "runner")}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=runner, env=environ)
