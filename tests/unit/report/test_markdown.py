from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchspec.plan.model import (
    Action,
    Change,
    Counts,
    Estimate,
    Outcome,
    Plan,
    Reason,
    SpecPlan,
)
from batchspec.report.json import plan_json
from batchspec.report.markdown import LONGEST, NAMED_CHANGES, NAMED_SPECS, plan_markdown

SPEC = SpecPlan(
    name="ticket-triage",
    model="claude-haiku-4-5",
    items=1000,
    counts=Counts(submit=2, unchanged=997, failed=1, removed=1),
    reasons={Reason.NEW: 1, Reason.RETRY: 1},
    requests=2,
    batches=1,
    bytes=23_811,
    estimate=Estimate(
        input_tokens=4120,
        output_tokens=320,
        usd=Decimal("0.00286"),
        usd_max=Decimal("0.00401"),
        notes=("No breakpoint: the prefix is too short.",),
    ),
    changes=(
        Change(key='"T-17"', action=Action.SUBMIT, reason=Reason.NEW, request_hash="a" * 64),
        Change(
            key='["ü",18]',
            action=Action.SUBMIT,
            reason=Reason.RETRY,
            request_hash="b" * 64,
            outcome=Outcome.EXPIRED,
        ),
        Change(
            key="19",
            action=Action.FAILED,
            reason=None,
            request_hash="c" * 64,
            outcome=Outcome.BAD_REQUEST,
        ),
        Change(key='"T-20"', action=Action.REMOVED, reason=None, request_hash="d" * 64),
    ),
)
WHOLE = """\
### batchspec: 2 items to submit as 2 requests, about $0.0029 (at most $0.0041)

| spec | model | submit | unchanged | in flight | failed | removed | requests | batches \
| expected | at most |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|
| `ticket-triage` | `claude-haiku-4-5` | 2 | 997 | 0 | 1 | 1 | 2 | 1 | $0.0029 | $0.0041 |

<details><summary>ticket-triage: 1 new, 1 retry, 1 failed, 1 removed</summary>

```diff
+ "T-17" new
+ ["ü",18] retry (expired)
! 19 failed (bad request)
- "T-20" removed
  2 requests, 23.8 KB, about 4,120 input and 320 output tokens
  note: No breakpoint: the prefix is too short.
```

</details>
"""


def test_the_whole_comment() -> None:
    """A reviewer sees the price, the counts, and what changes."""
    assert plan_markdown(Plan(specs=(SPEC,))) == WHOLE


def test_nothing_to_submit_is_short() -> None:
    """A plan without changes is a headline and a table."""
    quiet = replace(
        SPEC, counts=Counts(unchanged=1000), reasons={}, requests=0, changes=(), estimate=Estimate()
    )
    lines = plan_markdown(Plan(specs=(quiet,))).splitlines()
    assert lines[0] == "### batchspec: nothing to submit"
    assert "<details>" not in "\n".join(lines)


def test_an_unknown_price_is_said() -> None:
    """No amount is shown where none is known."""
    text = plan_markdown(Plan(specs=(replace(SPEC, estimate=Estimate()),)))
    assert "as 2 requests, price unknown" in text
    assert "| price unknown | price unknown |" in text


def test_many_changes_are_counted() -> None:
    """A comment stays short whatever the plan's size."""
    changes = tuple(replace(SPEC.changes[0], key=str(n)) for n in range(NAMED_CHANGES + 1234))
    text = plan_markdown(Plan(specs=(replace(SPEC, changes=changes),)))
    assert "  and 1,234 more\n" in text
    assert len(text) < 3000


def test_a_comment_fits_the_forge() -> None:
    """Whatever the number of specs: what does not fit is left out whole, and nothing stays open."""
    key = json.dumps("k" * 190)
    changes = tuple(replace(SPEC.changes[0], key=key) for _ in range(NAMED_CHANGES))
    specs = tuple(replace(SPEC, name=f"spec-{n}", changes=changes) for n in range(NAMED_SPECS + 7))
    text = plan_markdown(Plan(specs=specs))
    assert LONGEST * 0.8 < len(text) <= LONGEST + 200 < 65_536
    assert text.count("<details>") == text.count("</details>") > 1
    assert text.count("```") == 2 * text.count("<details>")
    left_out = NAMED_SPECS + 7 - text.count("<details>")
    assert text.endswith(
        f"{left_out} sections would not fit into a comment; `batchspec plan` shows everything.\n"
    )
    assert f"| and 7 more |{' |' * 10}\n" in text


HOSTILE = [
    "```\n</details>\n<script>alert(1)</script>",
    "````````",
    "\x1b[31mred\x00\u202e",
    "@everyone #1 [x](javascript:alert(1)) ![](http://evil/x.png)",
    "a|b`c``d\n| e |",
    "</summary><img src=x onerror=alert(1)>",
    "~~~\n# heading",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    """Keys, models and notes of foreign text never leave their code spans and fences."""
    _assert_contained(text)


@given(st.text(alphabet="`|\n\r<>a~# \\\u2028", max_size=30))
def test_no_text_leaves_its_fence(text: str) -> None:
    """Whatever the marks in the text, the fence is longer."""
    _assert_contained(text)


def _assert_contained(text: str) -> None:
    change = replace(SPEC.changes[0], key=json.dumps(text, ensure_ascii=False))
    spec = replace(SPEC, changes=(change,), model=text, estimate=Estimate(notes=(text,)))
    markdown = plan_markdown(Plan(specs=(spec,)))
    fence = re.search(
        r"^(`{3,})diff\n(.*?)^\1\n\n</details>\n\Z", markdown, re.DOTALL | re.MULTILINE
    )
    assert fence is not None
    assert fence[1] not in fence[2]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]", markdown)
    outside = markdown.replace(fence[0], "")
    row = next(line for line in outside.splitlines() if line.startswith("| `ticket-triage`"))
    assert row.count("|") == 12
    assert outside.count("<") == 3


def test_json_is_the_document_with_one_change_per_line() -> None:
    """The report is the contract, readable in a diff."""
    text = "".join(plan_json(Plan(specs=(SPEC,))))
    document = json.loads(text)
    assert list(document) == ["format_version", "specs", "totals", "digest"]
    assert [change["key"] for change in document["specs"][0]["changes"]] == [
        "T-17",
        ["ü", 18],
        19,
        "T-20",
    ]
    assert (
        f'{{"key": "T-17", "action": "submit", "reason": "new", "request_hash": "{"a" * 64}"}}'
        in text
    )
    assert text.endswith("}\n")
