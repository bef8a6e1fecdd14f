"""`midas warmup`: compile the numeric kernels into their cache."""

from __future__ import annotations

import sys

import click

from midas_engine.cli.context import Shared, Verb, pass_shared


@click.command(cls=Verb, example="midas warmup")
@pass_shared
def warmup(shared: Shared) -> None:
    """Compile the numeric kernels once, so that no later command waits for it."""
    from midas_engine.clock import WallClock
    from midas_engine.warmup import warm_everything

    live = sys.stderr.isatty() and not shared.as_json
    clock = WallClock()
    start = clock.monotonic()
    if not live:
        shared.note("Compiling the kernels: a minute on an empty cache, a few seconds on a full one.")

    def progress(done: int, total: int, what: str) -> None:
        if live:
            click.echo(f"\r\x1b[KCompiling {done}/{total} {what}", nl=False, err=True)

    steps = warm_everything(progress)
    if live:
        click.echo("\r\x1b[K", nl=False, err=True)
    seconds = clock.monotonic() - start
    shared.show(
        {"steps": steps, "seconds": round(seconds, 2)}, lambda: f"Kernels ready: {steps} steps in {seconds:.1f} s."
    )
