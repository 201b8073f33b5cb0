"""The templates as they stand: linted, and held to what the documentation promises of them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from workflow_runner import read_yaml

from batchspec.cli.commands.init import CI_FILES

if TYPE_CHECKING:
    from tests.functional.conftest import MakeProject

CI = Path(__file__).parents[3] / "ci"
WORKFLOWS = sorted((CI / "github/workflows").glob("*.yml"))
ACTION = CI / "github/action.yml"


@pytest.mark.parametrize("system", sorted(CI_FILES))
def test_init_writes_them(project: MakeProject, system: str) -> None:
    """`init --ci` adds the files to a project byte for byte, and overwrites none."""
    folder = project({"batchspec.yaml": "version: 1\n"})
    done = folder.batchspec("init", "--ci", system)
    assert done.code == 0, done.err
    for target, source in CI_FILES[system].items():
        assert (folder.root / target).read_bytes() == (CI / source).read_bytes()
    assert "batchspec plan --emulate" not in done.out
    assert folder.batchspec("init", "--ci", system).code == 2


def test_every_template_is_written() -> None:
    """No file of the folder is forgotten by `init --ci`."""
    known = {source for files in CI_FILES.values() for source in files.values()}
    found = {path.relative_to(CI).as_posix() for path in CI.rglob("*") if path.is_file()}
    assert found - known == {"zizmor.yml"}


def test_zizmor_finds_nothing(tmp_path: Path) -> None:
    """The linter of workflows for security: no injection, no secrets left behind, no dangers."""
    folder = tmp_path / ".github"
    shutil.copytree(CI / "github/workflows", folder / "workflows")
    (folder / "actions/batchspec").mkdir(parents=True)
    shutil.copy(ACTION, folder / "actions/batchspec")
    linter = Path(sys.executable).parent / "zizmor"
    options = ["--offline", "--no-progress", "--persona=pedantic", f"--config={CI / 'zizmor.yml'}"]
    done = subprocess.run(
        [str(linter), *options, str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_begin_with_nothing(path: Path) -> None:
    """No permission but those that a job names, a time limit, and a group that does not overlap."""
    document = read_yaml(path)
    assert document["permissions"] == {}
    assert document["concurrency"]["group"].startswith(path.stem)
    for job in document["jobs"].values():
        assert job["permissions"]["contents"] in {"read", "write"}
        assert job["timeout-minutes"] <= 45
    assert "pull_request_target" not in path.read_text()
    assert "workflow_run" not in path.read_text()


def test_pull_requests_have_no_secrets() -> None:
    """The workflow of pull requests names none, and cannot write into the repository."""
    path = CI / "github/workflows/batchspec-plan.yml"
    assert "secrets." not in path.read_text()
    (job,) = read_yaml(path)["jobs"].values()
    assert job["permissions"] == {"contents": "read", "pull-requests": "write"}


def test_the_key_is_for_two_steps() -> None:
    """Only what submits or collects has it, and no other action sees any secret."""
    steps = read_yaml(ACTION)["runs"]["steps"]
    with_key = [step["name"] for step in steps if "api-key" in str(step)]
    assert with_key == ["Apply", "Collect"]
    assert not [step for step in steps if "uses" in step and "inputs.token" in str(step)]


def scripts() -> list[Any]:
    """Return every shell script of the templates with a name."""
    found = [
        (step["name"], step["run"]) for step in read_yaml(ACTION)["runs"]["steps"] if "run" in step
    ]
    for name, job in read_yaml(CI / "gitlab/batchspec.gitlab-ci.yml").items():
        if isinstance(job, dict) and "script" in job:
            found.append((name, "\n".join(job["script"])))
    return [pytest.param(script, id=name) for name, script in found]


@pytest.mark.parametrize("script", scripts())
def test_scripts_are_scripts(script: str) -> None:
    """A shell can read each, variables are quoted, and no value of a workflow is part of one."""
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "${{" not in script
    bare = re.sub(r'"[^"]*"', "", script)
    assert set(re.findall(r"\$\{?(\w+)", bare)) <= {"option", "BATCHSPEC_MAX_USD", "MAX_USD"}
