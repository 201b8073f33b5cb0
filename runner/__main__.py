"""Run a checkout without installing it: ``python runner plan``."""

from batchspec.cli.main import program

if __name__ == "__main__":
    program()
