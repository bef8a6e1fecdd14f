"""`midas data`: check market data, import it, and say what a source holds."""

from __future__ import annotations

from pathlib import Path

import click

from midas_engine.cli.context import LazyGroup, Shared, Verb, pass_shared
from midas_engine.cli.output import clean, table


@click.group(cls=LazyGroup)
def data() -> None:
    """Market data: check it, import it, look at it."""


@data.command("check", cls=Verb, example="midas data check ./BTCUSDT-1h.csv")
@click.argument("path", type=click.Path(path_type=Path))
@pass_shared
def check(shared: Shared, path: Path) -> None:
    """Name every defect of a file before anything is computed from it. Exit code 1 when there is one that forbids use."""
    from midas_engine.market import inspect

    report = inspect(path)
    shared.show({"ok": report.ok, "path": path, "defects": report.defects}, lambda: _report(str(path), report))
    if not report.ok:
        raise click.exceptions.Exit(1)
