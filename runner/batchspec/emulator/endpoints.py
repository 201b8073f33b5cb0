"""The endpoints of the Message Batches API (fact sheet §1.1), and count_tokens and models."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import orjson
from starlette.routing import Route

from batchspec.emulator.errors import ApiError, json_response
from batchspec.emulator.files import (
    delete_file,
    download_file,
    list_files,
    retrieve_file,
    upload,
)
from batchspec.emulator.gate import Call, Endpoint, Prepared
from batchspec.emulator.intake import Intake, gunzipped
from batchspec.emulator.lifecycle import BatchRecord, batch_object
from batchspec.emulator.models import CATALOGUE, ModelFacts, find_model
from batchspec.emulator.paging import CursorPolicy, page_of
from batchspec.emulator.params import Terms, params_fault
from batchspec.emulator.placeholders import (
    BATCH_ID,
    MODEL_ID,
    placeholder_batch,
    placeholder_model,
)
from batchspec.emulator.processing import RESULTS
from batchspec.emulator.rates import check_queue
from batchspec.emulator.results import results_response
from batchspec.emulator.store import NewBatch
from batchspec.emulator.usage import prompt_tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

_SHORTEST_CANCEL = 0.001
"""Seconds that a cancelled batch is ``canceling`` at least: the answer to the cancel shows it."""


def _results_url(call: Call, record: BatchRecord) -> str | None:
    settings = call.emulator.settings
    choices = settings.unknowns
    archived = call.emulator.clock.now() >= record.archives
    if archived and choices.archived_results_url == "null":
        return None
    path = f"/v1/messages/batches/{record.id}/results"
    foreign = call.firing.option("foreign_results_url", "url")
    if foreign is not None:
        return f"{str(foreign).rstrip('/')}{path}"
    if choices.results_url == "relative" or call.firing.has("relative_results_url"):
        return path
    request = call.request
    host = request.headers.get("host", "localhost")
    return f"{request.url.scheme}://{host}{request.scope['state']['prefix']}{path}"


def _object(call: Call, record: BatchRecord) -> dict[str, Any]:
    return batch_object(record, call.emulator.clock.now(), _results_url(call, record))


async def _batch(call: Call) -> BatchRecord:
    """Return the batch that the path names, with its counts when it has ended.

    Raises:
        ApiError: 404 when the workspace has no such batch.
    """
    batch_id = str(call.batch_id)
    if batch_id == BATCH_ID and call.emulator.settings.placeholders:
        return await call.emulator.settled(await placeholder_batch(call.emulator, call.workspace))
    record = call.emulator.store.batch(call.workspace, batch_id)
    if record is None:
        raise ApiError(404, f"Message batch with id '{batch_id}' not found.")
    return await call.emulator.settled(record)


async def _create(call: Call) -> Prepared:
    emulator = call.emulator
    intake = Intake(emulator.store.incoming(), emulator.settings, call.terms)
    try:
        await intake.receive(_body(call))
    except BaseException:
        intake.discard()
        raise

    async def act() -> Response:
        now = emulator.clock.now()
        most = emulator.settings.limits.queue_requests
        if most is not None:
            check_queue(most, emulator.store.batches(call.workspace), intake.total, now)
        batch = NewBatch(
            workspace=call.workspace,
            created=now,
            duration=emulator.settings.delay_seconds,
            total=intake.total,
            version=call.terms.version,
            betas=call.terms.betas,
            profile=call.terms.profile,
        )
        record = emulator.store.commit(batch, intake.folder)
        # The answer is that of the moment of creation: even without a delay it is in progress.
        return json_response(batch_object(record, now - 1, None))

    return Prepared(act, intake.discard)


def _body(call: Call) -> AsyncIterator[bytes]:
    """Return the pieces of a create body, decompressed when that is switched on.

    Raises:
        ApiError: 400 for an encoding that is not taken (fact sheet §2.5).
    """
    encoding = call.request.headers.get("content-encoding", "identity").lower()
    settings = call.emulator.settings
    if encoding == "gzip" and settings.unknowns.gzip_create == "accept":
        return gunzipped(call.request.stream(), settings.limits.max_body_bytes)
    if encoding != "identity":
        raise ApiError(
            400,
            f"Content-Encoding '{encoding}' is not supported on this endpoint.",
            code="request_body_encoding_unsupported",
        )
    return call.request.stream()


async def _retrieve(call: Call) -> Prepared:
    async def act() -> Response:
        return json_response(_object(call, await _batch(call)))

    return Prepared(act)


async def _list(call: Call) -> Prepared:
    async def act() -> Response:
        emulator = call.emulator
        lag = call.firing.option("list_lag", "seconds")
        until = math.inf if lag is None else emulator.clock.now() - lag
        ids = emulator.store.listing(call.workspace, until)
        query = dict(call.request.query_params)
        if call.firing.has("list_ignores_cursor"):
            query = {name: text for name, text in query.items() if name == "limit"}
        page = page_of(ids, query, cursors=_cursors(call), id_of=str)
        records = [emulator.store.batch(call.workspace, batch_id) for batch_id in page.items]
        data = [
            _object(call, await emulator.settled(record))
            for record in records
            if record is not None
        ]
        return json_response(page.as_json(data))

    return Prepared(act)


def _cursors(call: Call) -> CursorPolicy:
    settings = call.emulator.settings
    if settings.placeholders:
        return "any"
    return "empty" if settings.unknowns.unknown_cursor == "empty" else "known"


async def _cancel(call: Call) -> Prepared:
    async def act() -> Response:
        emulator = call.emulator
        record = await _batch(call)
        now = emulator.clock.now()
        if record.status(now) == "ended":
            if emulator.settings.unknowns.cancel_after_end == "error":
                raise ApiError(400, f"Message batch '{record.id}' has already ended.")
        elif record.cancelled is None:
            seconds = max(emulator.settings.cancel_seconds, _SHORTEST_CANCEL)
            emulator.store.cancel(record, now, now + seconds)
            record = emulator.store.batch(call.workspace, record.id) or record
            return json_response(batch_object(record, now, None))
        return json_response(_object(call, record))

    return Prepared(act)


async def _delete(call: Call) -> Prepared:
    async def act() -> Response:
        emulator = call.emulator
        record = await _batch(call)
        if record.status(emulator.clock.now()) != "ended":
            raise ApiError(
                emulator.settings.unknowns.premature_delete_status,
                f"Message batch '{record.id}' has not ended; cancel it before deleting it.",
            )
        emulator.store.delete(record)
        return json_response({"id": record.id, "type": "message_batch_deleted"})

    return Prepared(act)


async def _results(call: Call) -> Prepared:
    async def act() -> Response:
        emulator = call.emulator
        choices = emulator.settings.unknowns
        record = await _batch(call)
        now = emulator.clock.now()
        if record.status(now) != "ended":
            raise ApiError(
                choices.results_before_end_status,
                f"Message batch '{record.id}' has not ended; it has no results yet.",
            )
        if now >= record.archives:
            raise ApiError(
                choices.results_after_archive_status,
                f"The results of message batch '{record.id}' are no longer available.",
            )
        return results_response(emulator.store.files_of(record) / RESULTS, call.firing)

    return Prepared(act)


async def _count_tokens(call: Call) -> Prepared:
    most = call.emulator.settings.limits.max_message_bytes
    pieces = bytearray()
    async for piece in call.request.stream():
        if len(pieces) <= most:
            pieces += piece
    if len(pieces) > most:
        raise ApiError(413, f"Request exceeds the maximum size of {most} bytes")
    params = _parsed(bytes(pieces))
    terms = Terms(
        version=call.terms.version,
        betas=call.terms.betas,
        any_model=call.terms.any_model,
        batch=False,
    )
    if isinstance(params.get("model"), str) and not terms.any_model:
        _known_model(params["model"])
    fault = params_fault(params, terms)
    if fault is not None:
        raise ApiError(400, fault)

    async def act() -> Response:
        return json_response({"input_tokens": prompt_tokens(params)})

    return Prepared(act)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
        orjson.dumps(value)
    except (orjson.JSONDecodeError, TypeError) as error:
        raise ApiError(400, f"The request body is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise ApiError(400, "Input should be a valid dictionary or object")
    return value


def _known_model(name: str) -> ModelFacts:
    model = find_model(name)
    if model is None:
        raise ApiError(404, f"model: {name}")
    return model


async def _models(call: Call) -> Prepared:
    async def act() -> Response:
        query = call.request.query_params
        wanted = query.getlist("lifecycle[]") or query.getlist("lifecycle")
        for stage in wanted:
            if stage not in ("active", "deprecated", "retired"):
                raise ApiError(400, f"lifecycle: '{stage}' is not a lifecycle stage")
        objects = [model.as_json() for model in CATALOGUE]
        if wanted:
            objects = [value for value in objects if value["lifecycle"] in wanted]
        lenient = call.emulator.settings.placeholders
        cursors: CursorPolicy = "any" if lenient else "known"
        page = page_of(objects, query, cursors=cursors, id_of=lambda value: value["id"])
        return json_response(page.as_json(page.items))

    return Prepared(act)


async def _model(call: Call) -> Prepared:
    async def act() -> Response:
        name = str(call.request.path_params["model_id"])
        stands_in = name == MODEL_ID and call.emulator.settings.placeholders
        model = placeholder_model() if stands_in else _known_model(name)
        return json_response(model.as_json())

    return Prepared(act)


_BATCHES = "/v1/messages/batches"


def _route(
    path: str, method: str, name: str, prepare: Callable[[Call], Awaitable[Prepared]]
) -> Route:
    endpoint = Endpoint(name=name, prepare=prepare)

    async def answer(request: Request) -> Response:
        return await endpoint(request)

    return Route(path, answer, methods=[method], name=name)


ROUTES = [
    _route(_BATCHES, "POST", "create", _create),
    _route(_BATCHES, "GET", "list", _list),
    _route(f"{_BATCHES}/{{batch_id}}", "GET", "retrieve", _retrieve),
    _route(f"{_BATCHES}/{{batch_id}}", "DELETE", "delete", _delete),
    _route(f"{_BATCHES}/{{batch_id}}/cancel", "POST", "cancel", _cancel),
    _route(f"{_BATCHES}/{{batch_id}}/results", "GET", "results", _results),
    _route("/v1/messages/count_tokens", "POST", "count_tokens", _count_tokens),
    _route("/v1/models", "GET", "models", _models),
    _route("/v1/models/{model_id}", "GET", "models", _model),
    _route("/v1/files", "POST", "files", upload),
    _route("/v1/files", "GET", "files", list_files),
    _route("/v1/files/{file_id}", "GET", "files", retrieve_file),
    _route("/v1/files/{file_id}", "DELETE", "files", delete_file),
    _route("/v1/files/{file_id}/content", "GET", "files", download_file),
]
