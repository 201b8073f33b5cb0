"""The official Python SDK's own calls, unchanged but for the base URL."""

from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING, Any

import anthropic
import httpx2
import pytest

from batchspec.emulator.probe import BATCHES
from batchspec.emulator.settings import Unknowns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batchspec.emulator.server import RunningEmulator

    Rows = Callable[[int], list[dict[str, Any]]]
    Start = Callable[..., RunningEmulator]


@pytest.fixture
def emulator(start: Start) -> RunningEmulator:
    """Return an emulator whose uploads can be downloaded."""
    return start(unknowns=Unknowns(downloadable_uploads=True))


@pytest.fixture
def client(emulator: RunningEmulator) -> Iterator[anthropic.Anthropic]:
    """Return the SDK's client with its defaults."""
    with anthropic.Anthropic(api_key="canary", base_url=emulator.base_url) as made:
        yield made


def test_life_of_a_batch(client: anthropic.Anthropic, rows: Any) -> None:
    """Create, retrieve, typed results, cancel, delete."""
    batch = client.messages.batches.create(requests=rows(5))
    assert batch.processing_status == "in_progress"
    assert batch._request_id is not None
    batch = client.messages.batches.retrieve(batch.id)
    assert batch.processing_status == "ended"
    assert batch.request_counts.succeeded == 5
    assert batch.ended_at == batch.created_at
    texts = {}
    for entry in client.messages.batches.results(batch.id):
        assert entry.result.type == "succeeded"
        block = entry.result.message.content[0]
        assert block.type == "text"
        assert entry.result.message.usage.service_tier == "batch"
        texts[entry.custom_id] = block.text
    assert texts == {f"row-{n}": f"echo: text {n}" for n in range(5)}
    assert client.messages.batches.cancel(batch.id).processing_status == "ended"
    assert client.messages.batches.delete(batch.id).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        client.messages.batches.retrieve(batch.id)


def test_beta_namespace_and_betas(
    client: anthropic.Anthropic, emulator: RunningEmulator, rows: Any
) -> None:
    """The beta client reaches the same batches; its betas are stored with them."""
    made = client.beta.messages.batches.create(requests=rows(1), betas=["output-300k-2026-03-24"])
    assert client.messages.batches.retrieve(made.id).id == made.id
    assert len(list(client.beta.messages.batches.results(made.id))) == 1
    assert "output-300k-2026-03-24" in emulator.probe.batches()[0]["anthropic_beta"]


def test_auto_paging_both_ways(client: anthropic.Anthropic, rows: Any) -> None:
    """The SDK's iteration sees every batch once, whichever cursor it starts with."""
    made = [client.messages.batches.create(requests=rows(1)).id for _ in range(7)][::-1]
    assert [batch.id for batch in client.messages.batches.list(limit=2)] == made
    older = client.messages.batches.list(limit=2, after_id=made[3])
    assert [batch.id for batch in older] == made[4:]
    newer = [batch.id for batch in client.messages.batches.list(limit=2, before_id=made[5])]
    assert sorted(newer) == sorted(made[:5])
    assert list(client.messages.batches.list(after_id=made[-1])) == []


def test_files(client: anthropic.Anthropic) -> None:
    """Upload, list, metadata, download, delete."""
    made = [client.files.upload(file=(f"{n}.txt", f"text {n}".encode())) for n in range(3)]
    assert made[0].mime_type == "text/plain"
    assert [file.id for file in client.files.list(limit=2)] == [file.id for file in made[::-1]]
    assert client.files.retrieve_metadata(made[0].id) == made[0]
    assert client.files.download(made[1].id).read() == b"text 1"
    assert client.files.delete(made[2].id).type == "file_deleted"
    assert len(list(client.files.list())) == 2
    lasting = client.files.upload(file=("a.txt", b"x"), expires_in_seconds=3600)
    assert lasting.expires_at is not None
    chosen = client.files.list(ids=[made[0].id, "file_lost"])
    assert [file.id for file in chosen] == [made[0].id]


def test_models_and_count_tokens(client: anthropic.Anthropic) -> None:
    """Paging over models, retrieve by alias, a token count."""
    ids = [model.id for model in client.models.list(limit=4)]
    assert len(ids) == len(set(ids)) > 15
    listed = client.models.list(lifecycle=["deprecated"])
    assert {model.lifecycle for model in listed} == {"deprecated"}
    model = client.models.retrieve("claude-haiku-4-5")
    assert model.id == "claude-haiku-4-5-20251001"
    assert model.capabilities is not None
    assert model.capabilities.batch.supported
    messages: Any = [{"role": "user", "content": "x" * 40}]
    counted = client.messages.count_tokens(model="claude-haiku-4-5", messages=messages)
    assert counted.input_tokens == 10


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, anthropic.BadRequestError), (401, anthropic.AuthenticationError),
        (403, anthropic.PermissionDeniedError), (404, anthropic.NotFoundError),
        (409, anthropic.ConflictError), (413, anthropic.APIStatusError),
        (429, anthropic.RateLimitError), (500, anthropic.InternalServerError),
        (529, anthropic.APIStatusError),
    ],
)  # fmt: skip
def test_errors_become_the_sdk_classes(
    emulator: RunningEmulator, status: int, error: type[anthropic.APIStatusError]
) -> None:
    """Type, request id, error code and message are read from the envelope."""
    emulator.probe.fault("status", "list", status=status, error_code="code_x", message="m")
    with (
        anthropic.Anthropic(api_key="k", base_url=emulator.base_url, max_retries=0) as client,
        pytest.raises(error) as caught,
    ):
        client.messages.batches.list()
    assert caught.value.status_code == status
    assert caught.value.request_id is not None
    assert caught.value.error_code == "code_x"
    assert caught.value.api_message == "m"


