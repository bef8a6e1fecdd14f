"""`midas run`: the service. It holds a base, watches, discovers on a schedule, and other doors come to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.options import follow_options
from midas_engine.cli.output import table

if TYPE_CHECKING:
    from midas_engine.service.plan import Plan


@click.command(
    cls=Verb,
    example=(
        "midas run --data live:binance --check",
        "midas run --config /etc/midas/midas.toml",
        "midas run --data follow:./market --kb ./midas-kb",
    ),
)
@click.option("--check", is_flag=True, help="Say what it would do, and do nothing of it.")
@follow_options
@pass_shared
def run(shared: Shared, check: bool, bars: int | None, max_failures: int | None) -> None:
    """Run the service: one process that holds the base and watches it, day and night.

    It follows the feed, records live bars, runs the monitor, and starts the discovery sessions of [service.sessions] in
    midas.toml on their schedule. Terminals and changing verbs come to it by the base's socket. Health and metrics
    answer on loopback once service.health is set. Everything that leaves the process is off until it is set.

    Stop it with SIGTERM or Ctrl-C, or however: the next start goes on where it ended, and raises no alarm twice.
    """
    from midas_engine.service.plan import make_plan

    plan = make_plan(shared.settings(monitor__feed_failures=max_failures))
    if check:
        _check(shared, plan)
        return
    import asyncio  # 40 ms that `midas --help` need not pay

    from midas_engine.cli.monitor_lines import Watchman
    from midas_engine.cli.serving import serve
    from midas_engine.service.service import Service

    code = asyncio.run(serve(Service(plan), Watchman(as_json=shared.as_json), bars))
    if code:
        raise click.exceptions.Exit(code)


def _check(shared: Shared, plan: Plan) -> None:
    """What it would do; code 1 where it could not begin now."""
    from midas_engine.clock import WallClock
    from midas_engine.service.plan import check_feed, check_outputs, hindrance

    check_feed(plan.settings)
    check_outputs(plan.settings)
    steps = plan.steps(WallClock().now())
    against = hindrance(plan)
    document = {"would": [{"part": part, "what": what} for part, what in steps], "hindrance": against}

    def text() -> str:
        last = f"it cannot begin now: {against}" if against else "nothing was done: this was --check"
        return f"midas run would\n{table(steps)}\n{last}"

    shared.show(document, text)
    if against:
        raise click.exceptions.Exit(1)
