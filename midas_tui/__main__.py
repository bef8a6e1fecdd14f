"""`python -m midas_tui`."""

from __future__ import annotations

import sys

from midas_tui.cli import main

if __name__ == "__main__":
    sys.exit(main())
