"""Specs that need each other: run in order, as far as they can go, and told why not further."""

# ruff: noqa: S608 - the SQL in this file is the tests' own.

from __future__ import annotations

import json
import signal
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.functional.conftest import Folder, MakeEmulator, MakeProject

HEAD = "version: 1\nmodel: claude-haiku-4-5\nmax_tokens: 100\n"
EXTRACT = (
    HEAD
    + """\
inputs: {table: data/reviews.csv, key: id}
prompt: {user: "Review: {{ text }}"}
outputs: {path: out/extract.jsonl}
"""
)
WRITE_UP = (
    HEAD
    + """\
needs: [extract]
inputs:
  sql: |
    SELECT product, count(*)::INTEGER AS reviews, string_agg(result->>'$', '; ' ORDER BY id) AS said
    FROM extract JOIN 'data/reviews.csv' AS r ON r.id = extract.key
    WHERE status = 'succeeded' GROUP BY product
  key: product
prompt: {user: "Sum up {{ reviews }} of {{ product }}: {{ said }}"}
outputs: {path: out/write-up.jsonl}
"""
)
DATA = "id,product,text\n1,lamp,bright\n2,lamp,dim\n3,chair,soft\n"


@pytest.fixture
def folder(project: MakeProject, emulator: MakeEmulator) -> Folder:
    """Return a project in which one spec reads what another one writes."""
    made = project(
        {
            "data/reviews.csv": DATA,
            "specs/extract.yaml": EXTRACT,
            "specs/write-up.yaml": WRITE_UP,
        }
    )
    made.environ["ANTHROPIC_BASE_URL"] = emulator().base_url
    made.environ["ANTHROPIC_API_KEY"] = "canary-key-of-a-test"
    return made


def plans(folder: Folder, *args: str) -> dict[str, Any]:
    """Return the plans of the project's specs by name."""
    done = folder.batchspec("plan", "--format", "json", *args)
    assert done.code == 0, done.out + done.err
    return {spec["name"]: spec for spec in done.json()["specs"]}


def test_a_chain_is_run_in_one_go(folder: Folder) -> None:
    """What is written up is what was extracted; a second run asks nothing and changes no byte."""
    plan = folder.batchspec("plan")
    assert "write-up (claude-haiku-4-5): known after extract\n" in plan.out
    assert "What write-up will submit is known later." in plan.out
    markdown = folder.batchspec("plan", "--format", "markdown").out
    assert "| `write-up` | `claude-haiku-4-5` | known after `extract` |" in markdown
    done = folder.batchspec("run")
    assert done.code == 0, done.out + done.err
    assert "write-up: its items are known after extract" in done.err
    rows = folder.rows("out/write-up.jsonl")
    assert [row["key"] for row in rows] == ["chair", "lamp"]
    assert rows[1]["result"] == ("echo: Sum up 2 of lamp: echo: Review: bright; echo: Review: dim")
    before = folder.tree()
    again = folder.batchspec("run")
    assert (again.code, again.out.count("0 requests submitted")) == (0, 2)
    assert folder.tree() == before
    later = plans(folder)["write-up"]
    assert (later["counts"]["unchanged"], "after" in later) == (2, False)
    shown = folder.batchspec("show", "write-up", "lamp", "--format", "json").json()
    assert shown["row"]["reviews"] == 2


def test_what_changes_upstream_moves_only_what_depends_on_it(folder: Folder) -> None:
    """One changed review is one request upstream and one write-up downstream."""
    assert folder.batchspec("run").code == 0
    folder.write("data/reviews.csv", DATA.replace("soft", "hard"))
    found = plans(folder)
    assert found["extract"]["requests"] == 1
    assert found["write-up"]["after"] == ["extract"]
    done = folder.batchspec("run")
    assert done.code == 0, done.err
    assert done.out.count("1 request submitted") == 2


