"""MonitorEngine: every figure of every live feature after one bar, on ring buffers, vectorised over features."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import MonitorError
from midas_engine.monitor.figures.block_ring import SLOTS, mean_ring
from midas_engine.monitor.figures.chart_history import ChartHistory
from midas_engine.monitor.figures.correlation import IcWindows
from midas_engine.monitor.figures.fills import Slippage
from midas_engine.monitor.figures.input_health import Presence
from midas_engine.monitor.figures.paper_book import Book
from midas_engine.monitor.figures.portfolio import PortfolioDetector
from midas_engine.monitor.figures.profile import CrossCorrelation, LagProfile, RegimeScores
from midas_engine.monitor.figures.score_history import EvidenceRing
from midas_engine.monitor.figures.windows import DAY_HOURS, LONG_HOURS, SHORT_HOURS, bars_in
from midas_engine.monitor.state.codec import pack, prefixed, under, unpack
from midas_engine.settings import CostSettings
from midas_engine.stats.causal_score import CROSS_MINIMUM, CausalScorer
from midas_engine.stats.sequential import Reference, SequentialBank
from midas_engine.stats.sequential_delay import outlook

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

STATE_VERSION = 1
_HALF_LIFE_EVERY = 24
_LONG_LOOK_FEATURES = 1000  # a larger fleet looks back 30 days instead of 90
_YEAR_SECONDS = 8760 * 3600.0


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What the engine needs to know of the feed, the costs and how features are scored.

    Attributes:
        cross: Across symbols, or in time whatever their number; None: across symbols where there are ten.
    """

    bar_seconds: int = 3600
    one_way_bps: float = CostSettings().one_way_bps
    expected_slippage_bps: float = 1.0
    arl0_bars: float = 8760.0
    history_bars: int = 720
    cross: bool | None = None


