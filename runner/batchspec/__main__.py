"""Run the command line as ``python -m batchspec``."""

from batchspec.cli.main import program

if __name__ == "__main__":
    program()
