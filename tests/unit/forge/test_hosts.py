"""What is asked of GitHub and GitLab, and what is made of their answers."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_forge import FORK, READS, WRITES

from batchspec.errors import StateFailure, UsageFailure
from batchspec.forge.archive import unpack_plan
from batchspec.forge.comment import mark, place_comment
from batchspec.forge.found import forge_of, remote_of
from batchspec.forge.http import TRIES, ForgeFailure

if TYPE_CHECKING:
    from fake_forge import FakeForge
    from tests.unit.forge.conftest import Clock

    from batchspec.forge.port import Forge

MERGED = {
    "merged_at": "2026-11-23T11:00:00Z",
    "merge_commit_sha": "a" * 40,
    "head": {"sha": "b" * 40},
    "state": "merged",
    "iid": 3,
}


@pytest.fixture(params=["github", "gitlab"])
def forge(request: pytest.FixtureRequest) -> Forge:
    """Return each code host in turn."""
    found: Forge = request.getfixturevalue(request.param)
    return found


def test_one_comment(forge: Forge, host: FakeForge) -> None:
    """It is written once, changed when the text is another, and left alone when it is the same."""
    assert not place_comment(forge, "jobs", "One.\n", "")
    assert place_comment(forge, "jobs", "Two.\n", "")
    calls = len(host.asked)
    assert place_comment(forge, "jobs", "Two.\n", "")
    assert host.bodies("3") == [f"{mark('jobs')}\nTwo.\n"]
    assert all(method == "GET" for method, _, _ in host.asked[calls:])
    assert not place_comment(forge, "other jobs", "Three.", "")
    assert len(host.bodies("3")) == 2


def test_somebody_elses_mark(forge: Forge, host: FakeForge) -> None:
    """Who writes our mark first does not become the author of the plan that reviewers read."""
    for number in range(130):  # more than a page
        host.comment("3", f"{mark('jobs')}\nFree of cost {number}", "mallory")
    assert not place_comment(forge, "jobs", "It costs $5.", "")
    assert host.bodies("3")[-1] == f"{mark('jobs')}\nIt costs $5."
    assert place_comment(forge, "jobs", "It costs $6.", "")
    assert sum("mallory" in comment["user"]["login"] for comment in host.comments["3"]) == 130
    assert len(host.bodies("3")) == 131


def test_a_name_cannot_end_the_mark() -> None:
    """A project's name is text of its author."""
    assert mark("a --> <b>\n") == "<!-- batchspec plan: a------b-- -->"


def test_a_text_that_is_too_long(github: Forge, host: FakeForge) -> None:
    """Its first paragraph stands there, and where the rest is."""
    place_comment(github, "jobs", "Head.\n\n" + "x" * 70_000, "The rest is in the log.")
    (body,) = host.bodies("3")
    assert body == f"{mark('jobs')}\nHead.\n\nThe rest is in the log."
    place_comment(github, "jobs", "x" * 70_000, "The rest is in the log.")
    assert len(host.bodies("3")[0]) == github.longest


def test_a_host_that_fails_for_a_while(github: Forge, host: FakeForge, clock: Clock) -> None:
    """Reading is tried again; writing a comment is not, or there might be two."""
    host.failures += [500, 429, 502]
    assert github.comments() == []
    assert clock.slept == [1.0, 2.0, 4.0]
    host.failures += [500] * TRIES
    with pytest.raises(ForgeFailure, match="was answered 500: says the fake 500"):
        github.comments()
    host.failures.append(500)
    with pytest.raises(ForgeFailure):
        github.post("Once.")
    assert not host.failures
    assert not host.comments


def test_a_token_that_may_not(github_job: dict[str, str], clock: Clock, host: FakeForge) -> None:
    """The message names the call and never the token; the hint says what a job needs."""
    forge = forge_of(github_job | {"GITHUB_TOKEN": READS}, clock)
    with pytest.raises(ForgeFailure, match=r"POST .* was answered 403") as refused:
        place_comment(forge, "jobs", "Text.", "")
    assert "permissions" in refused.value.hint
    assert READS not in str(refused.value)
    assert not host.comments


@pytest.mark.parametrize("url", ["http://api.example.invalid", "ftp://127.0.0.1"])
def test_no_token_in_the_clear(github_job: dict[str, str], clock: Clock, url: str) -> None:
    """An address without encryption that is not this machine gets nothing."""
    forge = forge_of(github_job | {"GITHUB_API_URL": url}, clock)
    with pytest.raises(ForgeFailure, match="is not https"):
        forge.comments()


def kept(host: FakeForge, folder: Path, name: str, text: str, **options: str | int) -> None:
    """Keep a plan as a job does."""
    (folder / "plan").mkdir(exist_ok=True)
    (folder / "plan/plan.json").write_text(text, encoding="utf-8")
    host.keep(name, folder / "plan", **options)  # type: ignore[arg-type]  # sha and repository