def test_default_retries_pay_twice(emulator: RunningEmulator, rows: Any) -> None:
    """The SDK repeats a create that was committed and answered 500: two batches, one call."""
    emulator.probe.fault("status_after_commit", "create", status=500)
    with anthropic.Anthropic(api_key="k", base_url=emulator.base_url) as client:
        client.messages.batches.create(requests=rows(1))
    assert len(emulator.probe.batches()) == 2


def test_a_short_read_is_silent(
    client: anthropic.Anthropic, emulator: RunningEmulator, rows: Any
) -> None:
    """A close-delimited body cut at a line end gives fewer rows and no error (§12.2)."""
    batch = client.messages.batches.create(requests=rows(10))
    emulator.probe.fault("truncate_at_line", "results", lines=4)
    assert len(list(client.messages.batches.results(batch.id))) == 4
    emulator.probe.fault("truncate_chunked", "results", lines=4)
    with pytest.raises(httpx2.RemoteProtocolError):
        list(client.messages.batches.results(batch.id))


def test_streamed_body_with_a_gate(
    client: anthropic.Anthropic, emulator: RunningEmulator, rows: Any
) -> None:
    """A generator body: until its last byte is yielded the emulator has no batch."""
    body = httpx2.Request("POST", "http://x", json={"requests": rows(3)}).content
    seen: list[int] = []

    def pieces() -> Iterator[bytes]:
        yield body[:-1]
        seen.append(len(emulator.probe.batches()))
        yield body[-1:]

    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    batch = client.post(
        BATCHES,
        content=pieces(),
        cast_to=anthropic.types.messages.MessageBatch,
        options={"headers": headers, "max_retries": 0},
    )
    assert seen == [0]
    assert batch.request_counts.processing == 3


def test_relay_prefix(emulator: RunningEmulator, rows: Any) -> None:
    """A base URL with a path keeps working, results included."""
    with anthropic.Anthropic(api_key="k", base_url=f"{emulator.base_url}/relay") as client:
        batch = client.messages.batches.create(requests=rows(2))
        assert len(list(client.messages.batches.results(batch.id))) == 2
        emulator.probe.fault("relative_results_url", "retrieve")
        assert len(list(client.messages.batches.results(batch.id))) == 2


def test_async_client(emulator: RunningEmulator, rows: Any) -> None:
    """The same calls through the asynchronous client."""

    async def run() -> int:
        async with anthropic.AsyncAnthropic(api_key="k", base_url=emulator.base_url) as client:
            batch = await client.messages.batches.create(requests=rows(4))
            results = await client.messages.batches.results(batch.id)
            assert [made.id async for made in client.messages.batches.list()] == [batch.id]
            return len([entry.custom_id async for entry in results])

    assert asyncio.run(run()) == 4


def test_old_headers_through_the_sdk(emulator: RunningEmulator, row: Any) -> None:
    """`default_headers` keep a pipeline on 2023-06-01, where temperature still works."""
    headers = {"anthropic-version": "2023-06-01"}
    with anthropic.Anthropic(
        api_key="k", base_url=emulator.base_url, default_headers=headers
    ) as client:
        made = client.messages.batches.create(requests=[row("a", temperature=0.5)])
        kinds = [entry.result.type for entry in client.messages.batches.results(made.id)]
    assert kinds == ["succeeded"]


def test_nothing_warns(client: anthropic.Anthropic, rows: Any) -> None:
    """Objects pass the SDK's own types without serializer warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batch = client.messages.batches.create(requests=rows(2))
        batch.model_dump_json()
        for entry in client.messages.batches.results(batch.id):
            entry.model_dump_json()
        for model in client.models.list():
            model.model_dump_json()


def test_placeholder_ids_of_the_sdk_tests(start: Start) -> None:
    """With the setting, ids and cursors of the SDK's generated tests name something, again."""
    emulator = start(placeholders=True, unknowns=Unknowns(downloadable_uploads=True))
    with anthropic.Anthropic(api_key="k", base_url=emulator.base_url) as client:
        for _ in range(2):
            assert client.messages.batches.retrieve("message_batch_id").type == "message_batch"
            assert len(list(client.messages.batches.results("message_batch_id"))) == 1
            assert client.messages.batches.cancel("message_batch_id").processing_status == "ended"
            assert client.messages.batches.delete("message_batch_id").id
            assert client.files.retrieve_metadata("file_id").filename == "placeholder.txt"
            assert client.files.download("file_id").read() == b"placeholder"
            assert client.files.delete("file_id").type == "file_deleted"
        assert client.models.retrieve("model_id").type == "model"
        assert client.messages.batches.list(after_id="after_id", before_id="b", limit=1).data == []
        assert client.models.list(after_id="after_id", before_id="b", limit=1).data == []
        assert client.files.list(ids=["string"], limit=1, page="page").data == []
        with pytest.raises(anthropic.NotFoundError):
            client.messages.batches.retrieve("other")
