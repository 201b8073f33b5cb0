"""The page at ``/``: what the emulator holds, for a person who debugs (HTML, no scripts)."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Any

import orjson
from jinja2 import Environment
from starlette.responses import HTMLResponse
from starlette.routing import Route

from batchspec.emulator.clock import rfc3339
from batchspec.emulator.lifecycle import BatchRecord, request_counts
from batchspec.emulator.processing import RESULTS
from batchspec.emulator.rowindex import RowIndex

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from batchspec.emulator.core import Emulator

_SHOWN = 100
_SHOWN_CHARS = 2000
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

_FRAME = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title><style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: #1c1c1c; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .2rem .8rem .2rem 0;
vertical-align: top; border-bottom: 1px solid #ddd; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; max-width: 60rem; }
.note { background: #fff3cd; padding: .5rem .8rem; }
</style></head><body>
<h1>{{ title }}</h1>
<p class="note">Emulated: no model is asked, and nothing is paid.</p>
"""
_OVERVIEW = (
    _FRAME
    + """<p>Time {{ now }}, speed {{ speed }}, seed {{ seed }}.
Point a client here: <code>ANTHROPIC_BASE_URL={{ base_url }}</code> with any API key.</p>
<h2>Batches</h2>
<table><tr><th>batch</th><th>status</th><th>created</th><th>requests</th><th>counts</th></tr>
{% for batch in batches %}<tr>
<td>{% if batch.deleted %}{{ batch.id }} (deleted){% else %}
<a href="/_emulator/page/{{ batch.id }}">{{ batch.id }}</a>{% endif %}</td>
<td>{{ batch.status }}</td><td>{{ batch.created }}</td><td>{{ batch.total }}</td>
<td>{% for name, number in batch.counts.items() if number %}{{ number }} {{ name }}
{% endfor %}</td></tr>
{% else %}<tr><td colspan="5">none yet</td></tr>{% endfor %}</table>
<h2>Faults</h2>
<table><tr><th>endpoint</th><th>kind</th><th>struck</th><th>of calls</th></tr>
{% for fault in faults %}<tr><td>{{ fault.endpoint }}</td><td>{{ fault.kind }}</td>
<td>{{ fault.struck }}</td><td>{{ fault.seen }}</td></tr>
{% else %}<tr><td colspan="4">none set</td></tr>{% endfor %}</table>
</body></html>"""
)
_BATCH = (
    _FRAME
    + """<p><a href="/">all batches</a></p>
<p>{{ status }}, created {{ created }}, anthropic-version {{ version }},
{{ total }} requests{% if total > requests|length %}, the first {{ requests|length }} are shown
{% endif %}.</p>
<table><tr><th>custom_id</th><th>params</th></tr>
{% for custom_id, text in requests %}<tr><td>{{ custom_id }}</td><td><pre>{{ text }}</pre></td></tr>
{% endfor %}</table>
<h2>Results</h2>
<table><tr><th>custom_id</th><th>result</th></tr>
{% for custom_id, text in results %}<tr><td>{{ custom_id }}</td><td><pre>{{ text }}</pre></td></tr>
{% else %}<tr><td colspan="2">not yet</td></tr>{% endfor %}</table>
</body></html>"""
)
_PAGES = Environment(autoescape=True)
_OVERVIEW_PAGE = _PAGES.from_string(_OVERVIEW)
_BATCH_PAGE = _PAGES.from_string(_BATCH)


def _html(text: str, status: int = 200) -> Response:
    return HTMLResponse(text, status, headers={"content-security-policy": _POLICY})


async def _overview(request: Request) -> Response:
    emulator: Emulator = request.app.state.emulator
    records = [await emulator.settled(record) for record in emulator.store.every_batch()]
    now = emulator.clock.now()
    page = _OVERVIEW_PAGE.render(
        title="Message Batches emulator",
        now=rfc3339(now),
        speed=emulator.clock.speed,
        seed=emulator.settings.seed,
        base_url=str(request.base_url).rstrip("/"),
        batches=[_summary(record, now) for record in reversed(records)],
        faults=emulator.faults.faults,
    )
    return _html(page)


def _summary(record: BatchRecord, now: float) -> dict[str, Any]:
    return {
        "id": record.id,
        "status": record.status(now),
        "created": rfc3339(record.created),
        "total": record.total,
        "counts": request_counts(record, now),
        "deleted": record.deleted,
    }


async def _batch(request: Request) -> Response:
    emulator: Emulator = request.app.state.emulator
    wanted = request.path_params["batch_id"]
    for record in emulator.store.every_batch():
        if record.id == wanted and not record.deleted:
            return _html(_batch_page(emulator, await emulator.settled(record)))
    return _html("<!doctype html><title>404</title><p>There is no such batch.</p>", 404)


def _batch_page(emulator: Emulator, record: BatchRecord) -> str:
    now = emulator.clock.now()
    return _BATCH_PAGE.render(
        title=record.id,
        status=record.status(now),
        created=rfc3339(record.created),
        version=record.version,
        total=record.total,
        requests=_requests(emulator, record),
        results=_results(emulator, record),
    )


def _requests(emulator: Emulator, record: BatchRecord) -> list[tuple[str, str]]:
    folder = emulator.store.files_of(record)
    with RowIndex(folder / "rows.bin") as rows, (folder / "body.json").open("rb") as body:
        return [
            (
                row.custom_id,
                _pretty(orjson.loads(os.pread(body.fileno(), row.length, row.offset))["params"]),
            )
            for row in itertools.islice(rows, _SHOWN)
        ]


def _results(emulator: Emulator, record: BatchRecord) -> list[tuple[str, str]]:
    path = emulator.store.files_of(record) / RESULTS
    if record.counts is None:
        return []
    with path.open("rb") as file:
        lines = [orjson.loads(line) for line in itertools.islice(file, _SHOWN)]
    return [(line["custom_id"], _pretty(line["result"])) for line in lines]


def _pretty(value: Any) -> str:
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]} …"


PAGE_ROUTES = [
    Route("/", _overview, methods=["GET"]),
    Route("/_emulator/page/{batch_id}", _batch, methods=["GET"]),
]
