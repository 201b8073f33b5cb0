"""Plans: hashes, what differs from what is known, packing into batches, and price."""
