"""Runs jobs as they stand in the YAML of a repository: its own files, its own shell steps.

What GitHub and GitLab do around the steps is played here, as little of it as the workflows use: the
checkout, conditions and values in ``${{ }}``, the artifact of a job. Anything else fails the test.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fake_forge import FakeForge

VALUE = re.compile(r"\$\{\{ (.*?) \}\}")
INSTALLS = 'python -m pip install --quiet --disable-pip-version-check "$PACKAGE"'
SECONDS = 240


@dataclass(frozen=True, kw_only=True)
class Step:
    """A shell step that was run."""

    name: str
    code: int
    out: str
    err: str
    environ: Mapping[str, str]


@dataclass(kw_only=True)
class Job:
    """A job that was run."""

    folder: Path
    """The checkout."""
    steps: list[Step] = field(default_factory=list)
    summary: str = ""

    @property
    def code(self) -> int:
        """Return the first exit code that is not 0."""
        return next((step.code for step in self.steps if step.code), 0)

    def names(self) -> list[str]:
        """Return the steps that were run."""
        return [step.name for step in self.steps]

    def step(self, name: str) -> Step:
        """Return a step by its name."""
        return next(step for step in self.steps if step.name == name)

    def told(self) -> str:
        """Return all that was printed, for a failing test."""
        return "\n".join(f"== {s.name}: {s.code}\n{s.out}{s.err}" for s in self.steps)


def read_yaml(path: Path) -> Any:
    """Return a YAML file's value."""
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def look_up(name: str, values: Mapping[str, Any]) -> Any:
    """Return what a dotted name is in the values of a job; an absent one is empty."""
    if name.startswith("'"):
        return name.strip("'")
    found: Any = values
    for part in name.split("."):
        found = found.get(part, "") if isinstance(found, dict) else ""
    return found


def holds(condition: str, values: Mapping[str, Any]) -> bool:
    """Tell whether a condition of comparisons holds; ``always()`` is looked at elsewhere."""
    for term in condition.split(" && "):
        if term == "always()":
            continue
        left, sign, right = re.fullmatch(r"(\S+) (==|!=) (\S+)", term).groups()  # type: ignore[union-attr]  # no match is a failure too
        if (look_up(left, values) == look_up(right, values)) is not (sign == "=="):
            return False
    return True


