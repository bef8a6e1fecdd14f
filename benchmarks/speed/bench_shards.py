"""Live watching in shards: seconds a bar and megabytes, beside the unsharded monitor.

Run: `python benchmarks/speed/bench_shards.py --features 1000 --symbols 500 --shards 2 --seed 3`.

Every feature is of its own: one to three windowed operators on inputs that few others use, whose windows sum to
between a tenth and the whole of `--own` bars (240). Each way of watching runs in a process of its own, goes through
`--warm` bars so that every window is full and all memory is touched, and is then given `--bars` bars: the values, and
all that `OnlineMonitor` makes of them. Megabytes are those resident in all its processes, what they share once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.dsl import StreamEngine
from midas_engine.dsl.stream import parsed
from midas_engine.monitor import OnlineMonitor
from midas_engine.monitor.shards.plan import cut
from midas_engine.monitor.shards.process import resident_mb
from midas_engine.monitor.shards.reckoning import MB, reckon
from midas_engine.monitor.shards.shards import Shards
from midas_engine.settings import DslLimits

if TYPE_CHECKING:
    from midas_engine.dsl.expression import Expression

COLUMNS = ("open", "high", "low", "close", "volume", "quote_volume", "trades", "funding_rate")
LIMITS = DslLimits().at(60)
ONE = ("ts_mean", "ts_std", "ts_zscore", "ts_max", "ts_min", "ts_rank", "ts_decay_linear", "ts_argmax", "delta", "ema")
WAYS = ("plain", "compact", "shards")


def features(count: int, own: int, seed: int) -> dict[str, str]:
    """So many distinct features."""
    rng = np.random.default_rng(seed)
    found: dict[str, str] = {}
    while len(found) < count:
        budget, parts = int(rng.integers(own // 10, own + 1)), []
        for share in rng.dirichlet(np.ones(int(rng.integers(1, 4)))):
            n = max(3, int(share * budget))
            source = f"({rng.choice(COLUMNS[:4])} / {rng.choice(COLUMNS[:4])} - {rng.integers(1, 10**6) / 1e6:g})"
            if rng.random() < 0.1 and n >= 8:
                parts.append(f"ts_corr({source}, {rng.choice(COLUMNS[4:])}, {n // 2})")
            else:
                parts.append(f"{rng.choice(ONE)}({source}, {n})")
        text = " - ".join(f"cs_rank({part})" if rng.random() < 0.5 else part for part in parts)
        found[f"f{len(found)}"] = text
    return found


class Market:
    """Bars that wander, with holes."""

    def __init__(self, symbols: int, seed: int) -> None:
        self._rng, self._price = np.random.default_rng(seed), np.full(symbols, 100.0)

    def bars(self, count: int) -> dict[str, np.ndarray]:
        """The next bars, [count, S] a column."""
        rng, shape = self._rng, (count, len(self._price))
        price = self._price * np.exp(np.cumsum(rng.normal(0, 0.001, shape), axis=0))
        self._price = price[-1]
        found = {name: price * (1 + rng.normal(0, 0.0005, shape)) for name in COLUMNS[:4]}
        found |= {name: rng.lognormal(3, 1, shape) for name in COLUMNS[4:]}
        for column in found.values():
            column[rng.random(shape) < 0.002] = np.nan
        return found


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def watch(way: str, args: argparse.Namespace) -> dict[str, Any]:
    """One way of watching, in this process."""
    expressions: dict[str, Expression] = {}
    for name, text in features(args.features, args.own, args.seed).items():
        expressions.update(parsed({name: text}, COLUMNS, LIMITS))
    symbols = [f"S{i}" for i in range(args.symbols)]
    found = reckon(expressions, args.symbols, min_share=LIMITS.min_share, compact=way != "plain")
    shards = args.shards if way == "shards" else 0
    plan = cut(found, max(shards, 1))
    windows = sum(plan.windows) if shards else found.windows
    told = {"reckoned_mb": found.total(shards, windows) / MB, "windows_mb": windows / MB}
    told["own_bars"] = float(np.mean([w.bars for w in found.weights]))
    if told["reckoned_mb"] > args.most_mb:
        return told
    stream: Any = (
        Shards(expressions, COLUMNS, symbols, limits=LIMITS, plan=plan)
        if shards
        else StreamEngine(expressions, COLUMNS, symbols, limits=LIMITS, compact=way == "compact")
    )
    market, at, began = Market(args.symbols, args.seed), datetime(2026, 1, 1, tzinfo=UTC), time.perf_counter()
    for _ in range(0, args.warm, 32):
        stream.advance(market.bars(32))
    told["warm_seconds"] = time.perf_counter() - began
    monitor = OnlineMonitor(list(expressions), symbols=symbols, bar_seconds=60)
    valued, judged, own, theirs = [], [], [], []
    previous = np.full(args.symbols, np.nan)
    for place in range(args.bars):
        bar = {name: column[0] for name, column in market.bars(1).items()}
        start, used, worked = time.perf_counter(), cpu(), cpu_of(stream)
        values = stream.update(bar)
        middle = time.perf_counter()
        returns = bar["close"] / previous - 1.0
        previous = bar["close"]
        await monitor.process_bar(at + timedelta(minutes=place), values, returns)
        valued.append(middle - start)
        judged.append(time.perf_counter() - middle)
        own.append(cpu() - used)
        theirs.append(max((b - a for a, b in zip(worked, cpu_of(stream), strict=True)), default=0.0))
    bars = np.array(valued) + np.array(judged)
    told |= {"median": float(np.median(bars[1:])), "worst": float(bars[1:].max())}
    told |= {"values": float(np.median(valued[1:])), "judging": float(np.median(judged[1:]))}
    told |= {"own_cpu": float(np.median(own[1:])), "shard_cpu": float(np.median(theirs[1:]))}
    told["resident_mb"] = resident_mb()
    if shards:
        shared = stream._values.array.nbytes + stream._bars.array.nbytes
        told["resident_mb"] += sum(resident_mb(pid) for pid in stream.pids) + shared / MB
        if args.kill:
            told |= killed(stream, market)
        stream.close()
    await monitor.close()
    return told


def cpu_of(stream: Any) -> list[float]:
    """Seconds of processor time each shard has used."""
    return [p.cpu for p in stream._processes if p is not None] if isinstance(stream, Shards) else []


def killed(stream: Shards, market: Market) -> dict[str, float]:
    """How long a saving takes the next bar, and how long one shard takes to be back after a SIGKILL."""
    start = time.perf_counter()
    stream.save()
    stream._settle()
    saving = time.perf_counter() - start
    for _ in range(2):
        stream.advance({name: column[-1:] for name, column in market.bars(1).items()})
    old = stream.pids
    start = time.perf_counter()
    os.kill(old[0], signal.SIGKILL)
    stream.advance({name: column[-1:] for name, column in market.bars(1).items()})
    return {"saving": saving, "back": time.perf_counter() - start}


def main() -> None:
    """Print one line for each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=1000)
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--own", type=int, default=240, help="bars a feature's own windows sum to at most")
    parser.add_argument("--warm", type=int, default=320)
    parser.add_argument("--bars", type=int, default=12)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--most-mb", type=float, default=14_000, help="a way that would hold more is not run")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--kill", action="store_true", help="also kill a shard, and time its return")
    parser.add_argument("--way", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        print(json.dumps(asyncio.run(watch(args.way, args))))
        return
    for way in args.ways.split(","):
        given = list(sys.argv[1:])
        done = subprocess.run([sys.executable, __file__, *given, "--way", way], stdout=subprocess.PIPE, check=True)
        told = json.loads(done.stdout)
        head = f"{way:8} {args.features:,} x {args.symbols}, own windows {told['own_bars']:.0f} bars on average: "
        head += f"reckoned {told['reckoned_mb']:,.0f} MB (windows {told['windows_mb']:,.0f})"
        if "median" not in told:
            print(f"{head}; not run, more than {args.most_mb:,.0f} MB", flush=True)
            continue
        print(
            f"{head}, resident {told['resident_mb']:,.0f} MB; a bar {told['median']:.2f} s, worst {told['worst']:.2f} "
            f"(values {told['values']:.2f}, judging {told['judging']:.2f}); processor time a bar: watching process "
            f"{told['own_cpu']:.2f} s, busiest shard {told['shard_cpu']:.2f} s; warm in {told['warm_seconds']:.0f} s"
            + (f"; saving {told['saving']:.1f} s, back after a kill in {told['back']:.1f} s" if "back" in told else ""),
            flush=True,
        )


if __name__ == "__main__":
    main()
