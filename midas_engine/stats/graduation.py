"""Graduation from shadow: an e-process that goes on from a sealed look over bars that did not exist at the look.

A sealed look is a test at a level alpha of the lifetime's stream. The level is split: a share of 1 - s is for the look
itself (`look_line`), the share s for everything that comes after it. What misses the line of the look and is sound
(p at most `SOUND_P`) may gather forward evidence, and graduates when sealed and forward evidence together reach
1 / (s alpha).

**Guarantee.** If the feature foresees nothing, the chance that it is promoted at the look *or ever graduates*, over
any number of bars and however often one looks, is at most alpha.

*Proof.* Let p be the p-value of the look, P(p <= x) <= x, and c = (1 - s) alpha. Let

    f(p) = 1 / alpha for p <= c,    s g(p) for c < p <= SOUND_P,    0 beyond,

with g(p) = sum_k w_k exp(theta_k z - theta_k^2 / 2) / mass, z the normal quantile of 1 - p, theta_k = d_k sqrt(n) for a
grid of effects d_k >= 0, and `mass` the integral of the sum over (c, SOUND_P], in closed form. f does not increase and
integrates to one over (0, 1): it is a p-to-e calibrator (Shafer, Shen, Vereshchagin and Vovk 2011; Vovk and Wang 2021),
so E f(p) <= 1. After the look each grid value bets on the score: W_k <- W_k (1 + d_k x), where x is the bar's score
over a scale that was known before the bar, cut at +-6. Where E[x | past] <= 0 each factor has mean at most one and is
positive, so s g(p) x (wealth) is a nonnegative supermartingale whatever the distribution of x: heavy tails, changing
volatility and dependence of higher moments do not matter ("testing by betting": Shafer 2021; Waudby-Smith and Ramdas
2024). By Ville's inequality P(it ever reaches 1 / alpha | p) <= alpha f(p); with 1{p <= c} = alpha f(p) there, the
chance of promotion or graduation is at most alpha E f(p) <= alpha. QED. In the lifetime's stream a graduation earns
nothing, so what is spent never exceeds what the stream allows, and its rate of false discoveries stands
(`midas_engine.stats.online_fdr`).

*What if scores are autocorrelated?* Then E[x | past] is not zero at every bar, only in the mean. The variance of sums
of `BLOCK` bars over that of single bars (never below 1, learned from bars before) says how much too fast evidence
would grow; (ratio - 1) d_k^2 x^2 / 2 is taken off every bet's log. Taking off keeps the supermartingale.

**Dead** is the mirror: a bet that the mean score is below what was promised. For a feature that keeps its promise the
chance of ever being called dead is at most `DEAD_LEVEL`.

`benchmarks/statistics/sim_graduation.py` measures both, and how many real features graduate in how many days.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from midas_engine.errors import MonitorError
from midas_engine.stats.normal import Z90
from midas_engine.stats.sequential_rows import select_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FORWARD_SHARE = 0.25
"""Share s of a look's level that is kept for forward evidence. At 0.25 the look loses two points of power and 90 days
of shadow give back twice to four times that (`sim_graduation.py`); at 0.5 the look loses five."""
SOUND_P = 0.25
"""Largest one-sided p of a look that misses and is still sound: the score has its sign and is not nothing."""
DEAD_LEVEL = 0.05
CONFIRMED = -math.log(DEAD_LEVEL)
"""Ln of the evidence at which forward bars alone confirm a feature."""
EFFECTS = tuple(float(d) for d in 0.01 * 15.0 ** (np.arange(8) / 7.0))
"""The grid of mean scores, in standard deviations of a bar's score: 0.01 to 0.15. A single hourly series of IC 0.03
has about 0.035, 24 symbols of IC 0.02 about 0.1."""
SHRINK = 0.7
"""Share of a sealed score that is promised where no reference was stored."""
BLOCK = 24
WINSOR = 6.0
_PRIOR_BARS = 240.0
_WARM_BARS = 48.0
_PRIOR_BLOCKS = 30.0
_DEAD_STEPS = (1.0, 2.0)  # against: it is worth nothing; it has turned
_LARGEST_PROMISE = 0.07  # so that no bet of the dead verdict can lose all
_LONGEST_BARS = 10_000_000.0


@dataclass(frozen=True, slots=True)
class SealedEvidence:
    """What a sealed look left to go on from.

    Attributes:
        p: One-sided p of the look.
        level: What the look was charged: the chance that a false feature may take, look and shadow together.
        bars: Bars it scored.
        promise: Expected score (slope of the causal score, shrunk); NaN when there is none.
        variance: Variance of a bar's causal score; NaN when it was not measured.
        research_t: Its t on the part it was searched on; only the expected days read it.
        research_bars: Bars of that part that it scored.
    """

    p: float
    level: float
    bars: int
    promise: float = math.nan
    variance: float = math.nan
    research_t: float = 0.0
    research_bars: int = 0

    @property
    def promoted(self) -> bool:
        """It reached the line of the look."""
        return self.p <= look_line(self.level)

    @property
    def sound(self) -> bool:
        """It missed the line, and may graduate."""
        return not self.promoted and self.p <= SOUND_P and 0.0 < self.level < 1.0 and self.bars > 0


@dataclass(frozen=True, slots=True)
class GraduationOutlook:
    """How far a feature in shadow is.

    Attributes:
        log_e: Ln of the evidence gathered, sealed and forward.
        line: Ln of what it must reach.
        effect: Mean score of a bar in standard deviations: searched, sealed and forward bars together, shrunk.
        bars_to_go: Expected further bars at that effect; infinite when it would never come.
        low: Lower 90 % end of the bars (from the upper end of the effect).
        high: Upper end; infinite where the lower end of the effect would never cross.
    """

    log_e: float
    line: float
    effect: float
    bars_to_go: float
    low: float
    high: float


def look_line(level: float) -> float:
    """What the p of a sealed look must not exceed, where the look was charged `level`.

    Example:
        >>> round(look_line(0.02), 6)
        0.015
    """
    return (1.0 - FORWARD_SHARE) * level


def forward_line(level: float) -> float:
    """Ln of the evidence at which a feature graduates, where its look was charged `level`."""
    return -math.log(FORWARD_SHARE * level)


def sealed_wealth(sealed: SealedEvidence) -> Floats:
    """Ln of what each effect of the grid has gained in the sealed look, [8]; their sum integrates to one over sound p.

    Example:
        >>> p = np.linspace(look_line(0.02), SOUND_P, 20_001)[1:]
        >>> g = [float(np.exp(sealed_wealth(SealedEvidence(q, 0.02, 3000))).sum()) for q in p]
        >>> round(float(np.mean(g)) * (SOUND_P - look_line(0.02)), 2)
        1.0
    """
    if not sealed.sound:
        return np.full(len(EFFECTS), -np.inf)
    theta = np.array(EFFECTS) * math.sqrt(sealed.bars)
    worst, best = -ndtri(SOUND_P), -ndtri(look_line(sealed.level))
    mass = float((ndtr(best - theta) - ndtr(worst - theta)).mean())
    z = min(max(float(-ndtri(sealed.p)), worst), best)
    logs: Floats = theta * z - theta**2 / 2.0 - math.log(len(EFFECTS) * max(mass, 1e-300))
    # f must not increase: nothing graduates by its look alone.
    excess = float(np.logaddexp.reduce(logs)) - forward_line(sealed.level)
    return logs - max(excess, 0.0)


class GraduationBank:
    """The e-processes of F features, one bar at a time; O(1) state a feature, bit-identical after `load`.

    Attributes:
        log_wealth: Ln of each effect's wealth, sealed part included, [F, 8].
        log_dead: Ln of the bets against the promise, [F, 2].
        line: Ln of what graduates, [F]; NaN for a feature that has nothing to go on from.
        bars: Forward bars, [F].

    Example:
        >>> bank = GraduationBank([SealedEvidence(0.03, 0.02, 3000)])
        >>> rng = np.random.default_rng(0)
        >>> for _ in range(2000):
        ...     bank.update(rng.normal(0.1, 1.0, 1))
        >>> bool(bank.graduated[0]), bool(bank.dead[0])
        (True, False)
    """

    def __init__(self, evidence: Sequence[SealedEvidence | None]) -> None:
        count = len(evidence)
        self.log_wealth = np.full((count, len(EFFECTS)), -np.inf)
        self.log_dead = np.full((count, len(_DEAD_STEPS)), -np.inf)
        self.line, self.promise = np.full(count, np.nan), np.full(count, np.nan)
        self.before = np.zeros((count, 2))  # sum of what was seen before, in standard deviations, and its bars
        self.peak, self.bars = np.full(count, -np.inf), np.zeros(count)
        self.peak_dead = np.full(count, -np.inf)
        self.prior = np.zeros((count, 2))  # variance and the bars that speak for it
        self.sums = np.zeros((count, 3))  # u, u^2, standardised score
        self.blocks = np.zeros(
            (count, 5)
        )  # bars and sum of the running block, whole blocks, their squares, bars' squares
        for row, given in enumerate(evidence):
            self._set(row, given)
        self._derive()

    def _set(self, row: int, given: SealedEvidence | None) -> None:
        for name in ("bars", "prior", "sums", "blocks", "before"):
            getattr(self, name)[row] = 0.0
        self.log_wealth[row] = self.log_dead[row] = self.peak[row] = self.peak_dead[row] = -np.inf
        self.line[row] = self.promise[row] = np.nan
        if given is None or not given.sound:
            return
        self.log_wealth[row] = sealed_wealth(given)
        self.line[row] = forward_line(given.level)
        z = float(-ndtri(given.p))
        searched = given.research_t * math.sqrt(given.research_bars)
        self.before[row] = z * math.sqrt(given.bars) + searched, given.bars + given.research_bars
        known = given.variance > 0.0 and math.isfinite(given.variance)
        self.prior[row] = (given.variance, _PRIOR_BARS) if known else (0.0, 0.0)
        promise = given.promise / math.sqrt(given.variance) if known else math.nan
        if not promise > 0.0:
            promise = SHRINK * z / math.sqrt(given.bars)
        self.promise[row] = min(promise, _LARGEST_PROMISE)
        self.log_dead[row] = -math.log(len(_DEAD_STEPS))

    def _derive(self) -> None:
        self._rows = np.flatnonzero(np.isfinite(self.line))

    def begin(self, row: int, evidence: SealedEvidence | None) -> None:
        """Let feature `row` go on from `evidence`, with no forward bar yet; None: nothing to go on from."""
        self._set(row, evidence)
        self._derive()

    def update(self, u: Floats) -> None:
        """Take one bar's scores, [F]; NaN where a feature was not scored, which is no evidence."""
        rows = self._rows[np.isfinite(u[self._rows])]
        if not len(rows):
            return
        score = u[rows]
        weight = self.prior[rows, 1] + self.bars[rows]
        square = self.prior[rows, 0] * self.prior[rows, 1] + self.sums[rows, 1]
        self.bars[rows] += 1.0
        self.sums[rows, 0] += score
        self.sums[rows, 1] += score * score
        warm = (weight >= _WARM_BARS) & (square > 0.0)
        if not warm.all():
            rows, score, weight, square = rows[warm], score[warm], weight[warm], square[warm]
        # Everything that sizes a bet was known before the bar.
        x = np.clip(score / np.sqrt(square / weight), -WINSOR, WINSOR)[:, None]
        spare = (self.widening(rows) - 1.0)[:, None] / 2.0
        bets = np.array(EFFECTS)
        self.log_wealth[rows] += np.log1p(bets * x) - spare * (bets * x) ** 2
        promise = self.promise[rows][:, None]
        against, steps = x - promise, promise * np.array(_DEAD_STEPS)
        self.log_dead[rows] += np.log1p(-steps * against) - spare * (steps * against) ** 2
        self.peak[rows] = np.maximum(self.peak[rows], self.log_e[rows])
        self.peak_dead[rows] = np.maximum(self.peak_dead[rows], np.logaddexp.reduce(self.log_dead[rows], axis=1))
        self.sums[rows, 2] += x[:, 0]
        self._block(rows, x[:, 0])

    def _block(self, rows: NDArray[np.intp], x: Floats) -> None:
        blocks = self.blocks
        blocks[rows, 0] += 1.0
        blocks[rows, 1] += x
        blocks[rows, 4] += x * x
        full = rows[blocks[rows, 0] >= BLOCK]
        if len(full):
            blocks[full, 2] += 1.0
            blocks[full, 3] += blocks[full, 1] ** 2
            blocks[full, :2] = 0.0

    def widening(self, rows: NDArray[np.intp]) -> Floats:
        """Variance of sums of `BLOCK` bars over that of single ones, at least 1; drawn to 1 while few are known."""
        held, squares = self.blocks[rows, 2], self.blocks[rows, 3]
        known = held * BLOCK + self.blocks[rows, 0]
        single = np.where(known > 0, self.blocks[rows, 4] / np.maximum(known, 1.0), 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(single > 0.0, squares / (BLOCK * single), held)
        found: Floats = np.maximum((_PRIOR_BLOCKS + ratio) / (_PRIOR_BLOCKS + held), 1.0)
        return found

    @property
    def log_e(self) -> Floats:
        """Ln of the evidence, sealed and forward, [F]; minus infinity where there is none."""
        with np.errstate(invalid="ignore"):
            found: Floats = np.logaddexp.reduce(self.log_wealth, axis=1)
        return np.where(np.isfinite(self.line), found, -np.inf)

    @property
    def graduated(self) -> NDArray[np.bool_]:
        """Whether the evidence has ever reached the line, [F]."""
        return self.peak >= self.line

    @property
    def dead(self) -> NDArray[np.bool_]:
        """Whether the forward scores deny the promise, and nothing graduated it before, [F]."""
        return ~self.graduated & (self.peak_dead >= -math.log(DEAD_LEVEL))

    def outlook(self, row: int) -> GraduationOutlook | None:
        """How far feature `row` is; None where it has nothing to go on from."""
        line = float(self.line[row])
        if not math.isfinite(line):
            return None
        total = float(self.before[row, 1] + self.bars[row])
        mean = float(self.before[row, 0] + self.sums[row, 2]) / total
        # The positive part of James and Stein: what was picked is smaller than it looks, the more the less is known.
        effect = mean * max(0.0, 1.0 - 1.0 / max(mean * mean * total, 1e-12))
        error = Z90 / math.sqrt(total)
        wide = float(self.widening(np.array([row]))[0])
        middle, early, late = (self._to_go(row, e, wide) for e in (effect, effect + error, effect - error))
        return GraduationOutlook(float(self.log_e[row]), line, effect, middle, early, late)

    def _to_go(self, row: int, effect: float, wide: float) -> float:
        """Bars until the evidence on a path of mean `effect` crosses the line."""
        if self.graduated[row]:
            return 0.0
        bets, line, now = np.array(EFFECTS), float(self.line[row]), self.log_wealth[row]
        growth = bets * effect - wide * bets**2 / 2.0

        def reached(bars: float) -> bool:
            return float(np.logaddexp.reduce(now + bars * growth)) >= line

        if growth.max() <= 0.0 or not reached(_LONGEST_BARS):
            return math.inf
        low, high = 0.0, _LONGEST_BARS
        for _ in range(60):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if reached(middle) else (middle, high)
        return high

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything a restart needs."""
        return {name: getattr(self, name) for name in _STATE}

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the state that `arrays` gave; MonitorError when its shape is another's."""
        for name in _STATE:
            array = np.ascontiguousarray(arrays[name], np.float64)
            if array.shape != getattr(self, name).shape:
                raise MonitorError(
                    f"graduation state {name!r} has shape {array.shape}, not {getattr(self, name).shape}"
                )
            setattr(self, name, array)
        self._derive()

    def select(self, rows: Sequence[int]) -> None:
        """Keep the features `rows`, in that order; -1 adds one with nothing to go on from."""
        for name, fill in _STATE.items():
            setattr(self, name, select_rows(getattr(self, name), rows, fill))
        self._derive()


def forward_alone(scores: Floats) -> float:
    """Ln of the evidence of forward bars alone [T], whatever was seen before; the most it ever was.

    A feature that foresees nothing reaches `CONFIRMED` with chance 5 % at most, however often one looks.

    Example:
        >>> forward_alone(np.random.default_rng(0).normal(0.2, 1.0, 500)) > CONFIRMED
        True
    """
    bank = GraduationBank([SealedEvidence(SOUND_P, DEAD_LEVEL, 1)])
    bank.log_wealth[0] = -math.log(len(EFFECTS))
    for score in scores:
        bank.update(np.array([score]))
    return max(float(bank.peak[0]), 0.0)


_STATE = {
    "log_wealth": -np.inf,
    "log_dead": -np.inf,
    "line": np.nan,
    "promise": np.nan,
    "before": 0.0,
    "peak": -np.inf,
    "peak_dead": -np.inf,
    "bars": 0.0,
    "prior": 0.0,
    "sums": 0.0,
    "blocks": 0.0,
}
