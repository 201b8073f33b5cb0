from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchspec.errors import Refused, StalePlan, UsageFailure
from batchspec.plan import document, planfile
from batchspec.plan.document import document_digest, plan_document
from batchspec.plan.model import Action, Change, Plan, Reason, Reworded
from batchspec.plan.planfile import read_plan, require_affordable, require_fresh, write_plan
from batchspec.plan.sidecar import sidecar_of
from batchspec.plan.wording import compare_requests


def with_many(plan: Plan, count: int) -> Plan:
    """Return the plan with ``count`` changes."""
    changes = tuple(
        Change(key=str(n), action=Action.SUBMIT, reason=Reason.NEW, request_hash=f"{n:064x}")
        for n in range(count)
    )
    return replace(plan, specs=(replace(plan.specs[0], changes=changes),))


def test_the_document_is_the_contract(plan: Plan) -> None:
    """Keys, their order, and amounts as text are those of the published contract."""
    found = plan_document(plan)
    digest = found.pop("digest")
    assert json.dumps(found, ensure_ascii=False) == json.dumps(
        {
            "format_version": 1,
            "specs": [
                {
                    "name": "ticket-triage",
                    "model": "claude-haiku-4-5",
                    "items": 1000,
                    "counts": {
                        "submit": 2,
                        "unchanged": 997,
                        "in_flight": 0,
                        "failed": 1,
                        "removed": 1,
                        "duplicate": 0,
                    },
                    "reasons": {
                        "new": 1,
                        "input": 0,
                        "prompt": 0,
                        "model": 0,
                        "params": 0,
                        "retry": 1,
                        "schema": 0,
                        "vars": 0,
                        "cache": 0,
                        "files": 0,
                    },
                    "requests": 2,
                    "batches": 1,
                    "bytes": 23811,
                    "estimate": {
                        "input_tokens": 4120,
                        "output_tokens": 320,
                        "usd": "0.0029",
                        "usd_max": "0.0041",
                        "usd_without_batch": "0.0057",
                        "usd_min": "0.0017",
                        "notes": ["No breakpoint: the prefix is too short."],
                        "calibrated_by": {"answers": 0, "counted": 0},
                    },
                    "changes": [
                        {
                            "key": "T-17",
                            "action": "submit",
                            "reason": "new",
                            "request_hash": "a" * 64,
                        },
                        {
                            "key": ["ü", 18],
                            "action": "submit",
                            "reason": "retry",
                            "request_hash": "b" * 64,
                            "outcome": "expired",
                        },
                        {
                            "key": 19,
                            "action": "failed",
                            "reason": None,
                            "request_hash": "c" * 64,
                            "outcome": "bad_request",
                        },
                        {
                            "key": "T-20",
                            "action": "removed",
                            "reason": None,
                            "request_hash": "d" * 64,
                        },
                    ],
                    "digests": {"inputs": "6" * 64, "spec": "5" * 64},
                }
            ],
            "totals": {
                "submit": 2,
                "requests": 2,
                "batches": 1,
                "usd": "0.0029",
                "usd_max": "0.0041",
            },
            "state": {"lineage": "abc", "serial": 7},
        },
        ensure_ascii=False,
    )
    assert digest == document_digest(found)


def test_a_saved_plan_is_read_as_it_was_and_written_alike(plan: Plan, tmp_path: Path) -> None:
    """Saving is deterministic and loses nothing but digits beyond those shown."""
    write_plan(tmp_path / "a.json", plan)
    write_plan(tmp_path / "b.json", plan)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    found = read_plan(tmp_path / "a.json")
    assert found.specs[0].changes == plan.specs[0].changes
    assert found.specs[0].counts == plan.specs[0].counts
    assert found.state == plan.state
    write_plan(tmp_path / "c.json", found)
    assert (tmp_path / "c.json").read_bytes() == (tmp_path / "a.json").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json", "c.json"]


