"""Inputs: the locked-down DuckDB engine, item sources, and fingerprints of rows."""
