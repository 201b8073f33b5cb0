"""Specs: YAML with positions, its JSON Schema, frozen models, rules, and the project they live in."""
