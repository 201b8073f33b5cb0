"""`report`: one page that opens in a real browser, whatever was asked and answered."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import duckdb
import pytest
import zstandard
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page
    from tests.functional.conftest import Folder

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HOSTILE = (
    "</script><script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=2>",
    "<!--<script>window.hacked=3//",
    "javascript:window.hacked=4",
    "'\"><svg onload=window.hacked=5>{{ 7*7 }}\u2028\u202e\x1b[31m",
    "]]>&lt;b&gt;",
)
SPEC = """\
version: 1
name: hostile
inputs: {table: data/rows.jsonl, key: id}
model: claude-haiku-4-5
max_tokens: 512
prompt: {user: "{{ text }}"}
outputs: {path: out/hostile.jsonl}
checks:
  - name: "<img src=x onerror=window.hacked=6>"
    sql: SELECT key FROM output WHERE status <> 'succeeded'
    severity: warn
"""
ANSWERS = """\
rules:
  - when: {text: 'refuse'}
    outcome: refusal
"""


@pytest.fixture
def folder(served: Folder) -> Folder:
    """Return a project whose rows, and so whose answers, are hostile, and that has been run."""
    rows = [{"id": f"{n} {text}", "text": text} for n, text in enumerate(HOSTILE)]
    rows += [{"id": f"plain {n:03}", "text": f"question {n}"} for n in range(70)]
    rows.append({"id": "refused", "text": "refuse"})
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    served.write("data/rows.jsonl", lines)
    served.write("answers.yaml", ANSWERS)
    served.write("batchspec.yaml", "version: 1\nname: '<b>pages</b>'\nspecs: [specs/*.yaml]\n")
    served.write("specs/hostile.yaml", SPEC)
    served.environ["BATCHSPEC_EMULATOR_ANSWERS"] = "answers.yaml"
    done = served.batchspec("run", "--emulate")
    assert done.code == 3, done.err
    return served


@pytest.fixture
def report(folder: Folder) -> Path:
    """Return the page."""
    done = folder.batchspec("report", "--emulate")
    assert done.code == 0, done.err
    assert done.out == "Wrote report.html: it opens in any browser, without a network.\n"
    return folder.root / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start the installed Chromium without a window."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed; `apt-get install chromium` does it")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


def test_what_is_answered_is_shown_before_all_is(folder: Folder) -> None:
    """One more row, or one in flight, takes the other items and failures off no page."""
    folder.write("data/more.jsonl", folder.read("data/rows.jsonl") + '{"id": "new", "text": "n"}\n')
    folder.write("specs/hostile.yaml", SPEC.replace("rows.jsonl", "more.jsonl"))
    assert folder.batchspec("report", "--emulate").code == 0
    page = folder.read("report.html")
    assert "Of its items, 1 is not asked yet (<code>batchspec run --emulate</code> asks)." in page
    assert ">76 succeeded</span>" in page
    assert ">1 refused</span>" in page
    found = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert found is not None
    assert len(json.loads(found[1])) == 77


class Seen:
    """An open page, and what went wrong on it."""

    def __init__(self, page: Page, path: Path) -> None:
        self.page = page
        self.wrong: list[str] = []
        self.fetched: list[str] = []
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", lambda told: self.wrong.append(told.text))
        page.on("dialog", lambda dialog: self.wrong.append(dialog.message))
        page.on("request", lambda request: self.fetched.append(request.url))
        page.goto(path.as_uri())

    def keys(self) -> list[str]:
        """Return the keys of the items that are shown."""
        return self.page.locator("#rows tr td:nth-child(2)").all_inner_texts()


def test_a_page_that_nothing_breaks_out_of(browser: Browser, report: Path) -> None:
    """It opens without an error and without the network; it filters, sorts and shows more."""
    seen = Seen(browser.new_page(), report)
    page = seen.page
    assert page.title() == "<b>pages</b>: batchspec report"
    assert page.locator("#told").inner_text() == (
        "77 of 77 items of the sample, the first 50 are shown"
    )
    assert seen.keys()[0] == '"refused"', "failures come first"
    page.get_by_label("Search").fill("hacked=1")
    assert seen.keys() == [json.dumps(f"0 {HOSTILE[0]}")]
    page.locator("#rows summary").click()
    assert HOSTILE[0] in page.locator("#rows pre").nth(1).inner_text()
    page.get_by_label("Search").fill("plain")
    page.get_by_role("button", name="key").click()
    page.get_by_role("button", name="key").press("Enter")
    assert seen.keys()[:2] == ['"plain 069"', '"plain 068"']
    page.get_by_role("button", name="Show more").click()
    assert len(seen.keys()) == 70
    page.get_by_label("Status").select_option("refused")
    page.get_by_label("Search").fill("")
    assert seen.keys() == ['"refused"']
    assert "window.hacked=6" in page.get_by_text("onerror=window.hacked=6").first.inner_text()
    assert page.evaluate("window.hacked") is None
    assert page.locator("img, #rows script").count() == 0
    assert seen.wrong == []
    assert seen.fetched == [report.as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_readable_on_a_phone_and_in_the_dark(
    browser: Browser, report: Path, scheme: str, width: int
) -> None:
    """The page never scrolls sideways, and text stands out from what is behind it."""
    page = browser.new_page(
        viewport={"width": width, "height": 700},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    seen = Seen(page, report)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ink, paper = (
        sum(map(int, re.findall(r"\d+", page.evaluate(f"getComputedStyle(document.body).{name}"))))
        for name in ("color", "backgroundColor")
    )
    assert (ink > paper) == (scheme == "dark")
    assert abs(ink - paper) > 400
    assert seen.wrong == []


def test_the_page_tells_what_cost_tells(folder: Folder, report: Path) -> None:
    """Figures are those of `cost`; whatever is hostile is on the page as text only."""
    cost = folder.batchspec("cost", "--emulate")
    (spent,) = re.findall(r"^Spent (\S+) ", cost.out)
    text = report.read_text(encoding="utf-8")
    assert f"spent<b>{spent}</b>" in text
    assert re.findall("<h3>By ([a-z]+)</h3>", text) == ["spec", "model", "day"]
    for hostile in HOSTILE[:3]:
        assert hostile not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert report.stat().st_size < 200_000
    done = folder.batchspec("report", "--emulate", "--out", "other.html", "--format", "json")
    told = done.json()
    assert told["path"] == "other.html"
    assert told["cost"] == folder.batchspec("cost", "--emulate", "--format", "json").json()
    assert told["history"] == folder.batchspec("history", "--emulate", "--format", "json").json()
    assert (folder.root / "other.html").exists()


def test_the_figures_as_json_are_those_of_sql_over_the_servers_lines(served: Folder) -> None:
    """Lengths, failures by kind, and batches, of a spec with retries and items that are alike."""
    rows = [{"id": n, "text": f"word {n // 2}"} for n in range(40)]
    served.write("data/rows.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
    served.write(
        "answers.yaml",
        "- {when: {text: 'word 1$'}, outcome: expired, times: 1}\n"
        "- {when: {text: 'word 2$'}, outcome: errored, error_type: invalid_request_error}\n"
        "- {when: {text: 'word 3$'}, outcome: refusal}\n"
        "- {when: {text: 'word 4$'}, outcome: truncated}\n",
    )
    served.write("batchspec.yaml", "version: 1\nemulator: {answers: answers.yaml}\n")
    served.write("specs/hostile.yaml", SPEC.partition("checks:")[0] + "batch: {max_requests: 8}\n")
    assert served.batchspec("run", "--emulate").code == 3
    told = served.batchspec("report", "--emulate", "--format", "json").json()
    (spec,) = told["specs"]
    lines = [
        json.loads(text)["result"]
        for path in (served.root / ".batchspec/emulated/segments").glob("res-*")
        for text in zstandard.ZstdDecompressor()
        .decompressobj()
        .decompress(path.read_bytes())
        .splitlines()
    ]
    with duckdb.connect() as database:
        served.write("lines.jsonl", "".join(f"{json.dumps(line)}\n" for line in lines))
        database.execute("SET VARIABLE found = ?", [str(served.root / "lines.jsonl")])
        counted = database.execute(
            "SELECT count(*), quantile_disc(n, 0.5), quantile_disc(n, 0.95), max(n) FROM (SELECT"
            " message.usage.output_tokens AS n FROM read_json(getvariable('found'))"
            " WHERE message.stop_reason = 'end_turn')"
        ).fetchone()
    lengths = spec["lengths"]
    assert tuple(lengths[name] for name in ("answers", "median", "p95", "most")) == counted
    assert sum(one["answers"] for one in spec["length_bins"]) == lengths["answers"] == 17
    assert (spec["items"], lengths["truncated"]) == (40, 1)
    assert [tuple(one.values()) for one in spec["failures"]] == [
        ("errored", "invalid_request_error", 2, 1),
        ("refused", "refusal", 2, 1),
        ("truncated", "max_tokens", 2, 1),
        ("expired", "expired", 0, 1),
    ], "two items are alike; what expired was asked again"
    assert sum(batch["requests"] for batch in told["batches"]) == len(lines) == 21
    assert told["batches_total"] == len(told["batches"]) == 4
    assert all(batch["seconds"] >= 0 for batch in told["batches"])
    page = served.read("report.html")
    assert (
        f"up to {lengths['most']} output tokens, half of them at most {lengths['median']}" in page
    )
    assert "All 40 items, failures first" in page


def test_run_history_and_failures_stand_on_the_page(
    browser: Browser, folder: Folder, report: Path
) -> None:
    """Who gave which command with which end, as `history` says, and failures by their kind."""
    page = Seen(browser.new_page(), report).page
    (told,) = folder.batchspec("history", "--emulate", "--format", "json").json()["runs"]
    history = page.locator("#history + .scroll tbody tr").all_inner_texts()
    assert len(history) == 1
    assert told["actor"] in history[0]
    assert "1 batch of 77 requests" in history[0]
    assert "exit 3" in history[0]
    kinds = page.locator("h3:has-text('Failures by kind') + .scroll tbody tr").all_inner_texts()
    assert [kind.split() for kind in kinds] == [["refused", "refusal", "1", "1"]]


def test_every_control_is_reached_by_keys(browser: Browser, report: Path) -> None:
    """Search, both filters, each sortable heading and the first answer come one after another."""
    page = Seen(browser.new_page(), report).page
    page.get_by_label("Search").focus()
    seen = []
    for _ in range(8):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert seen == ["spec", "status", *["BUTTON"] * 5, "SUMMARY"]
    page.keyboard.press("Enter")
    assert page.locator("#rows details[open]").count() == 1


def test_before_the_first_run(served: Folder) -> None:
    """A page without answers says so."""
    served.write("batchspec.yaml", "version: 1\nspecs: [specs/*.yaml]\n")
    served.write("data/rows.jsonl", '{"id": 1, "text": "hi"}\n')
    served.write("specs/hostile.yaml", SPEC)
    done = served.batchspec("report")
    assert done.code == 0, done.err
    page = (served.root / "report.html").read_text(encoding="utf-8")
    assert "Nothing was asked yet." in page
    assert "Nothing was collected yet." in page