def test_examples_and_changed_files_survive_the_plan_file(plan: Plan, tmp_path: Path) -> None:
    """They are part of what is reviewed, described by the schema and bound by the digest."""
    rewording = compare_requests(
        b'{"system":"Label these.","x":1}', b'{"system":"Label the.","x":2}'
    )
    spec = replace(
        plan.specs[0],
        changed_files=("a.md",),
        reworded=(Reworded(key='["a",1]', reason=Reason.FILES, rewording=rewording),),
    )
    saved = replace(plan, specs=(spec,))
    write_plan(tmp_path / "plan.json", saved)
    assert read_plan(tmp_path / "plan.json").specs[0].reworded == spec.reworded
    assert read_plan(tmp_path / "plan.json").specs[0].changed_files == ("a.md",)


def test_many_changes_stand_beside_the_plan(plan: Plan, tmp_path: Path) -> None:
    """Beyond ten thousand changes the rest is kept in a bound sidecar."""
    many = with_many(plan, planfile.INLINE_CHANGES + 5)
    path = tmp_path / "plan.json"
    write_plan(path, many)
    saved = json.loads(path.read_bytes())
    assert len(saved["specs"][0]["changes"]) == planfile.INLINE_CHANGES
    assert saved["changes_file"]["changes"] == 5
    assert read_plan(path).specs[0].changes == many.specs[0].changes
    write_plan(path, plan)
    assert not sidecar_of(path).exists()


def test_a_foreign_missing_or_damaged_sidecar_is_refused(plan: Plan, tmp_path: Path) -> None:
    """The sidecar is part of the plan: without it nothing is applied."""
    path, other = tmp_path / "plan.json", tmp_path / "other.json"
    write_plan(path, with_many(plan, planfile.INLINE_CHANGES + 5))
    write_plan(other, with_many(plan, planfile.INLINE_CHANGES + 6))
    right = sidecar_of(path).read_bytes()
    for wrong in (sidecar_of(other).read_bytes(), right[:-9], b"", b"junk"):
        sidecar_of(path).write_bytes(wrong)
        with pytest.raises(Refused):
            read_plan(path)
    sidecar_of(path).unlink()
    with pytest.raises(Refused):
        read_plan(path)
    sidecar_of(path).write_bytes(right)
    assert len(read_plan(path).specs[0].changes) == planfile.INLINE_CHANGES + 5


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda d: d | {"format_version": 2}, "format version 2"),
        (lambda d: d | {"extra": 1}, "not a plan"),
        (lambda d: d | {"totals": d["totals"] | {"requests": 9}}, "was changed"),
        (lambda d: {k: v for k, v in d.items() if k != "digest"}, "not a plan"),
        (lambda d: [d], "format version None"),
    ],
)
def test_an_edited_plan_is_refused(plan: Plan, tmp_path: Path, edit: object, says: str) -> None:
    """A plan that is not exactly what was reviewed is not applied."""
    assert callable(edit)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(edit(plan_document(plan))))
    with pytest.raises(Refused, match=says):
        read_plan(path)


def test_reformatting_a_plan_keeps_it(plan: Plan, tmp_path: Path) -> None:
    """The digest is over the values, so a JSON formatter does no harm."""
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan_document(plan), indent=7, sort_keys=True))
    assert read_plan(path).specs[0].changes == plan.specs[0].changes


def test_a_missing_plan_is_a_usage_failure(tmp_path: Path) -> None:
    """A wrong path is the caller's mistake."""
    with pytest.raises(UsageFailure, match="cannot be read"):
        read_plan(tmp_path / "none.json")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(Refused, match="not JSON"):
        read_plan(tmp_path / "text")


def test_a_fresh_plan_passes(plan: Plan) -> None:
    """What was planned and what would be done now are the same."""
    require_fresh(plan, plan)


@pytest.mark.parametrize(
    ("moved", "says"),
    [
        ({"digests": {"spec": "9" * 64, "inputs": "6" * 64}}, "was edited"),
        ({"digests": {"spec": "5" * 64, "inputs": "9" * 64}}, "inputs of `ticket-triage`"),
        ({"name": "other"}, "is gone"),
        ({"changes": ()}, "other items"),
    ],
)
def test_a_stale_plan_says_what_moved(plan: Plan, moved: dict[str, Any], says: str) -> None:
    """Spec, inputs and work are told apart."""
    current = replace(plan, specs=(replace(plan.specs[0], **moved),))
    with pytest.raises(StalePlan, match=says):
        require_fresh(plan, current)


