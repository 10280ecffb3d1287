"""`earshot`, and `python -m voice`."""

import sys

from voice.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
