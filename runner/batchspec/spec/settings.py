"""The project file's settings, overridden by the environment, with the rules for both."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from batchspec.problems import Problem
from batchspec.spec.document import NodePath, shown
from batchspec.spec.schema import published_schema, published_validator
from batchspec.spec.shape import complaint
from batchspec.spec.words import about


def _betas(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _seconds(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _folder(text: str) -> dict[str, Any]:
    return {"folder": text}


_VARIABLES: dict[str, tuple[NodePath, Callable[[str], Any]]] = {
    "BATCHSPEC_STATE": (("state",), _folder),
    "BATCHSPEC_STATE_LEDGER": (("state", "ledger"), str),
    "BATCHSPEC_STATE_SEGMENTS": (("state", "segments"), str),
    "BATCHSPEC_STATE_NAMESPACE": (("state", "namespace"), str),
    "BATCHSPEC_STATE_LEASE_SECONDS": (("state", "lease_seconds"), _seconds),
    "BATCHSPEC_STATE_CACHE_MB": (("state", "cache_mb"), int),
    "BATCHSPEC_BASE_URL": (("api", "base_url"), str),
    "BATCHSPEC_KEY_ENV": (("api", "key_env"), str),
    "BATCHSPEC_ANTHROPIC_VERSION": (("api", "anthropic_version"), str),
    "BATCHSPEC_BETAS": (("api", "betas"), _betas),
    "BATCHSPEC_WORKSPACE": (("api", "workspace"), str),
    "BATCHSPEC_KEY_LABEL": (("api", "key_label"), str),
    "BATCHSPEC_SETTLE_SECONDS": (("api", "settle_seconds"), _seconds),
    "BATCHSPEC_POLL_SECONDS": (("api", "poll_seconds"), _seconds),
    "BATCHSPEC_MEMORY_MB": (("memory_mb",), int),
    "BATCHSPEC_EMULATOR_ANSWERS": (("emulator", "answers"), str),
    "BATCHSPEC_EMULATOR_REPLAY": (("emulator", "replay"), str),
    "BATCHSPEC_EMULATOR_DELAY": (("emulator", "delay_seconds"), _seconds),
}

API_VERSIONS = ("2023-06-01", "2026-10-21")
"""Values of the anthropic-version header that the API is known to take (fact sheet §1.2)."""

_LIFT = "BATCHSPEC_ALLOW_INSECURE_BASE_URL"


def overridden(
    data: Mapping[str, Any], environ: Mapping[str, str]
) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """Return the project file's data with the environment's settings over it.

    A variable that is empty counts as unset. `ANTHROPIC_BASE_URL` is used when nothing else names
    a base URL.
    """
    groups = {name: dict(data.get(name) or {}) for name in ("api", "emulator")}
    state = data.get("state") or {}
    groups["state"] = _folder(state) if isinstance(state, str) else dict(state)
    settings = {**data, **groups}
    problems: list[Problem] = []
    for variable, (path, read) in _VARIABLES.items():
        text = environ.get(variable, "")
        if not text:
            continue
        value, wrong = _value(text, path, read)
        if wrong is not None:
            problems.append(_of_environment(variable, wrong, path))
        elif len(path) == 1:
            settings[str(path[0])] = value
        else:
            settings[str(path[0])][str(path[1])] = value
    if environ.get("ANTHROPIC_BASE_URL"):
        settings["api"].setdefault("base_url", environ["ANTHROPIC_BASE_URL"])
    return settings, tuple(problems)


def _value(text: str, path: NodePath, read: Callable[[str], Any]) -> tuple[Any, str | None]:
    """Return the value of a variable's text, and what is wrong with it."""
    try:
        value = read(text)
    except ValueError:
        return None, f"must be a number, not {shown(text)}"
    nested = value
    for step in reversed(path):
        nested = {step: nested}
    error = next(iter(published_validator("project").iter_errors(nested)), None)
    return value, None if error is None else complaint(error)


def _of_environment(variable: str, wrong: str, path: NodePath) -> Problem:
    return Problem(
        code="bad-environment",
        summary=f"the environment variable {variable} {wrong}",
        detail=f"{about(published_schema('project'), path).get('description', '')}"
        " Correct it, or unset it.",
    )


def base_url_source(data: Mapping[str, Any], environ: Mapping[str, str]) -> str | None:
    """Return the variable that the base URL comes from; None when the project file names it."""
    if environ.get("BATCHSPEC_BASE_URL"):
        return "BATCHSPEC_BASE_URL"
    api = data.get("api")
    return None if isinstance(api, dict) and "base_url" in api else "ANTHROPIC_BASE_URL"


def base_url_problems(url: str, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a base URL, as summary and detail.

    The key is sent to this host, so it must be one that cannot be listened to on the way.
    """
    parts, port = _split(url)
    if parts is None or port is None or not parts.hostname or parts.scheme not in {"http", "https"}:
        yield (
            "the base URL is not a web address",
            f"{shown(_without_credentials(url))} was given. Write it as https://host/path.",
        )
        return
    if parts.username is not None or parts.password is not None:
        yield (
            "the base URL holds credentials",
            "They would appear in logs and messages. Remove the part before @.",
        )
    if parts.query or parts.fragment:
        yield (
            "the base URL has a query or a fragment",
            "Paths of the API are added at its end. Remove the part from ? or # on.",
        )
    if parts.scheme == "http" and not _is_loopback(parts.hostname) and environ.get(_LIFT) != "1":
        yield (
            "the base URL is not encrypted",
            f"Everybody on the way could read the key. Use https, or set {_LIFT}=1.",
        )


def _split(url: str) -> tuple[Any, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port or 0
    except ValueError:
        return None, None
    return parts, port


def _without_credentials(url: str) -> str:
    return url.rpartition("@")[2]


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