def test_a_moved_state_makes_a_plan_stale(plan: Plan) -> None:
    """The message names both serials."""
    current = replace(plan, state={"lineage": "abc", "serial": 8})
    with pytest.raises(StalePlan, match="from lineage abc, serial 7 to lineage abc, serial 8"):
        require_fresh(plan, current)


def priced(plan: Plan, amount: str | None) -> Plan:
    """Return the plan with another highest price."""
    usd_max = None if amount is None else Decimal(amount)
    spec = replace(plan.specs[0], estimate=replace(plan.specs[0].estimate, usd_max=usd_max))
    return replace(plan, specs=(spec,))


def test_a_fresh_plan_may_take_a_stale_ones_place(plan: Plan) -> None:
    """It is agreed to when it costs no more, and what is told says why and how much."""
    stale = StalePlan("The saved plan is stale. The state has moved.")
    told = require_affordable(stale, priced(plan, "0.5"), priced(plan, "0.5"))
    assert told == (
        "The saved plan is stale. The state has moved. A fresh plan of its specs is submitted "
        "instead: it costs at most $0.5000, and $0.5000 were reviewed."
    )


@pytest.mark.parametrize(
    ("reviewed", "now", "says"),
    [
        ("0.5", "0.500001", "up to \\$0.5001, more than the \\$0.5000 that were reviewed"),
        (None, "0.1", "A price is unknown"),
        ("0.5", None, "A price is unknown"),
    ],
)
def test_a_dearer_plan_takes_no_place(
    plan: Plan, reviewed: str | None, now: str | None, says: str
) -> None:
    """More than was reviewed, or an unknown amount, stays refused; both reasons are told."""
    stale = StalePlan("The saved plan is stale.")
    with pytest.raises(StalePlan, match=f"The saved plan is stale. .*{says}"):
        require_affordable(stale, priced(plan, reviewed), priced(plan, now))


def test_other_specs_take_no_place(plan: Plan) -> None:
    """What was reviewed was not about them."""
    other = replace(plan, specs=(replace(plan.specs[0], name="other"),))
    with pytest.raises(StalePlan, match="of other specs"):
        require_affordable(StalePlan("Stale."), plan, other)


@pytest.mark.parametrize("counts", [(), (0,), (1,), (0, 3, 0, 1), (1000, 1001, 2500)])
def test_a_plan_in_pieces_has_the_bytes_of_a_whole_one(plan: Plan, counts: tuple[int, ...]) -> None:
    """Also where it has no changes, and where a text of it looks like one of its parts."""
    specs = [
        replace(with_many(plan, count).specs[0], name=f"spec-{number}", model='"changes":[]')
        for number, count in enumerate(counts)
    ]
    many = replace(plan, specs=tuple(specs))
    pieces = list(document.encoded_plan(many))
    assert b"".join(pieces) == document.encode(plan_document(many))
    assert max(map(len, pieces)) < 300_000


KEYS = st.one_of(
    st.text(), st.integers(-(2**127), 2**127), st.booleans(), st.lists(st.text() | st.integers())
)


@given(KEYS)
def test_any_key_survives_the_plan_file(key: object) -> None:
    """Keys keep their type and every character."""
    text = json.dumps(key, ensure_ascii=False, separators=(",", ":"))
    change = Change(key=text, action=Action.SUBMIT, reason=Reason.NEW, request_hash="0" * 64)
    assert document.read_change(document.change_document(change)) == change


def test_a_change_that_is_none_is_refused_wherever_it_stands(plan: Plan, tmp_path: Path) -> None:
    """Even with a right digest, a plan is made of changes."""
    found = plan_document(with_many(plan, 200))
    found["specs"][0]["changes"][150]["action"] = "delete"
    found["digest"] = document_digest(found)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(found))
    with pytest.raises(Refused, match="one of its changes"):
        read_plan(path)
