"""The Message Batches API: the port the program needs, its client, and the model catalogue."""
