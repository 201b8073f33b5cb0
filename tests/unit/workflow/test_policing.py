"""Money rules by day and month: what counts on which day, for whom."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from batchspec.cli.main import main
from batchspec.cli.terminal import Terminal
from batchspec.emulator.server import EmulatorSettings, start_emulator
from batchspec.problems import has_errors
from batchspec.spec.project import LoadedSpec, load_project, load_specs, with_policy
from batchspec.workflow.context import Session, open_session
from batchspec.workflow.policing import Asking, money_problems

SPEC = """\
version: 1
inputs: {{rows: [{{id: 1}}, {{id: 2}}], key: id}}
model: claude-haiku-4-5
max_tokens: 64
prompt: {{user: "{name} {{{{ id }}}}"}}
outputs: {{path: out/{name}.jsonl}}
"""
POLICY = """\
rules:
  - {name: day, max_usd_per_day: 1}
  - {name: month, specs: a, max_usd_per_month: 1}
waivers:
  - {rule: day, spec: b, until: 2026-11-30, reason: A trial., by: lead}
"""


class Frozen:
    """A clock that shows one moment."""

    def __init__(self, now: dt.datetime) -> None:
        self._now = now

    def now(self) -> dt.datetime:
        """Return the moment."""
        return self._now

    def elapsed(self) -> float:
        """Return no time at all."""
        return 0.0

    def sleep(self, seconds: float) -> None:
        """Do not wait."""


@pytest.fixture(scope="module")
def paid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose specs a and b were run today, for real money of the emulator."""
    root = tmp_path_factory.mktemp("paid")
    (root / "specs").mkdir()
    for name in ("a", "b"):
        (root / "specs" / f"{name}.yaml").write_text(SPEC.format(name=name), encoding="utf-8")
    server = start_emulator(EmulatorSettings(data_dir=root / ".batchspec" / "server"))
    environ = {
        "ANTHROPIC_BASE_URL": server.base_url,
        "ANTHROPIC_API_KEY": "canary-key-of-a-test",
        "BATCHSPEC_POLL_SECONDS": "0.05",
        "BATCHSPEC_SETTLE_SECONDS": "0.2",
        "XDG_STATE_HOME": str(root / "notes"),
    }
    terminal = Terminal(stdout=io.StringIO(), stderr=io.StringIO(), environ=environ)
    code = main(["--project", str(root), "run"], terminal)
    server.close()
    assert code == 0
    (root / "policy.yaml").write_text(POLICY, encoding="utf-8")
    return root


@contextmanager
def opened(root: Path, now: dt.datetime) -> Iterator[tuple[Session, dict[str, LoadedSpec]]]:
    """Open the project at a moment."""
    project, _ = load_project(root, {})
    assert project is not None
    project, problems = with_policy(project)
    specs, found = load_specs(project, (), {}, today=now.date())
    assert not has_errors(problems + found)
    with open_session(project, emulate=False, clock=Frozen(now), environ={}) as session:
        yield session, {loaded.spec.name: loaded for loaded in specs}


def codes(root: Path, now: dt.datetime, **usd: str | None) -> list[str]:
    """Return the codes of the rules that asking for so much would break."""
    with opened(root, now) as (session, specs):
        asking = [
            Asking(loaded=specs[name], usd_max=None if amount is None else Decimal(amount))
            for name, amount in usd.items()
        ]
        return [p.code for p in money_problems(session, session.reader(), asking)]


def paid_at(root: Path) -> dt.datetime:
    """Return when the batches were made."""
    with opened(root, dt.datetime.now(dt.UTC)) as (session, _):
        reader = session.reader()
        assert reader is not None
        made = reader.submissions()[0].created_at
        assert made is not None
        return made.astimezone(dt.UTC)


def test_what_was_spent_today_counts_today(paid: Path) -> None:
    """A dollar more than nothing is allowed on another day, and not on the day of the batches."""
    now = paid_at(paid)
    assert codes(paid, now, a="1") == ["policy-usd-day", "policy-usd-month"]
    assert codes(paid, now, a="0.99") == []
    later = now + dt.timedelta(days=40)
    assert codes(paid, later, a="1") == []
    assert codes(paid, later, a="1.01") == ["policy-usd-day", "policy-usd-month"]


def test_an_unknown_price_breaks_every_limit(paid: Path) -> None:
    """What nobody can price may cost anything."""
    assert codes(paid, paid_at(paid), a=None) == ["policy-usd-day", "policy-usd-month"]


def test_a_waived_spec_is_neither_held_nor_counted(paid: Path) -> None:
    """Until its last day, the waived spec is no part of the rule; afterwards it is."""
    during = dt.datetime(2026, 11, 30, 23, 59, tzinfo=dt.UTC)
    after = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
    assert codes(paid, during, b="5") == []
    assert codes(paid, after, b="5") == ["policy-usd-day"]
    with opened(paid, after) as (session, specs):
        (problem,) = money_problems(
            session, session.reader(), [Asking(loaded=specs["b"], usd_max=Decimal(5))]
        )
    assert "The waiver for this spec by lead expired after 2026-11-30." in problem.detail
    assert problem.rule is not None
    assert (problem.rule.file, problem.rule.line) == ("policy.yaml", 2)


def test_specs_of_one_rule_add_up(paid: Path) -> None:
    """Each alone would fit into the day."""
    day = dt.datetime(2027, 3, 1, tzinfo=dt.UTC)
    assert codes(paid, day, a="0.6") == []
    assert codes(paid, day, a="0.6", b="0.6") == ["policy-usd-day"]
