"""A local Message Batches server, written from the API's facts alone."""
