"""Failures of the environment, as one tree whose classes carry the exit code.

* Mistakes of a spec's author are not here: they are values (`batchspec.problems`), exit code 1.
* A `Failure` is something the author's text cannot be blamed for: no key, no network, no disk, a
  stale plan, a lock. The command line prints its message and hint and exits with its code.
* Any other exception is a bug: the boundary writes a traceback file and exits with 70.
"""

from __future__ import annotations


class Failure(Exception):  # noqa: N818 - the tree's names say what failed, not "Error" each time
    """A condition outside the spec that stops a command.

    Args:
        message: What happened and why it matters, in full sentences, free of secrets.
        hint: What the user can do next; empty when the message already says it.
    """

    exit_code = 5

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def code(self) -> str:
        """The class as a stable identifier: StalePlan is ``stale-plan``."""
        name = type(self).__name__
        name = name.removesuffix("Failure") or name
        return "".join(f"-{mark.lower()}" if mark.isupper() else mark for mark in name).lstrip("-")


class UsageFailure(Failure):
    """The command line asks for something impossible (exit code 2)."""

    exit_code = 2


class Refused(Failure):
    """The command refused before spending money (exit code 4)."""

    exit_code = 4


class StalePlan(Refused):
    """A saved plan no longer matches the specs, the inputs or the state."""


class OverBudget(Refused):
    """What would be submitted costs, or may cost, more than the budget allows."""


class AgainstPolicy(Refused):
    """What would be submitted breaks a rule of the project's policy."""


class StateLocked(Refused):
    """Another process holds the lease on this state."""


class Ambiguous(Refused):
    """Going on could pay twice; a person has to decide."""


class UntrustedJob(Refused):
    """A CI job that somebody else's pull request set off would use the key."""


class EnvironmentFailure(Failure):
    """Network, authentication, disk, permissions (exit code 5)."""


class OutOfMemory(EnvironmentFailure):
    """DuckDB's memory, or the disk space for what does not fit into it, is too small."""


class MissingKey(EnvironmentFailure):
    """No API key is in the environment."""


class AuthFailure(EnvironmentFailure):
    """The API refused the key (401, 402, 403) or a spending limit is reached."""


class NetworkFailure(EnvironmentFailure):
    """The API could not be reached, or kept failing longer than the waiting cap."""


class DiskFailure(EnvironmentFailure):
    """A file could not be read or written durably."""


class StateFailure(EnvironmentFailure):
    """The state is corrupt, of an unknown version, or on a file system it cannot live on."""
