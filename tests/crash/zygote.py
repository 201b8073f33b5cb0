"""Runs the program many times without importing its heavy libraries each time.

A line on stdin is a JSON object {args, env, cwd, out}; the process forks, the child becomes
``batchspec ARGS`` with that environment and its output in the file ``out``, and a line on stdout
first names the child's pid and then, when it has ended, its wait status. Nothing of batchspec
itself is imported before the fork.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import duckdb
import httpx2
import jinja2
import jsonschema
import pyarrow.parquet
import pydantic

PRELOADED = (duckdb, httpx2, jinja2, jsonschema, pyarrow.parquet, pydantic)


def child(order: dict[str, Any]) -> None:
    """Become the program; never returns."""
    out = os.open(order["out"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv = ["batchspec", *order["args"]]
    from batchspec.cli.main import entry  # noqa: PLC0415 - the program begins here

    code: object = 70
    try:
        code = entry()
    except SystemExit as stop:
        code = stop.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0)


def main() -> None:
    """Serve orders until stdin ends."""
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            child(order)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
