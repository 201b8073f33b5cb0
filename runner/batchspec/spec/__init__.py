"""Specs: YAML with positions, JSON Schema, frozen models, rules, and the project around them."""
