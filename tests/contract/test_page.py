"""The page for debugging: hostile texts stay text."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batchspec.emulator.probe import Probe

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7*7 }}"


class Tags(HTMLParser):
    """Collects the tags and texts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.text += data


def parsed(page: bytes) -> Tags:
    """Return the tags and texts of a page."""
    parser = Tags()
    parser.feed(page.decode())
    return parser


def test_pages_show_batches_and_escape(probe: Probe, row: Any) -> None:
    """Overview and batch page, under a policy that allows no script."""
    assert "none yet" in parsed(probe.call("GET", "/").body).text
    batch_id = probe.create([row("a", HOSTILE)])
    probe.fault("status", "list", status=500)
    overview = probe.call("GET", "/")
    assert overview.headers["content-security-policy"].startswith("default-src 'none'")
    text = parsed(overview.body).text
    assert batch_id in text
    assert "1 succeeded" in text
    assert f"ANTHROPIC_BASE_URL={probe.base_url}" in text
    detail = parsed(probe.call("GET", f"/_emulator/page/{batch_id}").body)
    assert "<script>alert(1)</script>" in detail.text
    assert "{{ 7*7 }}" in detail.text
    assert "echo: <script>" in detail.text
    assert not detail.tags & {"script", "img"}


def test_page_of_a_running_deleted_or_unknown_batch(probe: Probe, row: Any) -> None:
    """A deleted batch is named but has no page."""
    batch_id = probe.create([row("a")])
    probe.call("DELETE", f"/v1/messages/batches/{batch_id}")
    assert f"{batch_id} (deleted)" in parsed(probe.call("GET", "/").body).text
    assert probe.call("GET", f"/_emulator/page/{batch_id}").status == 404


def test_page_of_an_open_batch_has_no_results(start: Any, row: Any) -> None:
    """Before the end there are requests and no results."""
    probe = start(delay_seconds=60).probe
    batch_id = probe.create([row(f"r{n}") for n in range(120)])
    text = parsed(probe.call("GET", f"/_emulator/page/{batch_id}").body).text
    assert "in_progress" in text
    assert "120 requests, the first 100 are shown" in " ".join(text.split())
    assert "not yet" in text
