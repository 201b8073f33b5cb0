"""A state that a team shares: the rules for its addresses, and what messages may show of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from batchspec.problems import Place, Problem
from batchspec.spec.document import Document
from batchspec.spec.model import State

LEDGERS = ("postgresql", "postgres")
STORES = ("s3", "gs", "az", "file")
_SECRET_PARAMETERS = frozenset(
    {"password", "sslpassword", "sig", "secret", "access_key", "token", "passfile_password"}
)
_VARIABLES = {"ledger": "BATCHSPEC_STATE_LEDGER", "segments": "BATCHSPEC_STATE_SEGMENTS"}
_HOW = {
    "ledger": "Take it out and set PGPASSWORD, a password file (PGPASSFILE) or a service file; or"
    " give the whole address in BATCHSPEC_STATE_LEDGER.",
    "segments": "Take it out and give the credentials as the store's own variables, such as"
    " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
}


def state_problems(state: State, document: Document | None) -> Iterator[Problem]:
    """Yield what is wrong with the addresses of a shared state."""
    for name in ("ledger", "segments"):
        url = getattr(state, name)
        if url is None:
            continue
        variable = _VARIABLES[name]
        in_file = document is not None and document.get("state", name) == url
        where = document.place(("state", name)) if document is not None and in_file else None
        source = "" if in_file else f" It comes from the environment variable {variable}."
        wrong = _address_complaint(name, url)
        if wrong is not None:
            yield Problem(
                code="bad-state-address",
                summary=f"the address of state.{name} {wrong[0]}",
                detail=wrong[1] + source,
                where=where,
            )
        elif in_file and secret_of(url):
            yield Problem(
                code="secret-in-state",
                summary=f"the address of state.{name} holds a password",
                detail="Whoever can read this repository can read and change what was paid for. "
                "Change the password. " + _HOW[name],
                where=where,
            )
    if (state.ledger is None) != (state.segments is None):
        yield _half(state, document)


def _half(state: State, document: Document | None) -> Problem:
    has, lacks = ("ledger", "segments") if state.segments is None else ("segments", "ledger")
    where: Place | None = None
    if document is not None and document.get("state", has) is not None:
        where = document.place(("state", has), key=True)
    return Problem(
        code="half-shared-state",
        summary=f"state.{has} is shared and state.{lacks} is not",
        detail="Another machine would find what was asked without its answers, or answers that it"
        f" knows nothing of. Give state.{lacks} too, or neither.",
        where=where,
    )


def _address_complaint(name: str, url: str) -> tuple[str, str] | None:
    schemes = LEDGERS if name == "ledger" else STORES
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "cannot be read", "Special characters in it have to be written as %XX."
    if parts.scheme not in schemes or not url.startswith(f"{parts.scheme}://"):
        known = " or ".join(f"{scheme}://" for scheme in schemes)
        return "is of a kind that is not known", f"It begins with {known}."
    if parts.scheme == "file" and (parts.netloc or len(parts.path) <= 1):
        return "is no absolute path", "Write it as file:///folder/on/every/machine."
    if parts.scheme in {"s3", "gs", "az"} and not parts.netloc:
        return "names no bucket", f"Write it as {parts.scheme}://bucket/prefix."
    return None


def secret_of(url: str) -> str:
    """Return the password that an address holds; empty: none."""
    parts = urlsplit(url)
    if parts.password:
        return parts.password
    if parts.scheme in STORES and parts.username:
        return parts.username
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    return next((v for k, v in pairs if k.lower() in _SECRET_PARAMETERS and v), "")


def shown_address(url: str) -> str:
    """Return an address for people: without password and parameters."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    user = "" if parts.scheme in STORES else (parts.username or "")
    netloc = f"{user}@{host}" if user else host
    return f"{parts.scheme}://{netloc}{parts.path}"


def identity(url: str) -> str:
    """Return by what an address is recognised: whoever connects, and with which parameters."""
    parts = urlsplit(url)
    named = [
        (k, v) for k, v in parse_qsl(parts.query) if k in {"host", "port", "dbname", "service"}
    ]
    text = "&".join(f"{k}={v}" for k, v in sorted(named))
    return urlunsplit(("", parts.netloc.rpartition("@")[2], parts.path, text, ""))


def default_namespace(project: str) -> str:
    """Return a project's namespace: its name where that may be one, else with a digest of it."""
    slug = re.sub(r"[^a-z0-9_-]+", "-", project.lower()).strip("-_")[:40]
    if slug == project:
        return slug
    digest = hashlib.sha256(project.encode()).hexdigest()[:8]
    return f"{slug}-{digest}" if slug else digest