def test_an_upstream_that_is_left_out_must_be_fresh(folder: Folder) -> None:
    """A run never reads an output that its spec would not write now, and says what to do."""
    refused = folder.batchspec("run", "write-up")
    assert refused.code == 4
    assert "write-up needs extract, which this run leaves out" in refused.err
    assert folder.batchspec("show", "write-up", "lamp").code == 2
    assert folder.batchspec("run", "extract").code == 0
    assert folder.batchspec("run", "write-up").code == 0
    (folder.root / "out/extract.jsonl").unlink()
    assert plans(folder, "write-up")["write-up"]["after"] == ["extract"]
    assert folder.batchspec("run").code == 0
    assert plans(folder, "write-up")["write-up"]["requests"] == 0


def test_failed_checks_stop_what_comes_after(folder: Folder) -> None:
    """Nothing is paid for on top of what was found wrong; the message says which spec failed."""
    check = "checks: [{name: no lamps, sql: SELECT key FROM output WHERE key = 1}]\n"
    folder.write("specs/extract.yaml", EXTRACT + check)
    done = folder.batchspec("run")
    assert done.code == 3
    assert "write-up is not run. It needs extract, and its checks failed." in done.err
    assert "Not complete yet: it needs extract, and its checks failed." in done.out
    assert not (folder.root / "out/write-up.jsonl").exists()
    folder.write("specs/extract.yaml", EXTRACT)
    assert folder.batchspec("run").code == 0
    assert len(folder.rows("out/write-up.jsonl")) == 2


def test_a_detached_run_waits_for_nobody(folder: Folder, emulator: MakeEmulator) -> None:
    """`status` says who waits for whom."""
    folder.environ["ANTHROPIC_BASE_URL"] = emulator(delay_seconds=3600).base_url
    done = folder.batchspec("run", "--detach")
    assert done.code == 0, done.err
    assert "Not complete yet: it is planned after extract." in done.out
    assert "write-up waits for extract." in folder.batchspec("status").out
    found = folder.batchspec("status", "--format", "json").json()
    assert found["waiting"] == {"write-up": ["extract"]}


def test_an_agreed_plan_submits_nothing_it_does_not_name(folder: Folder) -> None:
    """`apply` runs what was reviewed; what became known later is left for the next plan."""
    assert folder.batchspec("plan", "--out", "plan.json").code == 0
    done = folder.batchspec("apply", "plan.json")
    assert done.code == 0, done.err
    assert len(folder.rows("out/extract.jsonl")) == 3
    assert not (folder.root / "out/write-up.jsonl").exists()
    assert plans(folder)["write-up"]["requests"] == 2
    assert folder.batchspec("plan", "--out", "plan.json").code == 0
    assert folder.batchspec("apply", "plan.json").code == 0
    assert len(folder.rows("out/write-up.jsonl")) == 2


def test_inputs_of_a_chain_are_validated_when_they_can_be(folder: Folder) -> None:
    """Before the first run the columns are known; a warning says what is not."""
    before = folder.batchspec("validate", "--inputs", "--format", "json")
    assert before.code == 0
    assert [p["code"] for p in before.json()["problems"]] == ["unread-inputs"]
    folder.write("specs/write-up.yaml", WRITE_UP.replace("string_agg(result", "string_agg(resul"))
    wrong = folder.batchspec("validate", "--inputs", "--format", "json")
    assert sorted(p["code"] for p in wrong.json()["problems"]) == ["bad-sql", "unread-inputs"]
    assert folder.batchspec("run", "extract").code == 0
    after = folder.batchspec("validate", "--inputs", "--format", "json")
    assert [p["code"] for p in after.json()["problems"]] == ["bad-sql"]


