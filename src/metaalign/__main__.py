"""``python -m metaalign`` is the command line."""

import sys

from metaalign.cli import main

if __name__ == "__main__":
    sys.exit(main())
