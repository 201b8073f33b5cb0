"""Where a key that is unknown at its place really belongs."""

from __future__ import annotations

from batchspec.spec.document import NodePath

KNOWN_PARAMS = frozenset(
    {
        "billing_policy", "compaction", "container", "context_management", "diagnostics",
        "inference_geo", "mcp_servers", "metadata", "output_config", "service_tier",
        "stop_sequences", "thinking", "tool_choice", "tools", "user_profile_id",
    }
)  # fmt: skip
"""Messages parameters that pass through ``params`` (fact sheet §1.5)."""

SAMPLING = frozenset({"temperature", "top_p", "top_k"})

_HOMES = {
    "sql": "inputs.sql", "files": "inputs.files", "table": "inputs.table", "rows": "inputs.rows",
    "key": "inputs.key", "sample": "inputs.sample", "input": "inputs", "data": "inputs",
    "system": "prompt.system", "user": "prompt.user", "messages": "prompt.messages",
    "schema": "response.schema", "response_schema": "response.schema",
    "output_format": "response.schema", "on_invalid": "response.on_invalid",
    "attempts": "response.attempts", "parse": "response.parse", "pattern": "response.pattern",
    "tool": "response.tool", "send": "response.send", "order": "response.order",
    "path": "outputs.path", "select": "outputs.select",
    "errored": "retry.errored", "expired": "retry.expired",
    "max_usd": "budget.max_usd", "max_requests": "budget.max_requests",
    "max_bytes": "batch.max_bytes",
    "base_url": "api.base_url in batchspec.yaml", "key_env": "api.key_env in batchspec.yaml",
    "workspace": "api.workspace in batchspec.yaml", "prices": "prices in batchspec.yaml",
    "state": "state in batchspec.yaml", "defaults": "defaults in batchspec.yaml",
    "cache_control": "cache",
    **{name: f"params.{name}" for name in KNOWN_PARAMS | SAMPLING},
}  # fmt: skip

_KEYS = frozenset({"api_key", "apikey", "anthropic_api_key", "token", "secret", "auth_token"})


def home(path: NodePath, keys: frozenset[str]) -> str | None:
    """Return one sentence on where an unknown key at ``path`` belongs; None when unknown.

    Args:
        path: The unknown key's own path.
        keys: The keys that are allowed at its place.
    """
    name = str(path[-1])
    if name.lower() in _KEYS:
        return "The API key is read from the environment only, never from a file; remove it."
    if keys == {"file"}:
        return "A mapping here names a file: {file: path}. Content blocks are written as a list."
    place = _HOMES.get(name)
    if place is None or place == ".".join(map(str, path)):
        return None
    return f"It belongs at {place}."
