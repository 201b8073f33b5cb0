"""Run a checkout without installing it: ``python runner plan``."""

import sys

from batchspec.cli.main import entry

if __name__ == "__main__":
    sys.exit(entry())
