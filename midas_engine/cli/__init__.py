"""The `midas` command. Entry point: `midas_engine.cli:main`."""

from __future__ import annotations

import contextlib
import os
import sys


def main(argv: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    Args:
        argv: Arguments without the program's name; None reads the process's.

    Raises:
        SystemExit: Always, with the exit code.
    """
    from midas_engine.cli.entry import EXIT_MEMORY, run

    code = run(argv)
    if code == EXIT_MEMORY:  # without memory the libraries' own ends crash, and the code would be lost
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    raise SystemExit(code)


__all__ = ["main"]
