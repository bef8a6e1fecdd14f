"""The `midas` command. Entry point: `midas_engine.cli:main`."""

from __future__ import annotations


def main(argv: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    Args:
        argv: Arguments without the program's name; None reads the process's.

    Raises:
        SystemExit: Always, with the exit code.
    """
    from midas_engine.cli.entry import run

    raise SystemExit(run(argv))


__all__ = ["main"]
