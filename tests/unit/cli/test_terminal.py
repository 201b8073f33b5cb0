"""What the terminal does to every message on its way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchspec.cli.terminal import Terminal

    Said = Callable[[Terminal], tuple[str, str]]
    MakeTerminal = Callable[..., Terminal]

MESSAGES = [
    ("Run `batchspec run`.", "Run `batchspec run --emulate`."),
    ("Run `batchspec apply plan.json`.", "Run `batchspec apply --emulate plan.json`."),
    ("Run `batchspec run --emulate`.", "Run `batchspec run --emulate`."),
    ("`batchspec apply p.json --emulate` does it.", "`batchspec apply p.json --emulate` does it."),
    (
        "`batchspec validate` and `batchspec show a 1`",
        "`batchspec validate` and `batchspec show --emulate a 1`",
    ),
    ("`batchspec planets` and batchspec run", "`batchspec planets` and batchspec run"),
]


@pytest.mark.parametrize(("message", "addressed"), MESSAGES)
def test_commands_in_messages_keep_emulate(
    make_terminal: MakeTerminal, said: Said, message: str, addressed: str
) -> None:
    """Who follows a hint of an emulated run must not spend money; a real run is told as it is."""
    terminal = make_terminal()
    terminal.note(message)
    terminal.emulate = True
    terminal.note(message)
    assert said(terminal) == ("", f"{message}\n{addressed}\n")
