"""The command line: arguments, one module per command, and the one error boundary."""
