"""Questions that several specs of one plan ask: one of them submits, the others get its answers."""

# ruff: noqa: S608 - the names in this SQL are ours, and literals are quoted.

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Self

from batchspec.inputs.columns import quote_literal
from batchspec.plan.items import ItemTable
from batchspec.plan.model import Action
from batchspec.spec.model import Spec


class Elsewhere:
    """What each spec of a plan is about to submit, for those that are planned after it.

    Use it as a context manager: its files are gone afterwards.

    Args:
        folder: Gives the folder for a file of hashes of each spec; plans can read it.
        specs: The specs of the plan. Others may be planned beside them, but submit nothing.
    """

    def __init__(self, folder: Callable[[], Path], specs: Iterable[Spec]) -> None:
        self._folder = folder
        models = {spec.name: spec.model for spec in specs}
        asked = Counter(models.values())
        self._sharing = {name for name, model in models.items() if asked[model] > 1}
        """Only specs that ask the same model can ask the same."""
        self._files: dict[str, tuple[str, Path]] = {}
        """Model and file of each spec that is about to submit something, by its name."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._files):
            self.drop(name)

    def keep(self, spec: Spec, items: ItemTable) -> None:
        """Take in what a spec is about to submit, in the place of what was kept of it before.

        Raises:
            EnvironmentFailure: It cannot be written.
        """
        self.drop(spec.name)
        if spec.name not in self._sharing or not items.requests:
            return
        path = self._folder() / f"{spec.name}.asked.parquet"
        self._files[spec.name] = (spec.model, path)
        target = quote_literal(str(path))
        items.engine.execute(f"COPY (SELECT hash FROM {items.asked}) TO {target} (FORMAT parquet)")

    def drop(self, name: str) -> None:
        """Forget what a spec was about to submit: it has been submitted, or will not be."""
        if name in self._files:
            self._files.pop(name)[1].unlink(missing_ok=True)

    def left_out(self, spec: Spec, items: ItemTable) -> ItemTable:
        """Return the items of a spec without the questions that others are about to submit.

        Those items are to be submitted all the same, as items that are alike within a spec are.
        """
        paths = [
            quote_literal(str(path))
            for name, (model, path) in self._files.items()
            if name != spec.name and model == spec.model
        ]
        if not paths or not items.requests:
            return items
        table = f"{items.prefix}_elsewhere"
        items.engine.execute(
            f"CREATE OR REPLACE TABLE {table} AS SELECT DISTINCT hash FROM {items.prefix}_work"
            f" SEMI JOIN read_parquet([{', '.join(paths)}]) USING (hash)"
            f" WHERE action = '{Action.SUBMIT}'"
        )
        (count,) = items.engine.one(f"SELECT count(*) FROM {table}")
        return replace(items, elsewhere=table) if count else items
