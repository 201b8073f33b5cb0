"""Checks the ``params`` of one request as the Messages API would (fact sheet §1.5, §2.3, §2.4, §6).

A fault found here becomes an errored line after the batch has ended, unless the settings say
that it refuses the whole batch. Each check returns the message of the first fault, or ``None``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batchspec.emulator.content import content_fault, files_named
from batchspec.emulator.media import media_fault
from batchspec.emulator.models import EFFORTS, ModelFacts, find_model, generic_model
from batchspec.emulator.schema_subset import schema_fault
from batchspec.emulator.tools import tools_fault

if TYPE_CHECKING:
    from collections.abc import Callable

STRICT_VERSION = "2026-10-21"
EXTENDED_OUTPUT_BETA = "output-300k-2026-03-24"
_EXTENDED_OUTPUT = 300_000
_THINKING_MINIMUM = 1024
_LARGE_WINDOW = 1_000_000
_ABOVE_HIGH = ("xhigh", "max")

_KEYS = frozenset(
    [
        "model",
        "max_tokens",
        "messages",
        "cache_control",
        "container",
        "diagnostics",
        "inference_geo",
        "metadata",
        "output_config",
        "service_tier",
        "speed",
        "stop_sequences",
        "stream",
        "system",
        "thinking",
        "tool_choice",
        "tools",
    ]
)
_SAMPLING = {"temperature": 1, "top_p": None, "top_k": None}
_BETA_KEYS = frozenset(
    [
        "context_management",
        "mcp_servers",
        "fallbacks",
        "fallback_credit_token",
        "billing_policy",
        "compaction",
        "thread",
        "user_profile_id",
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What governs every row of a batch: set by the headers of its create call."""

    version: str
    """The ``anthropic-version``."""
    betas: tuple[str, ...] = ()
    """Values of ``anthropic-beta``."""
    profile: str | None = None
    """The ``anthropic-user-profile-id``."""
    any_model: bool = False
    """Whether models outside the catalogue are accepted (a setting of the emulator)."""
    batch: bool = True
    """False for count_tokens: no ``max_tokens`` is needed, and no schema is compiled."""
    files: frozenset[str] | None = None
    """Ids of the files that requests may name; ``None`` leaves them unchecked."""


def params_fault(params: dict[str, Any], terms: Terms) -> str | None:
    """Return why the API would refuse these params, or ``None`` when it would take them."""
    fault = _keys_fault(params, terms) or _model_fault(params, terms)
    if fault is not None:
        return fault
    model = model_of(params, terms)
    if model is None:
        return f"model: {params['model']}"
    for check in _CHECKS:
        fault = check(params, model, terms)
        if fault is not None:
            return fault
    return None


def model_of(params: dict[str, Any], terms: Terms) -> ModelFacts | None:
    """Return the facts of the model that the params name."""
    name = params.get("model")
    if not isinstance(name, str):
        return None
    return find_model(name) or (generic_model(name) if terms.any_model else None)


def refused_in_batches(params: dict[str, Any]) -> str | None:
    """Return the fault of params that no batch takes: stream, speed, max_tokens 0 (§2.4)."""
    if params.get("stream") is True:
        return "stream: Streaming is not supported in batches"
    if params.get("speed") not in (None, "standard"):
        return "speed: Fast mode is not supported in batches"
    if params.get("max_tokens") == 0:
        return "max_tokens: Input should be greater than or equal to 1"
    return None


def _keys_fault(params: dict[str, Any], terms: Terms) -> str | None:
    for key in params:
        if key in _KEYS or (key in _BETA_KEYS and terms.betas):
            continue
        if key in _SAMPLING and terms.version != STRICT_VERSION:
            continue
        if key in {"fallbacks", "fallback_credit_token", "user_profile_id"}:
            continue
        return f"{key}: Extra inputs are not permitted"
    return None


def _model_fault(params: dict[str, Any], _terms: Terms) -> str | None:
    if "model" not in params:
        return "model: Field required"
    if not isinstance(params["model"], str) or not params["model"]:
        return "model: Input should be a valid string"
    return None


def _max_tokens_fault(params: dict[str, Any], model: ModelFacts, terms: Terms) -> str | None:
    if not terms.batch:
        return None
    if "max_tokens" not in params:
        return "max_tokens: Field required"
    value = params["max_tokens"]
    if not isinstance(value, int) or isinstance(value, bool):
        return "max_tokens: Input should be a valid integer"
    if value < 1:
        return "max_tokens: Input should be greater than or equal to 1"
    extended = model.extended_output and EXTENDED_OUTPUT_BETA in terms.betas
    limit = _EXTENDED_OUTPUT if extended else model.max_output
    if value > limit:
        return (
            f"max_tokens: {value} > {limit}, which is the maximum allowed number of output"
            f" tokens for {model.id}"
        )
    return None


def _refused_fault(params: dict[str, Any], _model: ModelFacts, terms: Terms) -> str | None:
    if not terms.batch:
        return None
    if params.get("fallbacks"):
        return "fallbacks: Fallbacks are not supported in batches"
    if params.get("thread"):
        return "thread: Threads are not supported in batches"
    policy = params.get("billing_policy")
    if isinstance(policy, dict) and policy.get("bill_to") == "user_profile":
        return "billing_policy: Billing to a user profile is not supported in batches"
    own = params.get("user_profile_id")
    if own is not None and terms.profile is not None and own != terms.profile:
        return "user_profile_id: must match the anthropic-user-profile-id header"
    return refused_in_batches(params)


