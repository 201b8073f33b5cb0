"""What a plan checks of a spec's outputs before anything is asked."""

from __future__ import annotations

from pathlib import Path

from batchspec.inputs.engine import Engine
from batchspec.inputs.tables import InputTable
from batchspec.problems import Problem
from batchspec.prompt.answer_form import AnswerForm
from batchspec.spec.model import Spec
from batchspec.spec.project import LoadedSpec


def preflight(
    engine: Engine,
    root: Path,
    loaded: LoadedSpec,
    table: InputTable,
    form: AnswerForm,
    *,
    warnings: bool = False,
) -> tuple[Problem, ...]:
    """Return the errors in outputs and checks that would otherwise be met after paying.

    With ``warnings`` those too, for a command that writes no outputs.

    See `outputs.preflight.output_problems`, which is only loaded when there is something to check:
    default rows in one file cannot be wrong.
    """
    if not _has_choices(loaded.spec):
        return ()
    # What it imports takes longer than a small plan.
    from batchspec.outputs.preflight import output_problems  # noqa: PLC0415

    return output_problems(engine, root, loaded, table, form, warnings=warnings)


def _has_choices(spec: Spec) -> bool:
    chosen = any(output.select is not None or "{{" in output.path for output in spec.outputs)
    return chosen or bool(spec.checks)
