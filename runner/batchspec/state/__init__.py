"""State: the ledger of submissions and claims, immutable segments, and the lease."""
