"""Prompts: sandboxed templates, Messages params, and cache breakpoints."""
