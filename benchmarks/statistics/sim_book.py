"""The book on simulated markets: are its intervals honest, does it beat its peers, does it drop what has died?

    python benchmarks/statistics/sim_book.py [--worlds 400] [--seed 0] [--strength 0.015]

Every world is an hourly market of 12 symbols: 3,000 bars of research, 2,000 sealed, then a year. Of 16 candidates, 60 %
noise, those that pass both parts become the book. At the end of the sealed part the book forecasts its Sharpe ratio;
the year that follows says what it was. Peers trade the same members over the same year at the same cost: equal weights
(of the members as they are, and of the members at the book's own holdings), and the lasso on vol-scaled returns, its
penalty by cross-validation in time. Markets are drawn until `--worlds` of them have a book; where nothing is expected
to earn its costs the book is empty and gives no figure. In every fourth the strongest member dies 2,000 bars into the
year.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from book_worlds import COST, HISTORY, RESEARCH, STRENGTH, YEAR, World, promoted, world

from midas_engine.book.forecast import forecast
from midas_engine.book.strength import fit_prior
from midas_engine.book.walk import Walk, walk
from midas_engine.stats.intervals import share_interval
from midas_engine.stats.sequential import Reference, SequentialBank
from midas_engine.stats.sequential_delay import outlook

DIES_AT = HISTORY + 2000
FOLDS = 5


def sharpe(net: np.ndarray) -> float:
    known = net[np.isfinite(net)]
    return float(known.mean() / known.std() * np.sqrt(YEAR)) if known.std() > 0 else 0.0


def net_of(positions: np.ndarray, returns: np.ndarray) -> float:
    """Sharpe over the year of positions [T, S], scaled to gross 1 at most, after costs."""
    p = positions / np.maximum(np.abs(positions).sum(axis=1, keepdims=True), 1e-12)
    earned = (p * returns[HISTORY:]).sum(axis=1)
    return sharpe(earned - COST * np.abs(np.diff(p, axis=0, prepend=0.0)).sum(axis=1))


def lasso(w: World, k: np.ndarray) -> np.ndarray:
    """Coefficients on the history, by coordinate descent on the cross products of five folds."""
    y = (w.returns / w.volatility)[:HISTORY]
    y = y - y.mean(axis=1, keepdims=True)
    z = w.z[k][:, :HISTORY].astype(np.float64)
    edges = np.linspace(0, HISTORY, FOLDS + 1).astype(int)
    grams, targets = [], []
    for a, b in zip(edges[:-1], edges[1:], strict=True):
        flat = z[:, a:b].reshape(len(k), -1)
        grams.append(flat @ flat.T / flat.shape[1])
        targets.append(flat @ y[a:b].ravel() / flat.shape[1])
    gram, target = np.mean(grams, axis=0), np.mean(targets, axis=0)
    grid = np.abs(target).max() * np.geomspace(1.0, 1e-3, 20)

    def fit(g: np.ndarray, b: np.ndarray, penalty: float) -> np.ndarray:
        beta = np.zeros(len(b))
        for _ in range(50):
            for i in range(len(b)):
                rest = b[i] - g[i] @ beta + g[i, i] * beta[i]
                beta[i] = np.sign(rest) * max(abs(rest) - penalty, 0.0) / g[i, i]
        return beta

    losses = np.zeros(len(grid))
    for f in range(FOLDS):
        others = [i for i in range(FOLDS) if i != f]
        g, b = np.mean([grams[i] for i in others], axis=0), np.mean([targets[i] for i in others], axis=0)
        for i, penalty in enumerate(grid):
            beta = fit(g, b, penalty)
            losses[i] += beta @ grams[f] @ beta - 2.0 * beta @ targets[f]
    return fit(gram, target, grid[int(np.argmin(losses))])


def death(w: World, k: np.ndarray, prior) -> dict[str, float] | None:
    """Bars from a member's death to a tenth of its weight, to the detector's alarm, and what the gauge says."""
    place = int(np.argmax(w.strength[k]))
    if not w.strength[k[place]] > 0.0:
        return None
    returns = w.dying(int(k[place]), DIES_AT)
    signals = w.signals(k, returns)
    path = walk(signals, w.market(returns), slice(0, RESEARCH), prior)
    weight = path.weights[:, place]
    start = DIES_AT - path.first
    usual = float(weight[start - 720 : start].mean())
    reference = path.references[place]
    if reference is None or usual < 0.02:
        return None
    below = np.flatnonzero(weight[start:] < 0.1 * usual)
    bank = SequentialBank([Reference(reference.score, reference.variance, reference.variance_bars)])
    delay = float(YEAR)
    for t in range(RESEARCH, HISTORY + YEAR):
        bank.update(signals.u[place, t : t + 1], signals.w[place, t : t + 1])
        if bank.decay_fired[0] and t >= DIES_AT:
            delay = float(t - DIES_AT)
            break
    gauge = outlook(reference.score, reference.variance).drop_bars
    return {"book": float(below[0]) if below.size else float(YEAR), "detector": delay, "gauge": gauge}


def one(seed: int, strength: float, dies: bool) -> dict[str, object]:
    w = world(seed, strength)
    k, t = promoted(w)
    prior = fit_prior(t, RESEARCH, float(YEAR))
    train = slice(0, RESEARCH)
    signals = w.signals(k, w.returns)
    known = w.returns[: HISTORY + 1].copy()
    known[-1] = np.nan
    early = walk(cut(signals, HISTORY + 1), w.market(known), train, prior)
    said = forecast(early.now, COST, float(YEAR))
    full: Walk = walk(signals, w.market(w.returns), train, prior)
    year = HISTORY - full.first
    p = w.positions(k)[:, HISTORY:]
    return {
        "said": said,
        "book": sharpe(full.net[year:]),
        "equal": net_of(p.mean(axis=0), w.returns),
        "held": net_of(full.held.positions[:, HISTORY:].mean(axis=0), w.returns),
        "lasso": net_of(np.einsum("k,kts->ts", lasso(w, k), w.z[k][:, HISTORY:]), w.returns),
        "netting": full.traded[year:].sum() / max(full.members_traded[year:].sum(), 1e-12),
        "members": len(k),
        "death": death(w, k, prior) if dies else None,
    }


def cut(signals, bars: int):
    return type(signals)(
        signals.names, signals.positions[:, :bars], signals.u[:, :bars], signals.w[:, :bars], signals.holdings
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="The book on simulated markets.")
    parser.add_argument("--worlds", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--strength", type=float, default=STRENGTH, help="size of the true ICs")
    args = parser.parse_args()
    start = time.process_time()
    found, told = [], []
    while len(told) < args.worlds:
        found.append(one(args.seed * 100_000 + len(found), args.strength, len(told) % 4 == 0))
        if np.isfinite(found[-1]["said"].sharpe.value):
            told.append(found[-1])
    book = np.array([r["book"] for r in found])
    empty = len(found) - len(told)
    print(f"{len(told)} worlds with a book, {empty} without, seed {args.seed}, strength {args.strength}")
    inside = [r["said"].year.low <= r["book"] <= r["said"].year.high for r in told]
    share("realised Sharpe inside its 90 % interval", inside, "86-94 %")
    above = np.mean([r["book"] > r["said"].year.high for r in told])
    value = np.mean([r["said"].sharpe.value for r in told])
    got = np.mean([r["book"] for r in told])
    print(f"  forecast {value:+.2f}, realised {got:+.2f} on average; above {above:.1%}")
    for peer, bar in (("equal", "80 %"), ("held", "-"), ("lasso", "65 %")):
        other = np.array([r[peer] for r in found])
        share(
            f"net Sharpe at least that of {peer} ({other.mean():+.2f} against {book.mean():+.2f})", book >= other, bar
        )
    print(f"netted turnover {np.mean([r['netting'] for r in told]):.2f} of the members'")
    deaths = [r["death"] for r in found if r["death"]]
    if deaths:
        mean = {key: np.mean([d[key] for d in deaths]) for key in ("book", "detector", "gauge")}
        print(
            f"{len(deaths)} deaths: below a tenth of its weight after {mean['book']:.0f} bars on average, "
            f"detector {mean['detector']:.0f}, gauge {mean['gauge']:.0f}; "
            f"ratio {mean['book'] / mean['detector']:.2f} (bar 1.5)"
        )
        share("within 1.5 x the detector's mean delay", [d["book"] <= 1.5 * mean["detector"] for d in deaths], "-")
        share("within 1.5 x its own detector's delay", [d["book"] <= 1.5 * d["detector"] for d in deaths], "-")
    print(f"CPU {time.process_time() - start:.0f} s")


def share(words: str, held, bar: str) -> None:
    held = np.asarray(held)
    low, high = share_interval(int(held.sum()), held.size)
    print(f"{words}: {held.sum()} of {held.size} = {held.mean():.1%} [{low:.1%}, {high:.1%}], bar {bar}")


if __name__ == "__main__":
    main()
