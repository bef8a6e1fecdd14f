"""Markets with one planted signal that nobody spelled: ten columns, a formula drawn by a generator of its own.

The formula is drawn operator by operator onto two columns, from the registry but by none of the search's code: every
operator alike, windows anywhere between 2 and 168 bars. It is kept when nothing in `midas_engine.proposer.families`
correlates with it at 0.7, it says something of at least half of the bars, and, once written down, it passes the six
agents on the research part of its own market, so that a search could find it at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.dsl import FeatureEngine
from midas_engine.dsl.expression import parse
from midas_engine.dsl.nominal import nominal_size
from midas_engine.dsl.registry import OPERATORS, Kind
from midas_engine.errors import MidasError
from midas_engine.loops.worker import PanelJudge
from midas_engine.market.panel import Panel
from midas_engine.proposer.families import FAMILIES
from midas_engine.proposer.protocol import Proposal
from midas_engine.stats.normal_scores import scores_of_ranks
from midas_engine.stats.ranks import blank_flat_rows, own_ranks, sort_rows

if TYPE_CHECKING:
    from midas_engine.settings import Settings
    from midas_engine.stats._jit import Floats

COLUMNS = (
    "open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume", "funding_rate",
    "open_interest",
)  # fmt: skip
_STRENGTH = 0.72
_WINDOWS = (2.0, 168.0)


@dataclass(frozen=True, slots=True)
class Planted:
    """A market and its truth; without a signal `formula` is empty."""

    panel: Panel
    formula: str
    values: Floats | None


def ranked(values: Floats) -> Floats:
    """Normal scores across symbols, 0 where unknown. [T, S]."""
    rows = np.array(values, dtype=np.float64)
    rows[~np.isfinite(rows)] = np.nan
    blank_flat_rows(rows)
    ranks, counts = own_ranks(rows, sort_rows(rows))
    return np.nan_to_num(scores_of_ranks(ranks, counts, 10))


def correlation(a: Floats, b: Floats) -> float:
    """Of two sets of normal scores, over the cells where both are known."""
    known = (a != 0.0) & (b != 0.0)
    if known.sum() < 0.25 * a.size:
        return 0.0
    return float(np.corrcoef(a[known], b[known])[0, 1])


def draw_formula(rng: np.random.Generator, columns: tuple[str, ...] = COLUMNS, operators: int = 3) -> str:
    """Up to three operators, or as many as are given, on two columns."""
    parts = [str(c) for c in rng.choice(columns, 2, replace=False)]
    names = [o for o in OPERATORS.values() if o.arity in (1, 2) and not o.name.startswith("cs_group")]
    left = int(rng.integers(1, operators + 1))
    while left > 0:
        must = left == 1 and len(parts) == 2
        operator = names[int(rng.integers(len(names)))]
        if (must and operator.arity != 2) or operator.arity > len(parts):
            continue
        literals = []
        for p in operator.literals:
            low, high = (max(_WINDOWS[0], p.low), _WINDOWS[1]) if p.kind is Kind.WINDOW else (0.1, 0.9)
            drawn = float(np.exp(rng.uniform(np.log(low), np.log(high))))
            literals.append(str(round(drawn)) if p.kind is Kind.WINDOW else f"{drawn:.2f}")
        if operator.arity == 2:
            order = parts if rng.random() < 0.5 else parts[::-1]
            parts = [f"{operator.name}({', '.join([*order, *literals])})"]
        else:
            at = int(rng.integers(len(parts)))
            parts[at] = f"{operator.name}({', '.join([parts[at], *literals])})"
        left -= 1
    return parts[0]


@dataclass(frozen=True, slots=True)
class World:
    """Markets of one size.

    Attributes:
        ic: Rank IC that each planted formula has.
        bars: Bars of a market.
        symbols: Its symbols.
        columns: Its columns.
        operators: Operators of a planted formula at most.
    """

    ic: float = 0.06
    bars: int = 8760
    symbols: int = 20
    columns: tuple[str, ...] = COLUMNS
    operators: int = 3

    def market(self, seed: int, *formulas: str) -> Panel:
        """The market of a seed with these formulas in it."""
        whole = market(seed, formulas, self.ic, bars=self.bars, symbols=self.symbols)
        fields = {name: whole.fields[name] for name in self.columns}
        return Panel(whole.timestamps, whole.symbols, fields, whole.bar_seconds)


def market(seed: int, formulas: tuple[str, ...], ic: float, *, bars: int = 8760, symbols: int = 20) -> Panel:
    """A panel on which each formula has about that rank IC with the next bar's return."""
    rng = np.random.default_rng([seed, 5])
    volatility = _slow(rng, bars, symbols, 0.985) * 0.45
    volatility = 0.007 * np.exp(volatility)
    noise = rng.standard_t(4, (bars, symbols)) / np.sqrt(2.0)
    common = rng.standard_t(4, (bars, 1)) / np.sqrt(2.0)
    parts = {
        n: _slow(rng, bars, symbols, k) for n, k in (("activity", 0.9), ("size", 0.8), ("taker", 0.7), ("oi", 0.98))
    }
    parts |= {n: rng.standard_normal((bars, symbols)) for n in ("v", "t", "b")}
    parts["funding"] = np.repeat(_slow(rng, bars // 8 + 1, symbols, 0.97), 8, axis=0)[:bars]
    up, down = rng.gamma(2.0, 0.35, (2, bars, symbols))
    first = np.exp(rng.uniform(np.log(0.1), np.log(50_000), symbols))
    level = rng.normal(0.0, 0.7, (4, symbols))
    drive = np.zeros((bars, symbols))
    for _ in range(4 if formulas else 1):  # a formula that reads prices moves them: again until both agree
        returns = volatility * (0.6 * common + 0.8 * (noise + drive))
        close = first * np.exp(np.cumsum(returns, axis=0))
        opened = np.vstack([first, close[:-1]])
        high = np.maximum(opened, close) * (1.0 + volatility * up)
        low = np.minimum(opened, close) / (1.0 + volatility * down)
        quote = 1e7 * np.exp(level[0] + 0.6 * parts["activity"] + 0.2 * parts["v"]) * (volatility / 0.007)
        share = 0.5 + 0.08 * np.tanh(parts["taker"] + 0.3 * parts["b"])
        fields = {
            "open": opened, "high": high, "low": low, "close": close, "volume": quote / close, "quote_volume": quote,
            "trades": np.round(quote / (2000.0 * np.exp(level[1] + 0.3 * parts["size"] + 0.1 * parts["t"]))) + 1.0,
            "taker_buy_volume": quote / close * share,
            "funding_rate": 1e-4 + 2e-4 * parts["funding"],
            "open_interest": 5e7 * np.exp(level[2] + 0.4 * parts["oi"]) / close,
        }  # fmt: skip
        times = np.datetime64("2025-01-01", "ns") + np.arange(bars) * np.timedelta64(3600, "s")
        panel = Panel(times, [f"P{i:02d}USDT" for i in range(symbols)], fields, 3600)
        drive = np.zeros((bars, symbols))
        for formula in formulas:
            drive[1:] += _STRENGTH * ic * ranked(FeatureEngine(panel, cache_bytes=0).values(formula))[:-1] / 0.8
    return panel


class Truth:
    """Formulas that are worth looking for in a world.

    Args:
        settings: Costs, parts and gates.
        world: Its markets.
        seed: Of the market without a signal that likeness is measured on.
    """

    def __init__(self, settings: Settings, world: World, seed: int) -> None:
        self.settings, self.world, self._seed = settings, world, seed
        self.empty = world.market(seed)
        self._known = [ranked(v) for v in _template_values(self.empty)]

    def formula(self, rng: np.random.Generator) -> str:
        """The first formula drawn that no template spells and that passes once it is written down."""
        while True:
            text = draw_formula(rng, self.world.columns, self.world.operators)
            if self.unspelled(text) and self.holds(text, self.world.market(self._seed, text)):
                return text

    def unspelled(self, text: str) -> bool:
        """Whether it says something of most bars, and nothing in the families of signals is like it."""
        try:
            z = ranked(FeatureEngine(self.empty, cache_bytes=0).values(text))
        except MidasError:
            return False
        return (z != 0.0).mean() >= 0.5 and not any(abs(correlation(z, k)) >= 0.7 for k in self._known)

    def holds(self, text: str, panel: Panel) -> bool:
        """Whether it passes the six agents on the research part of a market."""
        try:
            return PanelJudge(panel, self.settings, {}).judge(
                Proposal("truth", text), "research", 30, {}, {}
            ).overall_pass  # fmt: skip
        except MidasError:
            return False

    def nominal(self, text: str) -> bool:
        """Whether it says which symbol is the dear one, which no search asks."""
        return bool(nominal_size(parse(text)))


def planted(seed: int, settings: Settings, *, ic: float = 0.06, bars: int = 8760, symbols: int = 20) -> Planted:
    """The market of a seed: the first formula drawn that is worth looking for. ic 0 gives pure noise."""
    if ic == 0.0:
        return Planted(market(seed, (), 0.0, bars=bars, symbols=symbols), "", None)
    world = World(ic, bars, symbols)
    formula = Truth(settings, world, seed).formula(np.random.default_rng([seed, 6]))
    panel = world.market(seed, formula)
    return Planted(panel, formula, ranked(FeatureEngine(panel, cache_bytes=0).values(formula)))


def _template_values(panel: Panel) -> list[Floats]:
    engine, found = FeatureEngine(panel, cache_bytes=0), []
    for templates in FAMILIES.values():
        for template in templates:
            for a in template.windows[::2]:
                try:
                    found.append(engine.values(template.core.format(a=a, b=48)))
                except MidasError:
                    break  # a column it needs is not there
    return found


def _slow(rng: np.random.Generator, bars: int, symbols: int, keep: float) -> Floats:
    """Standard normal paths that keep `keep` of themselves from bar to bar. [T, S]."""
    shocks = rng.standard_normal((bars, symbols)) * np.sqrt(1.0 - keep * keep)
    out = np.empty((bars, symbols))
    state = rng.standard_normal(symbols)
    for t in range(bars):
        state = keep * state + shocks[t]
        out[t] = state
    return out
