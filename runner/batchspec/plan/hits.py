"""How much of what requests share can come from the prompt cache at best (fact sheet §5)."""

from __future__ import annotations

from decimal import Decimal

from batchspec.records import frozen


@frozen
class Shares:
    """The requests of a spec, by what stands before their cache breakpoints."""

    requests: int
    groups: int
    """Different prefixes behind a breakpoint that an item variable reaches; 0: there is none."""
    shared: Decimal
    """Tokens that all requests share before a breakpoint."""
    marked: Decimal
    """Tokens of a request, on average, that only its group shares."""
    minimum: int | None
    """Shortest prefix that the model caches; None: not on record."""
    margin: Decimal = Decimal(1)
    """So many times as long as guessed a prefix may be."""

    @property
    def cached(self) -> Decimal:
        """Tokens of a request that its group keeps in the cache."""
        short = (self.shared + self.marked) * self.margin < (self.minimum or 0)
        return Decimal(0) if short or not self.groups else self.marked

    def hits(self, rate: Decimal, of_group: Decimal | None = None) -> tuple[Decimal, Decimal]:
        """Return the shares of hits among prefixes of all requests, and among those of groups.

        The first request of all, and the first of each group, writes whatever happens.

        Args:
            rate: What is expected of prefixes that can be read.
            of_group: The same for those of groups, where it is another.
        """
        wanted = rate if of_group is None else of_group
        first = 1 - Decimal(1) / self.requests
        later = 1 - Decimal(self.groups) / self.requests
        return min(rate, first), min(wanted, later)

    def notes(self, name: str) -> tuple[str, ...]:
        """Say why a breakpoint behind values of the item cannot pay.

        Args:
            name: What the spec calls the block before it.
        """
        if not self.groups or self.requests == 1:
            return ()
        if not self.cached:
            note = (
                f"Nothing is cached behind {name}: the prefix up to it has about"
                f" {int(self.shared + self.marked):,} tokens, and the model caches from"
                f" {self.minimum:,} on."
            )
            return (note,)
        if self.groups == self.requests:
            note = (
                f"The cache breakpoint behind {name} can never hit: what stands before it differs"
                f" in each of the {self.requests:,} requests, so that each writes it, for more than"
                " its price, and none reads it. Remove cache there, or put what items share before"
                " what they do not."
            )
            return (note,)
        return ()