class MonitorEngine:
    """Rolling figures and detectors of F features on S symbols; bounded state, one call a bar.

    A *pair* is the values known at the close of one bar and the return of the bar that follows it. `update`
    takes one pair; nothing of a return is used before it is given. The figures are those of the cross-section or those
    of time as `config.cross` says (see `correlation` and `midas_engine.stats.causal_score`). A window of more
    than 720 bars is kept in blocks: it begins where a block does (see `block_ring` and `block_ranks`).

    Args:
        features: Names, unique.
        symbols: How many symbols a bar has; 1 for a plain series.
        references: What each feature promised; one without is never called critical nor killed.
        config: Bar size, costs and run length.

    Example:
        >>> engine = MonitorEngine(["carry"], symbols=1)
        >>> rng = np.random.default_rng(0)
        >>> for hour in range(60):
        ...     engine.update(np.datetime64("2025-01-01", "h") + hour, rng.normal(size=(1, 1)), rng.normal(size=1))
        >>> engine.bars
        60
    """

    def __init__(
        self,
        features: Sequence[str],
        *,
        symbols: int = 1,
        references: Mapping[str, Reference] | None = None,
        config: EngineConfig | None = None,
    ) -> None:
        if len(set(features)) != len(features):
            raise MonitorError("a feature is named twice")
        if symbols < 1:
            raise MonitorError(f"{symbols} symbols cannot be monitored")
        self.config = config or EngineConfig()
        self.names = list(features)
        self.rows = {name: row for row, name in enumerate(self.names)}
        self.symbols = symbols
        self.references: dict[str, Reference] = {n: r for n, r in (references or {}).items() if n in self.names}
        count, size = len(self.names), self.config.bar_seconds
        self.day, self.short, self.long = (bars_in(h, size) for h in (DAY_HOURS, SHORT_HOURS, LONG_HOURS))
        self.scorer = CausalScorer(count, symbols, self.config.cross)
        self.cross = self.scorer.cross
        self.ic = IcWindows(count, symbols, (self.day, self.short, self.long), cross=self.cross)
        self.book = Book(
            count,
            symbols,
            cross=self.cross,
            one_way_bps=self.config.one_way_bps,
            day_bars=self.day,
            turn_bars=self.short,
        )
        self.slippage = Slippage(count, self.day)
        self.presence = Presence(count, symbols, self.short)
        self.regimes = RegimeScores(count)
        self.lags = LagProfile(count, symbols, cross=self.cross)
        self.correlations = CrossCorrelation(count)
        self.scores = mean_ring(count, self.short)
        looks = 3 if count <= _LONG_LOOK_FEATURES else 1
        self.evidence = EvidenceRing(count, looks * self.long, looks * SLOTS)
        self.history_ring = ChartHistory(count, self.config.history_bars)
        self.bank = SequentialBank([self.references.get(n) for n in self.names], arl0=self.config.arl0_bars)
        self.portfolio = PortfolioDetector(self.config.arl0_bars, self.long)
        self.live, self.shadow = np.ones(count), np.zeros(count)
        self.half_life = np.full(count, np.nan)
        self.bars = 0
        self.regime = ""
        self._pool: ThreadPoolExecutor | None = None
        self._columns: dict[str, Floats] | None = None

    # -- one bar ---------------------------------------------------------------------------------

    def update(
        self,
        at: np.datetime64,
        values: Floats,
        returns: Floats,
        *,
        regime: str = "",
        fills: tuple[Floats, Floats] | None = None,
    ) -> None:
        """Take one pair.

        Args:
            at: Open time of the bar whose close the values were known at.
            values: [F, S]; NaN where a feature has none.
            returns: [S] over the single bar that follows; NaN where unknown.
            regime: Label of the bar.
            fills: Realised and expected slippage of each feature on this bar, bps, [F] each.
        """
        values = np.ascontiguousarray(values, np.float64)
        returns = np.ascontiguousarray(returns, np.float64)
        if values.shape != (len(self.names), self.symbols) or returns.shape != (self.symbols,):
            raise MonitorError(
                f"a bar of shape {values.shape} with returns {returns.shape} came to "
                f"{len(self.names)} features on {self.symbols} symbols"
            )
        if len(self.names) * self.symbols > 2048 and self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="midas-ring")
        self.scorer.update(values, returns)
        u, w = self.scorer.u, self.scorer.w
        self.ic.update(values, returns, self.scorer.rank_ic, self.scorer.pearson, self._pool)
        self.book.update(self.scorer.z, returns, self.live)
        if fills is not None:
            self.slippage.update(*fills)
        self.regimes.update(regime, u, w)
        self.lags.update(self.scorer.z, self.scorer.z_return)
        self.correlations.update(self.scorer.z)
        self.scores.update(u)
        self.evidence.update(u, w, regime)
        self.bank.update(u, w)
        self.portfolio.update(u, w, self.bank.base, self.counted)
        self.bars += 1
        self.regime = regime
        if self.bars % _HALF_LIFE_EVERY == 0:
            self.half_life = self.lags.half_life_bars(np.sqrt(self.bank.variance))
        self._columns = None
        self._remember(at)

    def _remember(self, at: np.datetime64) -> None:
        _, _, ratio = self.slippage.figures()
        ic, book = self.ic.rank, self.book
        figures = (ic[1], ic[2], ratio, book.gross, self.scorer.u, self.bank.decay_log_s, book.net, self.share)
        self.history_ring.update(at, figures, self.regime)

    # -- figures ---------------------------------------------------------------------------------

    def columns(self) -> dict[str, Floats]:
        """Every figure after the last bar, [F] each; computed once a bar, on demand."""
        if self._columns is None:
            self._columns = self._compute()
        return self._columns

    def _compute(self) -> dict[str, Floats]:
        rank, se, pearson = self.ic.rank, self.ic.rank_se, self.ic.pearson
        with np.errstate(invalid="ignore", divide="ignore"):
            # a ratio over something that may be zero says nothing: undetermined
            ratio = np.where(rank[2] > 2.0 * se[2], rank[1] / rank[2], np.nan)
        realised, expected, slip = self.slippage.figures()
        weight = self.share
        gross_day, net_day = self.book.day()
        regime_mean, regime_se, regime_bars = self.regimes.figures(self.regime)
        highest, usual, partner = self.correlations.highest()
        short_mean, short_se, _ = self.scores.mean(self.short)
        hours = self.config.bar_seconds / 3600.0
        return {
            "ic_1d": rank[0],
            "ic_5d": rank[1],
            "ic_30d": rank[2],
            "ic_1d_se": se[0],
            "ic_5d_se": se[1],
            "ic_30d_se": se[2],
            "pearson_1d": pearson[0],
            "pearson_5d": pearson[1],
            "pearson_30d": pearson[2],
            "ic_ratio": ratio,
            "ic_regime": regime_mean,
            "ic_regime_se": regime_se,
            "regime_bars": regime_bars,
            "half_life_hours": self.half_life * hours,
            "turnover": self.book.turnover_ring.average(),
            "slippage_bps": realised,
            "expected_slippage_bps": expected,
            "slippage_ratio": slip,
            "slippage_low": self.slippage.low(),
            "pnl_bps": self.book.gross * weight,
            "pnl_net_bps": self.book.net * weight,
            "pnl_1d_bps": gross_day * weight,
            "pnl_net_1d_bps": net_day * weight,
            "coverage": self.presence.coverage(),
            "missing_bars": self.presence.missing.astype(np.float64),
            "frozen_bars": self.presence.frozen.astype(np.float64),
            "stuck": self.presence.stuck,
            "stuck_usual": self.presence.habit[:, 2],
            "score": short_mean,
            "score_se": short_se,
            "correlation": highest,
            "correlation_usual": usual,
            "correlation_partner": partner.astype(np.float64),
            "decay_log_s": self.bank.decay_log_s,
            "kill_log_e": self.bank.kill_log_e,
            "variance": self.bank.variance,
            "reference": self.bank.base,
        }

    def observe(self, values: Floats) -> None:
        """Note which of a new bar's values [F, S] came at all; before its return is known."""
        self.presence.update(values)
        self._columns = None

    def outlook(self, row: int) -> dict[str, float]:
        """Expected days to detect a drop and a flip and false alarms a year of one feature; empty: uncalibrated."""
        base, size = float(self.bank.base[row]), self.config.bar_seconds
        if not np.isfinite(base):
            return {}
        found = outlook(
            base, float(self.bank.variance[row]), arl0=self.config.arl0_bars, bars_per_year=_YEAR_SECONDS / size
        )
        days = size / 86_400.0
        return {
            "days_to_detect_drop": found.drop_bars * days,
            "days_to_detect_flip": found.flip_bars * days,
            "false_alarms_per_year": found.false_alarms_per_year,
        }

    def history(self, name: str) -> dict[str, NDArray[np.generic]]:
        """Recent ``at`` and the figures of `chart_history.FIGURES` of a feature."""
        return self.history_ring.of(self.row(name))

    def row(self, name: str) -> int:
        """Row of feature `name`; MonitorError when it is not monitored."""
        try:
            return self.rows[name]
        except KeyError:
            raise MonitorError(
                f"feature {name!r} is not monitored", hint="monitored: " + ", ".join(self.names)
            ) from None

    # -- the fleet -------------------------------------------------------------------------------

    @property
    def counted(self) -> Floats:
        """1 for features whose position is the portfolio's: live and not in shadow, [F]."""
        return self.live * (1.0 - self.shadow)

    @property
    def share(self) -> Floats:
        """Each feature's share of the portfolio, [F]; 0 for those that are not its."""
        return self.counted / max(1.0, float(self.counted.sum()))

    def set_shadow(self, name: str, shadow: bool) -> None:
        """Keep a feature's paper book out of the portfolio, or take it in."""
        self.shadow[self.row(name)] = 1.0 if shadow else 0.0
        self._columns = None

    def set_live(self, name: str, live: bool) -> None:
        """Stop or start a feature's paper position; its figures go on."""
        self.live[self.row(name)] = 1.0 if live else 0.0
        self._columns = None

    def calibrate(self, name: str, reference: Reference | None) -> None:
        """Give a feature a new promise; its detectors start from zero."""
        if reference is None:
            self.references.pop(name, None)
        else:
            self.references[name] = reference
        self.bank.calibrate(self.row(name), reference)
        self._columns = None

    def resize(self, names: Sequence[str], references: Mapping[str, Reference] | None = None) -> None:
        """Monitor exactly `names` from now on; those that stay keep all they have seen."""
        if len(set(names)) != len(names):
            raise MonitorError("a feature is named twice")
        old = {name: row for row, name in enumerate(self.names)}
        rows = [old.get(name, -1) for name in names]
        known = {**self.references, **(references or {})}
        self.references = {n: known[n] for n in names if n in known}
        for part in self._parts().values():
            part.select(rows)
        self.bank.select(rows, [self.references.get(n) for n in names])
        live, shadow, half_life = self.live, self.shadow, self.half_life
        self.live = np.array([live[r] if r >= 0 else 1.0 for r in rows])
        self.shadow = np.array([shadow[r] if r >= 0 else 0.0 for r in rows])
        self.half_life = np.array([half_life[r] if r >= 0 else np.nan for r in rows])
        self.names = list(names)
        self.rows = {name: row for row, name in enumerate(self.names)}
        self._columns = None

    # -- restart ---------------------------------------------------------------------------------

    def _parts(self) -> dict[str, Any]:
        return {
            "scorer": self.scorer,
            "ic": self.ic,
            "book": self.book,
            "slippage": self.slippage,
            "presence": self.presence,
            "regimes": self.regimes,
            "lags": self.lags,
            "correlations": self.correlations,
            "scores": self.scores,
            "evidence": self.evidence,
            "history": self.history_ring,
        }

    def parts(self) -> tuple[dict[str, Any], dict[str, NDArray[np.generic]]]:
        """Everything a restart needs: a header, and the live arrays themselves; pack them before the next bar."""
        meta = {
            "version": STATE_VERSION,
            "names": self.names,
            "symbols": self.symbols,
            "bars": self.bars,
            "regime": self.regime,
            "bar_seconds": self.config.bar_seconds,
            "cross": self.cross,
        }
        arrays: dict[str, NDArray[np.generic]] = {"live": self.live, "half_life": self.half_life}
        for name, part in {**self._parts(), "bank": self.bank, "portfolio": self.portfolio}.items():
            arrays.update(prefixed(name, part.arrays()))
        return meta, arrays

    def state(self) -> bytes:
        """Everything a restart needs, as one npz."""
        return pack(*self.parts())

    def restore(self, blob: bytes) -> None:
        """Go on from `state` of an engine with the same bar size and symbols; features that are new start fresh.

        Raises:
            MonitorError: The state is damaged, newer, or another feed's.
        """
        self.load(*unpack(blob))

    def load(self, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """`restore` from what `parts` gave; takes the arrays over."""
        if int(meta.get("version", 0)) > STATE_VERSION:
            raise MonitorError("the monitor's saved state was written by a newer Midas")
        if (meta["symbols"], meta["bar_seconds"]) != (self.symbols, self.config.bar_seconds):
            raise MonitorError(
                f"the saved state is of {meta['symbols']} symbols and {meta['bar_seconds']} s bars, "
                f"not {self.symbols} and {self.config.bar_seconds}"
            )
        if bool(meta.get("cross", self.symbols >= CROSS_MINIMUM)) != self.cross:
            raise MonitorError(
                "the saved state is of features scored "
                + ("in time, not as a cross-section" if self.cross else "as a cross-section, not in time")
            )
        wanted, references = list(self.names), dict(self.references)
        self.resize([str(name) for name in meta["names"]])
        for name, part in {**self._parts(), "bank": self.bank, "portfolio": self.portfolio}.items():
            part.load(under(name, arrays))
        self.live = np.ascontiguousarray(arrays["live"], np.float64)
        self.half_life = np.ascontiguousarray(arrays["half_life"], np.float64)
        self.bars, self.regime = int(meta["bars"]), str(meta["regime"])
        self.references = {**references}
        self.resize(wanted, references)
        self._columns = None
