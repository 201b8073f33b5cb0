"""Run the command line as ``python -m batchspec``."""

import sys

from batchspec.cli.main import entry

if __name__ == "__main__":
    sys.exit(entry())
