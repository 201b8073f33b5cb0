"""Word-level differences in text and Markdown, with hostile words in them."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

from batchspec.plan.model import Counts, Estimate, Plan, Reason, Reworded, SpecPlan
from batchspec.plan.wording import Rewording, compare_requests
from batchspec.report.markdown import plan_markdown
from batchspec.report.style import Style
from batchspec.report.text import plan_text
from batchspec.report.wording import wording_lines


def compared(former: str, current: str) -> Rewording:
    """Return the difference of two system prompts."""
    before, after = ({"system": text} for text in (former, current))
    return compare_requests(json.dumps(before).encode(), json.dumps(after).encode())


def planned(rewording: Rewording, reason: Reason = Reason.PROMPT) -> Plan:
    """Return a plan with one example."""
    spec = SpecPlan(
        name="triage",
        model="m",
        items=1,
        counts=Counts(submit=1),
        reasons={reason: 1},
        requests=1,
        batches=1,
        bytes=10,
        estimate=Estimate(usd=Decimal(0), usd_max=Decimal(0)),
        changes=(),
        reworded=(Reworded(key='"T-1"', reason=reason, rewording=rewording),),
    )
    return Plan(specs=(spec,))


def test_the_plan_shows_what_changed_word_by_word() -> None:
    """Below the reasons, quoted, with the item and its reason."""
    text = plan_text(planned(compared("Label these\ntickets.", "Label the\ntickets.")))
    assert text.splitlines()[1:6] == [
        "  + 1 prompt",
        "",
        '  changed for "T-1" (prompt):',
        "    | system: Label [-these-]{+the+}",
        "    | tickets.",
    ]


def test_changed_files_are_named_beside_their_reason() -> None:
    """So that a reviewer sees which file to look at."""
    plan = planned(compared("a", "b"), Reason.FILES)
    plan = replace(plan, specs=(replace(plan.specs[0], changed_files=("a.md", "b.md")),))
    assert "  + 1 files (a.md, b.md)\n" in plan_text(plan)


def test_skipped_text_and_further_places_are_counted() -> None:
    """A reader knows that there is more."""
    rewording = replace(compared("x " * 500 + "old", "x " * 500 + "new"), more=3)
    lines = list(wording_lines(rewording))
    assert "…(961 characters)… x x" in lines[0]
    assert lines[-1] == "  | and 3 more places"


def test_colours_mark_what_is_removed_and_added() -> None:
    """The marks stay, for those who see no colours."""
    (line,) = wording_lines(compared("a old", "a new"), Style(color=True))
    assert line.index("\x1b[31m") < line.index("[-old-]") < line.index("\x1b[32m")


def test_hostile_words_stay_inside() -> None:
    """No escape sequence, no CI command, no fence, no HTML gets out of a difference."""
    hostile = "\x1b[2J````\n```\n</details><script>\n::error::x\n##[command]y\n@team\u202e"
    rewording = compared("fine", hostile)
    text, markdown = plan_text(planned(rewording)), plan_markdown(planned(rewording))
    for found in (text, markdown):
        assert "\x1b" not in found
        assert "\u202e" not in found
        assert "##[" not in found
        assert not any(line.lstrip().startswith("::") for line in found.splitlines())
    (fence,) = {line for line in markdown.splitlines() if line.startswith("`")} - {"`````text"}
    assert fence == "`````"
    inside = markdown.split("`````text\n")[1].split("\n`````\n")[0]
    assert "<script>" in inside
    assert "<script>" not in markdown.replace(inside, "")