def test_the_plan_of_a_merge(github: Forge, host: FakeForge, tmp_path: Path) -> None:
    """The newest of the merged head; where it is stored, no token is sent."""
    host.merged["a" * 40] = MERGED
    name = f"batchspec-plan-{'b' * 40}"
    for text in ("old", "new"):
        kept(host, tmp_path, name, text, sha="b" * 40)
    kept(host, tmp_path, name, "a fork's", sha="b" * 40, repository=FORK)
    assert github.saved_plan("batchspec-plan", tmp_path / "plan.zip")
    unpack_plan(tmp_path / "plan.zip", tmp_path / "reviewed.json")
    assert (tmp_path / "reviewed.json").read_text() == "new"
    assert [token for _, path, token in host.asked if path.startswith("/storage/")] == [""]


def test_the_plan_of_a_merge_request(gitlab: Forge, host: FakeForge, tmp_path: Path) -> None:
    """On GitLab it is the artifact of the newest job of that name."""
    host.merged["a" * 40] = MERGED
    kept(host, tmp_path, "batchspec-plan", "reviewed", sha="3")
    kept(host, tmp_path, "another-job", "not a plan", sha="3")
    assert gitlab.saved_plan("batchspec-plan", tmp_path / "plan.zip")
    unpack_plan(tmp_path / "plan.zip", tmp_path / "reviewed.json")
    assert (tmp_path / "reviewed.json").read_text() == "reviewed"


@pytest.mark.parametrize(
    "pull",
    [None, MERGED, MERGED | {"merged_at": None, "state": "opened"}],
    ids=["direct push", "nothing kept", "not merged"],
)
def test_no_plan_was_reviewed(
    forge: Forge, host: FakeForge, tmp_path: Path, pull: dict[str, object] | None
) -> None:
    """Then there is none, rather than some other one."""
    if pull is not None:
        host.merged["a" * 40] = pull
    if pull is None or pull["state"] == "opened":
        kept(host, tmp_path, f"batchspec-plan-{'b' * 40}", "{}", sha="b" * 40)
    assert not forge.saved_plan("batchspec-plan", tmp_path / "plan.zip")


def test_names_in_an_archive_lead_nowhere(tmp_path: Path) -> None:
    """Only the plan is taken out, to the path of our choice."""
    archive = tmp_path / "plan.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("../../outside.txt", "x")
        packed.writestr("deep/plan.json", "{}")
        packed.writestr("plan.json.changes.jsonl.zst", "y")
    folder = tmp_path / "in"
    folder.mkdir()
    unpack_plan(archive, folder / "mine.json")
    assert {path.name for path in folder.iterdir()} == {
        "mine.json",
        "mine.json.changes.jsonl.zst",
    }
    assert {path.name for path in tmp_path.iterdir()} == {"in", "plan.zip"}


@pytest.mark.parametrize("damage", ["not a zip", "no plan"])
def test_an_archive_without_a_plan(tmp_path: Path, damage: str) -> None:
    """It is told of as the environment's fault."""
    archive = tmp_path / "plan.zip"
    if damage == "no plan":
        with zipfile.ZipFile(archive, "w") as packed:
            packed.writestr("other.json", "{}")
    else:
        archive.write_text(damage)
    with pytest.raises(StateFailure, match=r"archive of the CI job"):
        unpack_plan(archive, tmp_path / "mine.json")


def test_a_pull_request_is_opened_once(forge: Forge, host: FakeForge) -> None:
    """The second time, the open one is found."""
    first = forge.request("batchspec/outputs", "main", "Outputs", "Text")
    assert forge.request("batchspec/outputs", "main", "Outputs", "Text") == first
    assert len(host.requests) == 1


def test_outside_of_ci(clock: Clock) -> None:
    """What is missing is named."""
    with pytest.raises(UsageFailure, match="neither GITHUB_REPOSITORY nor GITLAB_CI"):
        forge_of({}, clock)
    with pytest.raises(UsageFailure, match="GITHUB_TOKEN is not set"):
        forge_of({"GITHUB_REPOSITORY": "team/jobs"}, clock)
    with pytest.raises(UsageFailure, match="BATCHSPEC_GITLAB_TOKEN is not set"):
        forge_of({"GITLAB_CI": "true"}, clock)


def test_where_jobs_push() -> None:
    """The token is git's setting for that server alone; a checkout's own login is put aside."""
    github = remote_of({"GITHUB_TOKEN": WRITES, "GITHUB_REF": "refs/heads/main"})
    key = "http.https://github.com/.extraheader"
    assert (github.name, github.branch, github.settings[0]) == ("origin", "main", (key, ""))
    assert github.settings[1][0] == key
    assert "basic" not in repr(github)
    assert remote_of({"GITHUB_REF": "refs/pull/3/merge"}).branch == ""
    address = "https://gitlab.example.invalid/team/jobs"
    job = {"GITLAB_CI": "true", "CI_PROJECT_URL": address, "CI_COMMIT_BRANCH": "main"}
    gitlab = remote_of(job | {"BATCHSPEC_GITLAB_TOKEN": WRITES})
    assert (gitlab.name, gitlab.branch) == (f"{address}.git", "main")
    assert gitlab.settings[1][0] == "http.https://gitlab.example.invalid/.extraheader"
    assert remote_of(job).name == "origin"