WRONG = {
    "a column that is not there": ("string_agg(result", "string_agg(resul", "bad-sql", (7, 62)),
    "a type that does not fit": ("count(*)::INTEGER", "sum(status)", "bad-sql", (7, 21)),
    "a name of the prompt": ("{{ said }}", "{{ sayd }}", "undefined-name", None),
    "an output's query": (
        "outputs: {path: out/write-up.jsonl}",
        "outputs: {path: out/write-up.jsonl, select: SELECT produkt FROM results}",
        "bad-sql",
        None,
    ),
    "a check's query": (
        "outputs: {path: out/write-up.jsonl}",
        "outputs: {path: out/write-up.jsonl}\nchecks: [{name: x, sql: SELECT z FROM extract}]",
        "bad-sql",
        None,
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_downstream_is_found_before_anything_is_paid(
    folder: Folder, mistake: str
) -> None:
    """The columns of an upstream output are known before it is written."""
    good, bad, code, place = WRONG[mistake]
    assert good in WRITE_UP
    folder.write("specs/write-up.yaml", WRITE_UP.replace(good, bad))
    done = folder.batchspec("run", "--format", "json")
    assert done.code == 1, done.out + done.err
    (problem,) = done.json()["problems"]
    where = problem["where"]
    assert (problem["code"], where["file"]) == (code, "specs/write-up.yaml")
    assert place is None or (where["line"], where["column"]) == place
    assert listed(folder.environ["ANTHROPIC_BASE_URL"]) == []
    planned = folder.batchspec("plan", "--format", "json")
    assert (planned.code, planned.json()["problems"]) == (1, [problem])


def test_columns_made_of_values_are_left_to_the_run(folder: Folder) -> None:
    """What a PIVOT gives depends on rows: nothing is refused that may be right."""
    pivot = (
        HEAD
        + "needs: [extract]\ninputs:\n  key: key\n  sql: |\n"
        + "    SELECT * FROM (PIVOT extract ON status USING count(*) GROUP BY key)\n"
        + 'prompt: {user: "{{ key }} {{ succeeded }}"}\noutputs: {path: out/write-up.jsonl}\n'
    )
    folder.write("specs/write-up.yaml", pivot)
    done = folder.batchspec("plan")
    assert done.code == 0, done.err


def test_every_output_of_an_upstream_is_a_table(folder: Folder) -> None:
    """The second output of `extract` is read as extract_2; a third spec reads through both."""
    folder.write(
        "specs/extract.yaml",
        EXTRACT.replace(
            "outputs: {path: out/extract.jsonl}",
            """outputs:
  - {path: out/extract.jsonl}
  - path: out/words.parquet
    select: SELECT id, length(text)::INTEGER AS length FROM results
  - path: "out/notes/{{ key }}.md"
""",
        ),
    )
    folder.write(
        "specs/write-up.yaml",
        HEAD
        + "needs: [extract]\ninputs:\n  key: id\n  sql: |\n"
        + "    SELECT w.id, w.length, n.path, e.status FROM extract_2 AS w\n"
        + "    JOIN extract_3 AS n ON n.path = format('out/notes/{}.md', w.id)\n"
        + "    JOIN extract AS e ON e.key = w.id\n"
        + 'prompt: {user: "{{ path }} {{ length }} {{ status }}"}\n'
        + "outputs: {path: out/write-up.jsonl}\n",
    )
    folder.write(
        "specs/last.yaml",
        HEAD
        + "needs: [write-up]\ninputs: {sql: 'FROM \"write-up\"', key: key}\n"
        + 'prompt: {user: "{{ result }}"}\noutputs: {path: out/last.jsonl}\n',
    )
    found = plans(folder)
    assert [found[name].get("after") for name in ("extract", "write-up", "last")] == [
        None, ["extract"], ["write-up"],
    ]  # fmt: skip
    done = folder.batchspec("run")
    assert done.code == 0, done.out + done.err
    first = folder.rows("out/last.jsonl")[0]["result"]
    assert first == "echo: echo: out/notes/1.md 20 succeeded"
    (folder.root / "out/words.parquet").unlink()
    assert plans(folder, "write-up")["write-up"]["after"] == ["extract"]
    assert folder.batchspec("run").code == 0
    assert plans(folder)["last"]["requests"] == 0


def test_independent_specs_are_asked_at_the_same_time(
    folder: Folder, emulator: MakeEmulator
) -> None:
    """Three specs without needs have their batches open together; the fourth waits for them."""
    server = emulator(delay_seconds=3600)
    folder.environ["ANTHROPIC_BASE_URL"] = server.base_url
    for name in ("one", "two"):
        folder.write(
            f"specs/{name}.yaml",
            EXTRACT.replace("Review", name).replace("out/extract", f"out/{name}"),
        )
    running = folder.start("run")
    try:
        batches: list[Any] = []
        for _ in range(600):
            batches = listed(server.base_url)
            if len(batches) == 3:
                break
            time.sleep(0.05)
        assert [batch["processing_status"] for batch in batches] == ["in_progress"] * 3
        shown = folder.batchspec("status", "--format", "json").json()
        assert shown["waiting"] == {"write-up": ["extract"]}
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)


def listed(base_url: str) -> list[Any]:
    """Return the batches of the workspace."""
    request = urllib.request.Request(  # noqa: S310 - the emulator of this test
        f"{base_url}/v1/messages/batches",
        headers={"x-api-key": "canary-key-of-a-test", "anthropic-version": "2026-10-21"},
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - as above
        found = json.load(answer)["data"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_every_format_can_be_read(folder: Folder, ending: str) -> None:
    """Types are those that were written, whatever the format."""
    folder.write(
        "specs/extract.yaml",
        EXTRACT.replace(
            "outputs: {path: out/extract.jsonl}",
            f'outputs: {{path: out/extract.{ending}, select: "SELECT id AS key, status, result,'
            " {'n': id} AS s, DATE '2026-11-23' AS d FROM results\"}",
        ),
    )
    folder.write(
        "specs/write-up.yaml",
        WRITE_UP.replace("count(*)::INTEGER", "(date_diff('day', min(d), DATE '2026-11-25'))"),
    )
    done = folder.batchspec("run")
    assert done.code == 0, done.out + done.err
    shown = folder.batchspec("show", "write-up", "lamp", "--format", "json").json()
    assert shown["row"]["reviews"] == 2


def test_files_of_an_upstream_are_rows(folder: Folder) -> None:
    """An output with one file per item is a table of paths and contents."""
    folder.write(
        "specs/extract.yaml",
        EXTRACT.replace("out/extract.jsonl", "'out/extract/{{ key }}.md'"),
    )
    folder.write(
        "specs/write-up.yaml",
        HEAD
        + "needs: [extract]\ninputs: {sql: SELECT * FROM extract, key: path}\n"
        + 'prompt: {user: "{{ content }}"}\noutputs: {path: out/write-up.jsonl}\n',
    )
    done = folder.batchspec("run")
    assert done.code == 0, done.out + done.err
    rows = folder.rows("out/write-up.jsonl")
    assert [row["key"] for row in rows] == [f"out/extract/{n}.md" for n in (1, 2, 3)]
    assert json.loads(json.dumps(rows[0]["result"])) == "echo: echo: Review: bright\n"


def test_a_report_leaves_what_others_plan_by_whole(folder: Folder) -> None:
    """The page shows the items of both specs, and `plan` and `verify` go on as before it."""
    assert folder.batchspec("run").code == 0
    assert folder.batchspec("report").code == 0
    page = folder.read("report.html")
    assert "It is planned after" not in page
    assert "All 5 items, failures first" in page
    after = plans(folder)
    assert (after["write-up"]["items"], after["write-up"]["counts"]["unchanged"]) == (2, 2)
    verified = folder.batchspec("verify")
    assert verified.code == 0, verified.err
    assert folder.batchspec("run", "write-up").code == 0


def test_a_report_shows_the_answers_of_a_spec_that_waits(folder: Folder) -> None:
    """How long its answers were is known without its items, whose number is not told as zero."""
    assert folder.batchspec("run").code == 0
    folder.write("data/reviews.csv", f"{DATA}4,chair,hard\n")
    told = folder.batchspec("report", "--format", "json").json()
    extract, waits = told["specs"]
    assert (extract["items"], extract["lengths"]["answers"]) == (4, 3)
    assert (waits["waiting"], waits["lengths"]["answers"]) == ("It is planned after extract.", 2)
    page = folder.read("report.html")
    assert "It is planned after extract." in page
    assert "claude-haiku-4-5, 4 items." in page
    assert "0 items" not in page
