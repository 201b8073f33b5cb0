"""batchspec: config-as-code for LLM batch jobs."""

__version__ = "0.1.0"
