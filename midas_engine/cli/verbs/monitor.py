"""`midas monitor`: the online loop without a terminal, told line by line, until it is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from midas_engine.cli.context import Shared, Verb, pass_shared
from midas_engine.cli.options import follow_options

if TYPE_CHECKING:
    from midas_engine.models import FeatureRecord
    from midas_engine.settings import Settings


@click.command(
    cls=Verb,
    example=(
        "midas monitor --data live:binance",
        "midas monitor --data live:binance:BTCUSDT,ETHUSDT,SOLUSDT@1h --json >> events.jsonl",
        "midas monitor --data follow:./market",
        "midas monitor --data follow:./market@grace=5m --max-failures 10",
        "midas monitor --expr 'cs_rank(ts_mean(funding_rate, 24))' --data live:binance",
    ),
)
@follow_options
@click.option("--expr", "expression", metavar="EXPR", help="Watch this expression alone; no knowledge base is touched.")
@pass_shared
def monitor(shared: Shared, bars: int | None, max_failures: int | None, expression: str | None) -> None:
    """Watch the deployed features on live bars, as the terminal does, and print alerts as they come.

    It is `midas run` without schedule, record and outputs. With --expr it watches one expression of yours, needs no
    base and keeps nothing: its figures are printed with every bar. One that could have no value on the feed's bars (a
    column it lacks, a window longer than its history) is refused.

    State is kept in the knowledge base's journal: after a stop, however hard, the next start goes on where it ended.
    With --json every event is one JSON document on a line of its own.

    A feed in trouble is told and asked again; the bars missed meanwhile are fetched first. No bar for two intervals is
    a critical alert. A bar that some symbols lack waits for them 30 seconds, or what @grace=TIME at the end of the
    source says (follow:./market@grace=5m); a bar that no symbol has is asked for until it comes. Bars of live:EXCHANGE
    are kept in the market store; store:NAME follows what others add there.
    """
    from midas_engine.service.plan import make_plan

    plan = make_plan(shared.settings(monitor__feed_failures=max_failures), quiet=True)
    own = own_feature(expression, plan.settings) if expression is not None else ()
    import asyncio  # 40 ms that `midas --help` need not pay

    from midas_engine.cli.monitor_lines import Watchman
    from midas_engine.cli.serving import serve
    from midas_engine.service.service import Service

    watchman = Watchman(as_json=shared.as_json, figures=expression is not None)
    code = asyncio.run(serve(Service(plan, own=own), watchman, bars))
    if code:
        raise click.exceptions.Exit(code)


def own_feature(text: str, settings: Settings) -> tuple[FeatureRecord, ...]:
    """An expression of the user's own as what is watched.

    Raises:
        ExpressionError: It is none; says where.
    """
    from midas_engine.dsl import parse
    from midas_engine.models import FeatureRecord, FeatureState

    parse(text, limits=settings.dsl)
    return (FeatureRecord("expression", text, FeatureState.DEPLOYED),)
