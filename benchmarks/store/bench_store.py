"""The market store at size: what an import, an append, an open, `data info` and a verdict cost.

Run: `nice python benchmarks/store/bench_store.py [small|import PATH|minutes] [--seed 7] [--keep DIR]`

* small: a year of hourly bars of 200 symbols: append, open in a warm process, info in a fresh one, one live bar.
* import PATH: files of real dumps through `midas data import`, in a fresh process.
* minutes: three columns of 525,600 minutes x 200 symbols, and the peak memory of `midas evaluate` on them.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from midas_engine.market import Panel
from midas_engine.market.store import MarketStore, Provenance

ROOT = Path(__file__).resolve().parents[2]
GIVEN = Provenance("fetched", "bench", "candles", datetime(2026, 1, 1, tzinfo=UTC))
SYMBOLS = tuple(f"COIN{i:03}USDT" for i in range(200))


def timed(what: str, call: Any) -> Any:
    start = time.perf_counter()
    found = call()
    print(f"{what:<58} {time.perf_counter() - start:8.3f} s")
    return found


def walk(rng: np.random.Generator, last: np.ndarray, bars: int, sigma: float) -> np.ndarray:
    steps = rng.standard_normal((bars, len(last)), dtype=np.float32) * sigma
    return np.exp(np.log(last) + np.cumsum(steps, axis=0, dtype=np.float64))


def fresh(folder: Path, *args: str) -> tuple[float, float]:
    """(seconds, peak MB) of a midas command in a fresh process."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MIDAS_STORE": str(folder)}
    code = "import resource,subprocess,sys;r=subprocess.run([sys.executable,'-m','midas',*sys.argv[1:]],stdout=subprocess.DEVNULL);print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss);sys.exit(r.returncode)"  # noqa: E501
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *args], env=env, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode not in (0, 1):
        print(done.stderr[-2000:])
    return seconds, int(done.stdout or 0) / 1024


def small(folder: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    bars = 8760
    times = np.datetime64("2025-01-01", "ns") + np.arange(bars) * np.timedelta64(1, "h")
    close = walk(rng, np.full(200, 100.0), bars, 0.01)
    fields = {"close": close, "volume": rng.random(close.shape), "quote_volume": close * rng.random(close.shape)}
    fields |= {c: close * (1 + 0.001 * rng.random(close.shape)) for c in ("open", "high", "low")}
    panel = Panel(times, SYMBOLS, fields, 3600)
    store = MarketStore(folder)
    print(timed("append a year of hours x 200 symbols x 6 columns", lambda: store.append_panel("bench", panel, GIVEN)))
    print(timed("append the same again", lambda: store.append_panel("bench", panel, GIVEN)))

    def opened() -> Panel:
        found = store.panel("store:bench@1h")
        for column in ("close", "volume", "quote_volume"):
            float(found[column][-1].sum())
        return found

    timed("open, three columns, nothing cached", opened)
    for _ in range(3):
        timed("open, three columns, warm", opened)
    timed("open, five symbols, warm", lambda: store.panel("store:bench:" + ",".join(SYMBOLS[:5]))["close"].sum())
    for _ in range(3):
        timed("midas data info store:bench@1h, fresh process", lambda: plain(folder, "data", "info", "store:bench@1h"))
    base = times[-1]
    start = time.perf_counter()
    for k in range(1, 25):
        at = [base + k * np.timedelta64(1, "h")]
        store.append("bench", "1h", {s: {"timestamp": at, "close": [1.0], "volume": [1.0]} for s in SYMBOLS}, GIVEN)
    print(f"{'one live bar of 200 symbols (mean of 24)':<58} {(time.perf_counter() - start) / 24:8.3f} s")
    print(timed("compact", store.compact))
    print(timed("verify", lambda: [f for f in store.verify() if f.harmful]))


def plain(folder: Path, *args: str) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MIDAS_STORE": str(folder)}
    subprocess.run([sys.executable, "-m", "midas", *args], env=env, stdout=subprocess.DEVNULL, check=True)


def imported(folder: Path, path: Path) -> None:
    verb = ("data", "import", str(path), "--venue", "bench")
    timed("midas data import, fresh process", lambda: plain(folder, *verb))
    timed("the same again", lambda: plain(folder, *verb))


def minutes(folder: Path, seed: int, bars: int = 525_600) -> None:
    store, last = MarketStore(folder), np.full(200, 100.0)
    if not store.manifest().series:
        rng = np.random.default_rng(seed)
        start, step = time.perf_counter(), 43_200
        for at in range(0, bars, step):
            count = min(step, bars - at)
            times = np.datetime64("2025-01-01", "ns") + np.arange(at, at + count) * np.timedelta64(1, "m")
            close = walk(rng, last, count, 0.001)
            last = close[-1]
            volume = np.round(rng.random(close.shape), 2) + 1.0
            fields = {"close": np.round(close, 3), "volume": volume, "quote_volume": np.round(close * volume, 2)}
            store.append_panel("bench", Panel(times, SYMBOLS, fields, 60), GIVEN)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"append {bars:,} x 200 x 3: {time.perf_counter() - start:.0f} s, peak {peak:,.0f} MB")
    for again in ("columns decoded first", "columns mapped"):
        expression = "cs_rank(ts_mean(close / delay(close, 1) * volume / quote_volume * close, 60))"
        seconds, peak = fresh(folder, "evaluate", expression, "--data", "store:bench@1m", "--json")
        print(f"verdict on three columns, {again}: {seconds:.0f} s, peak {peak:,.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("small", "import", "minutes"))
    parser.add_argument("path", nargs="?", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--bars", type=int, default=525_600)
    parser.add_argument("--keep", type=Path, help="the store's folder; one with bars in it is used as it is")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep or Path(scratch) / "store"
        if args.what == "small":
            small(folder, args.seed)
        elif args.what == "import":
            imported(folder, args.path)
        else:
            minutes(folder, args.seed, args.bars)


if __name__ == "__main__":
    main()