def _sampling_fault(params: dict[str, Any], model: ModelFacts, _terms: Terms) -> str | None:
    for key, default in _SAMPLING.items():
        if key not in params:
            continue
        value = params[key]
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return f"{key}: Input should be a valid number"
        if value < 0 or (key != "top_k" and value > 1):
            return f"{key}: Input should be in its range"
        if not model.sampling and value != default:
            return f"`{key}` is deprecated for this model"
    return _sampling_together_fault(params)


def _sampling_together_fault(params: dict[str, Any]) -> str | None:
    thinking, temperature = params.get("thinking"), params.get("temperature")
    if temperature is None:
        return None
    thinks = isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive")
    if thinks and temperature != 1:
        return "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode."
    if "top_p" in params:
        return "`temperature` and `top_p` cannot both be specified for this model."
    return None


def _prefill_fault(params: dict[str, Any], model: ModelFacts, _terms: Terms) -> str | None:
    last = params["messages"][-1]
    if last["role"] == "assistant" and not model.prefill:
        return (
            "This model does not support assistant message prefill."
            " The conversation must end with a user message."
        )
    if last["role"] == "assistant" and _last_text(last["content"])[-1:].isspace():
        return "messages: final assistant content cannot end with trailing whitespace"
    return None


def _last_text(content: Any) -> str:
    """Return the text with which a message ends; empty when it ends with something else."""
    if isinstance(content, list):
        content = content[-1].get("text") if content and isinstance(content[-1], dict) else None
    return content if isinstance(content, str) else ""


def _thinking_fault(params: dict[str, Any], model: ModelFacts, _terms: Terms) -> str | None:
    thinking = params.get("thinking")
    if thinking is None:
        return None
    if not isinstance(thinking, dict) or not isinstance(thinking.get("type"), str):
        return "thinking: Input should be a valid dictionary with a type"
    kind = thinking["type"]
    if kind not in model.thinking:
        return f"thinking.type: `{kind}` is not supported on {model.id}"
    if kind in model.thinking_up_to_high and _effort(params) in _ABOVE_HIGH:
        return f"thinking.type: `{kind}` is not supported on {model.id} at this effort"
    if kind == "enabled":
        return _budget_fault(params, thinking) or _forced_fault(params)
    extra = "budget_tokens" in thinking
    return f"thinking.{kind}.budget_tokens: Extra inputs are not permitted" if extra else None


def _forced_fault(params: dict[str, Any]) -> str | None:
    choice = params.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") in ("any", "tool"):
        return "Thinking may not be enabled when tool_choice forces tool use."
    return None


def _effort(params: dict[str, Any]) -> Any:
    config = params.get("output_config")
    return config.get("effort") if isinstance(config, dict) else None


def _budget_fault(params: dict[str, Any], thinking: dict[str, Any]) -> str | None:
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, int) or budget < _THINKING_MINIMUM:
        return (
            "thinking.enabled.budget_tokens: Input should be greater than or equal to"
            f" {_THINKING_MINIMUM}"
        )
    most = params.get("max_tokens")
    if isinstance(most, int) and budget >= most:
        return "`max_tokens` must be greater than `thinking.budget_tokens`"
    return None


def _output_fault(params: dict[str, Any], model: ModelFacts, terms: Terms) -> str | None:
    config = params.get("output_config")
    if config is None:
        return None
    if not isinstance(config, dict):
        return "output_config: Input should be a valid dictionary"
    for key in config:
        if key not in {"effort", "format", "task_budget"}:
            return f"output_config.{key}: Extra inputs are not permitted"
    effort = config.get("effort")
    if effort is not None:
        if effort not in EFFORTS:
            return f"output_config.effort: Input should be one of {', '.join(EFFORTS)}"
        if not model.effort:
            return f"output_config.effort: not supported on {model.id}"
    return _format_fault(config.get("format"), params, compiled=terms.batch)


def _format_fault(form: Any, params: dict[str, Any], *, compiled: bool) -> str | None:
    if form is None:
        return None
    if not isinstance(form, dict) or form.get("type") != "json_schema":
        return "output_config.format.type: Input should be 'json_schema'"
    fault = schema_fault(form.get("schema")) if compiled else None
    if fault is not None:
        return f"output_config.format.schema: {fault}"
    if params["messages"][-1]["role"] == "assistant":
        return "output_config.format: not supported with assistant message prefill"
    return None


def _files_fault(params: dict[str, Any], _model: ModelFacts, terms: Terms) -> str | None:
    if terms.files is None:
        return None
    for file_id in files_named(params):
        if file_id not in terms.files:
            return f"File not found: {file_id}"
    return None


def _plain_fault(params: dict[str, Any], model: ModelFacts, _terms: Terms) -> str | None:
    stops = params.get("stop_sequences")
    if stops is not None and not (
        isinstance(stops, list) and all(isinstance(stop, str) and stop for stop in stops)
    ):
        return "stop_sequences: Input should be a valid list of non-empty strings"
    metadata = params.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        return "metadata: Input should be a valid dictionary"
    if params.get("service_tier") not in (None, "auto", "standard_only"):
        return "service_tier: Input should be 'auto' or 'standard_only'"
    if params.get("inference_geo") is not None and not model.geo:
        return f"inference_geo: not supported on {model.id}"
    return None


_CHECKS: tuple[Callable[[dict[str, Any], ModelFacts, Terms], str | None], ...] = (
    _max_tokens_fault,
    lambda params, _model, terms: content_fault(params, strict=terms.version == STRICT_VERSION),
    lambda params, model, _terms: media_fault(params, large=model.window >= _LARGE_WINDOW),
    _refused_fault,
    _sampling_fault,
    _prefill_fault,
    _thinking_fault,
    _output_fault,
    lambda params, model, terms: tools_fault(
        params, forced=model.forced_tools, compiled=terms.batch
    ),
    _plain_fault,
    _files_fault,
)
