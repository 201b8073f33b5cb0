"""The exit codes (docs/reference/exit-codes.md)."""

DONE = 0
PROBLEMS = 1
"""Problems in specs."""
USAGE = 2
ITEMS_FAILED = 3
"""Finished, outputs are written, but items or checks failed."""
REFUSED = 4
"""Refused before spending: stale plan, budget, state locked."""
ENVIRONMENT = 5
"""Network, authentication, disk."""
TO_SUBMIT = 10
"""`plan --detailed-exitcode`, and there is something to submit."""
BUG = 70
INTERRUPTED = 130
"""Ctrl-C or SIGTERM; submitted work goes on."""
