"""`midas warmup`: compile the numeric kernels into their cache."""

from __future__ import annotations

import click

from midas_engine.cli.context import Shared, Verb, pass_shared


@click.command(cls=Verb, example="midas warmup")
@pass_shared
def warmup(shared: Shared) -> None:
    """Compile the numeric kernels once, so that no later command waits for it."""
    from midas_engine.clock import WallClock
    from midas_engine.dsl import warm_kernels

    clock = WallClock()
    start = clock.monotonic()
    shared.note("Compiling kernels (once; up to a minute on an empty cache)")
    warm_kernels()
    seconds = clock.monotonic() - start
    shared.show({"seconds": round(seconds, 2)}, lambda: f"Kernels ready in {seconds:.1f} s.")
