"""How long a full verdict takes, beside named peers measured in the same interleaved run.

    python benchmarks/speed/bench_evaluator.py            # everything
    python benchmarks/speed/bench_evaluator.py --rounds 5 # quicker

* one series of 8,760 hourly bars, from expression text to verdict, 0 and 50 deployed features, bootstrap excluded
  (no horizon beyond 24 bars is the target). The original system's evaluator alone took 14 ms and 44 ms on the
  machine the bars were set on; `original_peer.py`, a pandas evaluator of the same figures that is given the values
  ready-made, is timed in the same rounds, and so is pandas rank + corrwith over the same five horizons;
* a panel of 2,190 x 200: full verdict with exact joint ranks and quantile returns over five horizons, against
  alphalens' information coefficient + mean return by quantile + turnover;
* the same panel, one horizon of rank IC, against pandas rank + corrwith.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from original_peer import OriginalPeer

from midas_engine.dsl import FeatureEngine
from midas_engine.evaluator import EvaluationContext, evaluate_values, judge
from midas_engine.market import Panel
from midas_engine.stats.bar_scores import rank_scores
from midas_engine.stats.quantiles import quantile_returns
from midas_engine.stats.ranks import joint_ranks, own_ranks, sort_rows

if TYPE_CHECKING:
    from collections.abc import Callable

HORIZONS = (1, 4, 8, 24, 48)
Row = tuple[str, str, str, bool]
ORIGINAL_MS = {0: 14.1, 50: 43.8}
TEXT = "cs_rank(ts_mean(returns, 24)) + ts_zscore(volume, 72)"
SERIES_TEXT = "ts_zscore(close, 24) * ts_rank(volume, 48)"


def interleaved(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each call, one of each a round after a warm-up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: float(np.median(t)) for name, t in times.items()}


def market(bars: int, symbols: int, seed: int = 0) -> Panel:
    """Random walks with volume; some symbols listed late, some holes."""
    rng = np.random.default_rng(seed)
    steps = 0.006 * rng.standard_t(4, size=(bars, symbols)) / math.sqrt(2.0)
    close = 100.0 * np.exp(np.cumsum(steps, axis=0))
    volume = rng.lognormal(10, 1, size=(bars, symbols))
    if symbols > 1:
        close[: bars // 4, : symbols // 5] = np.nan
        close[rng.random(close.shape) < 0.002] = np.nan
    stamps = np.datetime64("2025-01-01", "ns") + np.arange(bars) * np.timedelta64(3600, "s")
    return Panel(stamps, [f"S{i:03d}" for i in range(symbols)], {"close": close, "volume": volume}, 3600)


def series(rounds: int) -> list[Row]:
    panel = market(8760, 1)
    rng = np.random.default_rng(1)
    close = pd.Series(panel.values("close")[:, 0])
    forward = pd.DataFrame({h: close.shift(-h) / close - 1.0 for h in HORIZONS})
    regimes = np.array(["LOW_VOL", "MID_VOL", "HIGH_VOL"])[np.arange(8760) // 500 % 3]
    calls: dict[str, Callable[[], object]] = {}
    values = pd.Series(FeatureEngine(panel).values(SERIES_TEXT)[:, 0])
    for count in (0, 50):
        existing = {f"d{i}": rng.normal(size=(8760, 1)) for i in range(count)}
        context = EvaluationContext.from_panel(panel, horizons=HORIZONS, existing=existing, regimes=regimes)

        def verdict(context: EvaluationContext = context) -> object:
            values = FeatureEngine(panel).values(SERIES_TEXT)
            return judge(evaluate_values(values, context), trials=60)

        peer = OriginalPeer(
            forward, pd.Series(regimes), pd.DataFrame({n: v[:, 0] for n, v in existing.items()}, index=forward.index)
        )
        calls[f"verdict from text, {count} deployed"] = verdict
        calls[f"pandas peer, values given, {count} deployed"] = lambda peer=peer: peer.evaluate(values)
    calls["pandas rank + corrwith, 5 horizons"] = lambda: forward.rank().corrwith(values.rank())
    found = interleaved(calls, rounds)
    print("one series of 8,760 bars")
    for name, seconds in found.items():
        print(f"  {name:<40} {seconds * 1e3:8.2f} ms")
    out: list[Row] = []
    for count, reference in ORIGINAL_MS.items():
        mine = found[f"verdict from text, {count} deployed"] * 1e3
        bar = 6 if count == 0 else 12
        peer_ms = found[f"pandas peer, values given, {count} deployed"] * 1e3
        print(
            f"  {count:2d} deployed: {peer_ms / mine:5.1f}x the pandas peer in this run, "
            f"{reference / mine:5.1f}x the original's {reference} ms as published (bar {bar}x)"
        )
        said = f"{mine:.2f} ms: {peer_ms / mine:.1f}x the pandas peer in the same run"
        said += f" ({reference / mine:.1f}x the published {reference} ms)"
        held = peer_ms / mine >= bar
        out.append((f"text to verdict, 8,760 bars, {count} deployed", said, f">= {bar}x the original", held))
    return out


def panel_assessment(rounds: int, with_alphalens: bool) -> list[Row]:
    panel = market(2190, 200)
    context = EvaluationContext.from_panel(panel, horizons=HORIZONS)
    values = FeatureEngine(panel).values(TEXT)

    def assess() -> object:
        result = evaluate_values(values, context)
        order = sort_rows(values)
        ranks, counts = own_ranks(values, order)
        return result, [quantile_returns(ranks, counts, context.horizon(h).rows, True) for h in HORIZONS]

    def one_horizon() -> object:
        # Returns are sorted here too: nothing is prepared that pandas has to do.
        forward = context.returns[1]
        ranks = joint_ranks(values, sort_rows(values), forward, sort_rows(forward))
        return float(np.nanmean(rank_scores(*ranks, 2, True)))

    wide, returns = pd.DataFrame(values), pd.DataFrame(context.returns[1])
    both = wide.notna() & returns.notna()

    def pandas_one() -> object:
        return float(wide.rank(axis=1).corrwith(returns.rank(axis=1), axis=1).mean())

    def pandas_joint() -> object:
        return float(wide.where(both).rank(axis=1).corrwith(returns.where(both).rank(axis=1), axis=1).mean())

    found = interleaved(
        {
            "full verdict + quantile returns": assess,
            "one horizon": one_horizon,
            "pandas rank + corrwith, one horizon": pandas_one,
            "pandas, exact joint ranks, one horizon": pandas_joint,
        },
        rounds,
    )
    print("\npanel of 2,190 x 200")
    for name, seconds in found.items():
        print(f"  {name:<40} {seconds * 1e3:8.1f} ms")
    print(f"  one horizon: {found['pandas rank + corrwith, one horizon'] / found['one horizon']:.1f}x pandas (bar 1x)")
    print(f"  rank IC {one_horizon():.12f}, pandas {pandas_joint():.12f}")
    ratio = found["pandas rank + corrwith, one horizon"] / found["one horizon"]
    out: list[Row] = [
        ("one horizon of rank IC, 2,190 x 200", f"{ratio:.1f}x pandas rank + corrwith", ">= 1x", ratio >= 1)
    ]
    return out + (alphalens(assess, values, panel) if with_alphalens else [])


def alphalens(assess: Callable[[], object], values: np.ndarray, panel: Panel) -> list[Row]:
    try:
        import alphalens.performance as perf
        import alphalens.utils as utils
    except ImportError:
        print("  alphalens-reloaded is not installed: no ratio")
        return []
    index = pd.DatetimeIndex(panel.timestamps)
    prices = pd.DataFrame(panel.values("close"), index=index, columns=list(panel.symbols))
    factor = pd.DataFrame(values, index=index, columns=list(panel.symbols)).stack()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = utils.get_clean_factor_and_forward_returns(
            factor, prices, quantiles=5, periods=HORIZONS, max_loss=1.0, filter_zscore=None
        )
        calls: dict[str, Callable[[], object]] = {
            "alphalens": lambda: (
                perf.factor_information_coefficient(data),
                perf.mean_return_by_quantile(data),
                perf.factor_rank_autocorrelation(data),
                [perf.quantile_turnover(data["factor_quantile"], q) for q in range(1, 6)],
            ),
            "midas": assess,
        }
        found = interleaved(calls, 3)
    print(f"  alphalens: IC + mean return by quantile + turnover {found['alphalens'] * 1e3:8.0f} ms")
    ratio = found["alphalens"] / found["midas"]
    print(f"  {ratio:.0f}x alphalens (bar 100x)")
    return [("panel assessment, exact joint ranks, 2,190 x 200", f"{ratio:.0f}x alphalens", ">= 100x", ratio >= 100)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--no-alphalens", action="store_true")
    options = parser.parse_args()
    series(options.rounds * 5)
    panel_assessment(options.rounds, not options.no_alphalens)


if __name__ == "__main__":
    main()
