"""The placeholder ids of the official SDKs' own test suites.

Those suites were generated for a mock server that knows every id: they retrieve
``message_batch_id``, download ``file_id``, and list with cursors that name nothing. With the
setting ``placeholders`` these ids stand for a batch, a file and a model that are made when they
are first asked for, and again after they were deleted; the rest of the emulator stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from batchspec.emulator.intake import Intake
from batchspec.emulator.models import CATALOGUE
from batchspec.emulator.params import Terms
from batchspec.emulator.settings import VERSIONS
from batchspec.emulator.store import NewBatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from batchspec.emulator.core import Emulator
    from batchspec.emulator.lifecycle import BatchRecord
    from batchspec.emulator.models import ModelFacts

BATCH_ID, MODEL_ID = "message_batch_id", "model_id"

_PARAMS = {
    "model": CATALOGUE[0].id,
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "placeholder"}],
}
_BODY = orjson.dumps({"requests": [{"custom_id": "placeholder", "params": _PARAMS}]})


async def placeholder_batch(emulator: Emulator, workspace: str) -> BatchRecord:
    """Return the ended batch that ``message_batch_id`` stands for."""
    name = f"placeholder batch of {workspace}"
    known = emulator.store.batch(workspace, emulator.store.meta(name) or "")
    if known is not None:
        return known
    intake = Intake(emulator.store.incoming(), emulator.settings, Terms(version=VERSIONS[-1]))
    await intake.receive(_pieces())
    batch = NewBatch(
        workspace=workspace,
        created=emulator.clock.now(),
        duration=0.0,
        total=intake.total,
        version=VERSIONS[-1],
        betas=(),
        profile=None,
    )
    record = emulator.store.commit(batch, intake.folder)
    emulator.store.set_meta(name, record.id)
    return record


async def _pieces() -> AsyncIterator[bytes]:
    yield _BODY


def placeholder_model() -> ModelFacts:
    """Return the model that ``model_id`` stands for."""
    return CATALOGUE[0]
