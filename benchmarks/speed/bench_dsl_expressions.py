"""Realistic expressions on a panel, on one hourly series and on one year of minutes, against the peers.

Run: `python benchmarks/speed/bench_dsl_expressions.py [--rounds 3]`. One thread, contenders interleaved, medians of CPU
seconds, results compared cell by cell. Every window needs half of its bars in every engine that can count them.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np
from dsl_peers import Bottleneck, Pandas, Peer, Polars
from dsl_workload import CROSS, SERIES, Row, difference, market, timed

from midas_engine.dsl import FeatureEngine, warm_kernels
from midas_engine.settings import DslLimits

if TYPE_CHECKING:
    from midas_engine.market.panel import Panel

GOALS = {
    "panel": {"pandas": 4.0, "bottleneck": 2.5, "kunquant": 3.0, "polars": 7.0},
    "one series": {"pandas": 6.0},
    "one year of minutes": {"pandas": 2.5},
}
# An engine carries an exponential mean through a long gap or restarts it; cells valid in both are compared.
_EMA = "ema("
# What else is not the same definition: a start value of the exponential mean, a window that needs every bar.
_EQUAL = 1e-5


class Contest:
    """One title: expressions on a panel, every contender once a round."""

    def __init__(self, title: str, panel: Panel, texts: list[str], peers: list[type[Peer]]) -> None:
        self.title, self.panel, self.texts = title, panel, texts
        self.engine = FeatureEngine(panel, cache_bytes=0)
        self.strict = FeatureEngine(panel, cache_bytes=0, limits=DslLimits(min_share=1.0))
        # Nobody is timed for parsing or compiling: the peers get the tree, Midas its parsed expression.
        self.parsed = [self.engine.parse(t) for t in texts]
        fields = {name: np.array(values) for name, values in panel.fields.items()}
        self.peers = [peer(fields) for peer in peers]
        for peer in self.peers:
            prepare = getattr(peer, "prepare", None)
            if prepare is not None:
                prepare([p.ast for p in self.parsed])
        self.times: dict[str, list[list[float]]] = {
            name: [[] for _ in texts] for name in ("midas", *(p.name for p in self.peers))
        }
        self.worst = {p.name: (0.0, 0, "") for p in self.peers}

    def run(self, rounds: int) -> None:
        """Every expression on every engine, `rounds` times."""
        for i in range(len(self.texts)):
            for round_ in range(rounds):
                spent, ours = timed(lambda i=i: self.engine.values(self.parsed[i]))
                self.times["midas"][i].append(spent)
                for peer in self.peers:
                    spent, value = timed(lambda peer=peer, i=i: peer.run(self.parsed[i].ast))
                    self.times[peer.name][i].append(spent)
                    if round_ == 0:
                        self._compare(i, peer, ours, value)
                    del value
                del ours

    def _compare(self, i: int, peer: Any, ours: np.ndarray, value: Any) -> None:
        all_bars = getattr(peer, "overlap_only", False)
        recursive = _EMA in self.texts[i]
        if all_bars and recursive:
            return
        if all_bars:
            ours = self.strict.values(self.parsed[i])
        error, cells = difference(ours, peer.dump(value), recursive or all_bars)
        if (error, cells) > self.worst[peer.name][:2]:
            self.worst[peer.name] = (error, cells, self.texts[i])

    def total(self, name: str) -> float:
        """Seconds of all expressions, medians."""
        return sum(float(np.median(v)) for v in self.times[name])

    def rows(self) -> list[Row]:
        """One line a peer."""
        own = self.total("midas")
        rows = []
        for peer in self.peers:
            ratio = self.total(peer.name) / own
            error, cells, _ = self.worst[peer.name]
            goal = GOALS[self.title].get(peer.name)
            rows.append(
                Row(
                    f"{len(self.texts)} expressions, {self.title} {self.panel.T:,} x {self.panel.S}, against "
                    f"{peer.name}",
                    f"{ratio:.1f} x ({own * 1e3:.1f} ms against {self.total(peer.name) * 1e3:.0f})",
                    f"at least {goal:g} x, equal results" if goal else "",
                    None if goal is None else ratio >= goal and error < _EQUAL and cells == 0,
                )
            )
        return rows

    def show(self) -> None:
        """Everything, for a person."""
        names = list(self.times)
        print(f"\n{self.title}: {len(self.texts)} expressions on {self.panel.T:,} x {self.panel.S}")
        for name in names:
            line = f"  {name:12} {self.total(name) * 1e3:9.1f} ms   {self.total(name) / self.total('midas'):6.2f} x"
            if name != "midas":
                error, cells, text = self.worst[name]
                line += f"   worst 99.9 % error {error:.0e}, {cells} cells NaN in one only  {text}"
            print(line)
        for i, text in enumerate(self.texts):
            print("    " + "  ".join(f"{np.median(self.times[n][i]) * 1e3:8.2f}" for n in names) + f"   {text}")


def from_text(panel: Panel, texts: list[str]) -> tuple[float, float]:
    """Milliseconds from text to values, a new engine each time: the median expression and the slowest one."""
    medians = []
    for text in texts:
        spent = []
        for _ in range(15):
            engine = FeatureEngine(panel, cache_bytes=0)
            spent.append(timed(lambda text=text, engine=engine: engine.values(text))[0])
        medians.append(float(np.median(spent)) * 1e3)
    return float(np.median(medians)), max(medians)


def rows(rounds: int = 3) -> list[Row]:
    warm_kernels()
    peers: list[type[Peer]] = [Pandas, Bottleneck, Polars]
    wide = list(peers)
    try:
        from dsl_kunquant import KunQuant

        wide.append(KunQuant)
    except ImportError as error:  # needs a C++ compiler and its own package
        print(f"kunquant is left out: {error}")
    series = market(8760, 1)
    contests = [
        (Contest("panel", market(8760, 200), SERIES + CROSS, wide), rounds),
        (Contest("one series", series, SERIES, peers), max(rounds, 25)),
        (Contest("one year of minutes", market(525_600, 1, bar_seconds=60), SERIES, [Pandas, Bottleneck]), rounds),
    ]
    found = []
    for contest, times in contests:
        contest.run(times)
        contest.show()
        found += contest.rows()
    median, worst = from_text(series, SERIES)
    found.append(
        Row(
            "expression text to values, one series of 8,760 bars",
            f"median {median:.2f} ms, the slowest of {len(SERIES)} {worst:.2f} ms",
            "under 1 ms",
            worst < 1.0,
        )
    )
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    for row in rows(parser.parse_args().rounds):
        print(row)
