"""The rules of a spec: one function each, all applied, none stopping another."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from batchspec.problems import Problem
from batchspec.spec import (
    rules_blocks,
    rules_checks,
    rules_features,
    rules_files,
    rules_model,
    rules_params,
    rules_parse,
    rules_policy,
    rules_prompt,
    rules_response,
    rules_settings,
    rules_tools,
    rules_turns,
    rules_values,
)
from batchspec.spec.facts import ModelFacts
from batchspec.spec.subject import Subject

__all__ = ["RULES", "ModelFacts", "Rule", "rule_problems"]

Rule = Callable[[Subject], Iterator[Problem]]

RULES: tuple[Rule, ...] = (
    rules_model.unknown_model,
    rules_model.retired_model,
    rules_model.retiring_model,
    rules_model.too_many_tokens,
    rules_model.sampling,
    rules_features.without_batches,
    rules_features.thinking,
    rules_features.effort,
    rules_features.effort_level,
    rules_features.abilities,
    rules_features.forced_tools,
    rules_features.forced_while_thinking,
    rules_tools.tool_shapes,
    rules_tools.tool_parts,
    rules_tools.tool_types,
    rules_tools.service_tool_names,
    rules_tools.tool_breakpoints,
    rules_tools.tool_names,
    rules_tools.tool_schemas,
    rules_tools.strict_tools,
    rules_tools.schemas_together,
    rules_tools.tool_choice,
    rules_values.stop_sequences,
    rules_values.sampling_values,
    rules_values.sampling_together,
    rules_values.plain_texts,
    rules_values.metadata,
    rules_values.service_tier,
    rules_values.effort_value,
    rules_values.output_config,
    rules_values.thinking_kind,
    rules_values.thinking_budget,
    rules_values.thinking_with_effort,
    rules_values.inference_geo,
    rules_params.owned_params,
    rules_params.params_not_in_batches,
    rules_params.params_of_betas,
    rules_params.billing_policy,
    rules_params.unknown_parts,
    rules_params.not_params,
    rules_params.unknown_params,
    rules_blocks.block_keys,
    rules_blocks.block_parts,
    rules_blocks.raw_parts,
    rules_blocks.unknown_blocks,
    rules_blocks.block_roles,
    rules_blocks.citations_with_schema,
    rules_blocks.citations_of_some,
    rules_prompt.citations_in_text,
    rules_prompt.first_turn,
    rules_turns.speakers_of_tools,
    rules_turns.calls_and_results,
    rules_prompt.prefill,
    rules_prompt.prefill_ends_blank,
    rules_parse.response_without_effect,
    rules_parse.text_can_be_valid,
    rules_parse.pattern_compiles,
    rules_parse.tool_is_there,
    rules_parse.tool_answers_are_read,
    rules_response.schema_without_support,
    rules_response.schema_subset,
    rules_files.paths_inside,
    rules_files.missing_files,
    rules_files.output_format,
    rules_files.output_over_input,
    rules_settings.unknown_version,
    rules_settings.betas_not_on_record,
    rules_checks.duplicate_checks,
    rules_checks.check_options,
    rules_checks.check_bounds,
    rules_checks.drift_of_outputs,
    rules_settings.types_of_a_table,
    rules_settings.empty_budget,
    rules_settings.budget_above_project,
    rules_policy.policy_breaches,
)


def rule_problems(subject: Subject) -> tuple[Problem, ...]:
    """Apply every rule to one spec."""
    return tuple(problem for rule in RULES for problem in rule(subject))
