"""Reading the Models API into the project's own list of models."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from pathlib import Path

from batchspec.durable import write_file
from batchspec.errors import NetworkFailure
from batchspec.events import Event
from batchspec.spec.listed import MODELS_FILE, ListedModel, ListedModels, models_text
from batchspec.workflow.context import Session
from batchspec.workflow.patience import patiently

MAX_PAGES = 20
"""Of 1,000 models each; an API that has more pages than that repeats itself."""


def refresh_models(session: Session) -> Generator[Event, None, ListedModels]:
    """Ask the API for all models, write `MODELS_FILE`, and return what it holds now.

    Raises:
        MissingKey: when the environment has no key.
        AuthFailure: the key was refused.
        NetworkFailure: the API cannot be reached, or lists no models.
        DiskFailure: the file cannot be written; the former one stays.
    """
    api = session.facts_api()
    found: dict[str, ListedModel] = {}
    after: str | None = None
    for _ in range(MAX_PAGES):
        read = partial(api.models, after_id=after)
        page = yield from patiently(session, read, "reading the models", idle=True)
        found |= {model.id: model for model in page.models}
        after = page.last_id
        if not page.has_more or after is None:
            break
    if not found:
        raise NetworkFailure(
            "The API lists no models, so the project's list was left as it is.",
            hint="A relay may not offer this call: ask the API itself, or write the file by hand.",
        )
    listed = ListedModels(as_of=session.clock.now().date(), models=tuple(found.values()))
    write_file(models_path(session), [models_text(listed).encode()])
    return listed


def models_path(session: Session) -> Path:
    """Return where the project's list stands."""
    return session.project.root / MODELS_FILE
