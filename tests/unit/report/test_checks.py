"""Checks on the screen and in JSON."""

from __future__ import annotations

import dataclasses

from batchspec.events import CheckDone, Evaluation, LabelScore
from batchspec.report.checks import check_json, check_lines

EVALUATION = Evaluation(
    compared=7,
    agreed=3,
    labels=(
        LabelScore(label="high\x1b[31m", expected=4, given=2, correct=2),
        LabelScore(label="low", expected=3, given=2, correct=1),
        LabelScore(label="new", expected=0, given=1, correct=0),
    ),
    confusion=(
        ("high\x1b[31m", "high\x1b[31m", 2),
        ("high\x1b[31m", "low", 1),
        ("high\x1b[31m", None, 1),
        ("low", "low", 1),
        ("low", "new", 1),
        ("low", None, 1),
    ),
)
AGREEMENT = CheckDone(
    spec="triage",
    name="agreement label with expected",
    kind="agreement",
    severity="error",
    verdict="error",
    failures=4,
    samples=('{"key":"A"}',),
    detail="3 of 7 rows agree with expected, 42.86 %; at least 50 % must",
    evaluation=EVALUATION,
)
ROWS = CheckDone(
    spec="triage",
    name="unique key",
    kind="unique",
    severity="error",
    verdict="pass",
    failures=2,
    samples=('{"key":"A"}',),
)
SCREEN = """\
  check failed: agreement label with expected (3 of 7 rows agree with expected, 42.86 %; \
at least 50 % must)
    | {"key":"A"}
    … and 3 more
    label     expected  given  precision  recall
    high[31m         4      2       1.00    0.50
    low              3      2       0.50    0.33
    new              0      1       0.00       -
    expected \\ given  high[31m  low  new  (none)
    high[31m                 2    1    0       1
    low                      0    1    1       1
"""


def test_an_evaluation_is_shown_with_its_tables() -> None:
    """Accuracy, precision and recall by label, and who was taken for whom; labels are harmless."""
    assert "\n".join(check_lines(AGREEMENT)) + "\n" == SCREEN


def test_tables_of_many_labels_are_cut() -> None:
    """Twenty labels are shown, and no confusion table of more than ten."""
    labels = tuple(LabelScore(label=f"l{n}", expected=1, given=1, correct=0) for n in range(30))
    check = dataclasses.replace(
        AGREEMENT, evaluation=Evaluation(compared=30, agreed=0, labels=labels)
    )
    lines = list(check_lines(check))
    assert lines[-1].strip() == "… and 10 labels more"
    assert not any("given  " in line and "expected \\" in line for line in lines)


def test_rows_below_a_threshold_are_counted() -> None:
    """A check that passes in spite of failing rows says so, without naming them."""
    assert list(check_lines(ROWS)) == [
        "  check passed: unique key (2 rows, fewer than would matter)"
    ]


def test_json_has_every_figure() -> None:
    """What the screen cuts is in the JSON, with ratios as numbers."""
    document = check_json(AGREEMENT)
    assert document["verdict"] == "error"
    assert document["evaluation"]["accuracy"] == 0.428571
    assert document["evaluation"]["labels"][2] == {
        "label": "new",
        "expected": 0,
        "given": 1,
        "correct": 0,
        "precision": 0.0,
        "recall": None,
    }
    assert len(document["evaluation"]["confusion"]) == 6
    assert "evaluation" not in check_json(ROWS)