def filled(text: Any, values: Mapping[str, Any]) -> str:
    """Return a value with what stands in ``${{ }}`` looked up."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if " != " in name:
            return "true" if holds(name, values) else "false"
        return str(look_up(name, values))

    return VALUE.sub(value, str(text))


@dataclass(kw_only=True)
class GitHubRunner:
    """Runs the workflows of a repository."""

    origin: Path
    """The bare repository."""
    forge: FakeForge
    environ: dict[str, str]
    """What every step has: PATH, HOME, and where the API is."""
    temp: Path
    secrets: Mapping[str, str]
    jobs: int = 0

    def run(self, workflow: str, commit: str, event: dict[str, Any], token: str) -> Job:
        """Run the only job of a workflow on a commit.

        Args:
            workflow: The file's name.
            commit: What is checked out.
            event: ``name``, ``ref``, and the payload.
            token: What the host gives the job; whether it may write is the host's decision.
        """
        self.jobs += 1
        folder = self.temp / f"job-{self.jobs}"
        job = Job(folder=folder / "work")
        clone(self.origin, job.folder, commit)
        document = read_yaml(job.folder / ".github/workflows" / workflow)
        assert event["name"] in document["on"], f"{workflow} does not run on {event['name']}"
        assert document["permissions"] == {}
        (only,) = document["jobs"].values()
        scratch = folder / "temp"
        scratch.mkdir()
        trusted = event.get("payload", {}).get("fork") is not True
        values = {
            "github": {
                "event": event.get("payload", {}),
                "repository": "team/jobs",
                "sha": commit,
                "token": token,
            },
            "secrets": dict(self.secrets) if trusted else {},
            "runner": {"temp": str(scratch)},
        }
        environ = self.environ | {
            "GITHUB_ACTIONS": "true",
            "CI": "true",
            "GITHUB_EVENT_NAME": event["name"],
            "GITHUB_REPOSITORY": "team/jobs",
            "GITHUB_REF": event["ref"],
            "GITHUB_SHA": commit,
            "GITHUB_WORKSPACE": str(job.folder),
            "GITHUB_API_URL": self.forge.url,
            "GITHUB_SERVER_URL": "https://github.invalid",
            "GITHUB_RUN_ID": str(self.jobs),
            "GITHUB_STEP_SUMMARY": str(scratch / "summary.md"),
            "RUNNER_TEMP": str(scratch),
            "HOME": str(folder),
        }
        for step in only["steps"]:
            if step["uses"].startswith("./"):
                self._action(job, step, values, environ)
            else:
                assert step["uses"].startswith("actions/checkout@")
                assert step["with"] == {"persist-credentials": False}
        summary = scratch / "summary.md"
        job.summary = summary.read_text(encoding="utf-8") if summary.exists() else ""
        return job

    def _action(
        self, job: Job, step: dict[str, Any], values: dict[str, Any], environ: dict[str, str]
    ) -> None:
        action = read_yaml(job.folder / step["uses"] / "action.yml")
        given = {name: filled(text, values) for name, text in step["with"].items()}
        assert given.keys() <= action["inputs"].keys()
        inputs = {
            name: given.get(name, filled(declared.get("default", ""), values))
            for name, declared in action["inputs"].items()
        }
        outcomes: dict[str, Any] = {}
        inner = {key: values[key] for key in ("github", "runner")}
        values = inner | {"inputs": inputs, "steps": outcomes}
        failed = False
        for part in action["runs"]["steps"]:
            condition = part.get("if", "")
            if (failed and "always()" not in condition) or (
                condition and not holds(condition, values)
            ):
                continue
            code = self._part(job, part, values, environ)
            failed = failed or code != 0
            if "id" in part:
                outcomes[part["id"]] = {"outcome": "failure" if code else "success"}

    def _part(
        self, job: Job, part: dict[str, Any], values: dict[str, Any], environ: dict[str, str]
    ) -> int:
        if "uses" in part:
            self._other_action(part, values)
            return 0
        assert "${{" not in part["run"], "text of others in a script"
        assert part["shell"] == "bash"
        if part["name"] == "Install":
            assert part["run"] == INSTALLS
            return 0
        own = {name: filled(text, values) for name, text in part.get("env", {}).items()}
        done = shell(part["run"], job.folder, environ | own)
        job.steps.append(
            Step(
                name=part["name"],
                code=done.returncode,
                out=done.stdout,
                err=done.stderr,
                environ=environ | own,
            )
        )
        return done.returncode

    def _other_action(self, part: dict[str, Any], values: dict[str, Any]) -> None:
        if part["uses"].startswith("actions/setup-python@"):
            return
        assert part["uses"].startswith("actions/upload-artifact@")
        event = values["github"]["event"]
        folder = Path(filled(part["with"]["path"], values))
        if not folder.exists() and part["with"]["if-no-files-found"] == "ignore":
            return
        self.forge.keep(
            filled(part["with"]["name"], values),
            folder,
            sha=event.get("pull_request", {}).get("head", {}).get("sha", values["github"]["sha"]),
            repository=2 if event.get("fork") else 1,
        )


def gitlab_job(
    name: str, checkout: Path, environ: Mapping[str, str], variables: Mapping[str, str]
) -> Job:
    """Run a job of the GitLab template: its script, in one shell, as GitLab runs it."""
    document = read_yaml(checkout / "ci/batchspec.gitlab-ci.yml")
    own = document[name]
    base = document[own["extends"]]
    assert base["before_script"] == [INSTALLS.replace("$PACKAGE", "$BATCHSPEC_PACKAGE")]
    values = {**environ, **document["variables"], "GITLAB_CI": "true", "CI": "true", **variables}
    script = "\n".join(own["script"])
    done = shell(script, checkout, values)
    job = Job(folder=checkout)
    job.steps.append(
        Step(name=name, code=done.returncode, out=done.stdout, err=done.stderr, environ=values)
    )
    if "after_script" in own:
        after = shell("\n".join(own["after_script"]), checkout, values)
        assert after.returncode == 0, after.stderr
    return job


def shell(
    script: str, folder: Path, environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a script as a runner does."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env=dict(environ),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )


def git(folder: Path, *args: str) -> str:
    """Run git and return what it prints."""
    person = ["-c", "user.name=A Person", "-c", "user.email=person@example.invalid"]
    done = subprocess.run(
        ["git", *person, *args], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def clone(origin: Path, folder: Path, commit: str) -> None:
    """Check a commit out, shallow as runners do."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet")
    git(folder, "remote", "add", "origin", origin.as_uri())
    git(folder, "fetch", "--quiet", "--depth=1", "origin", commit)
    git(folder, "checkout", "--quiet", "--detach", "FETCH_HEAD")
