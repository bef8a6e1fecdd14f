"""The six agents: each reads some figures and its thresholds, and says pass or fail, how well, and what to do.

A suggestion on the research part may quote figures, because the proposer sees that part. On the sealed part
it never does: a number that reaches a prompt is a number that is fitted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from scipy.special import ndtr, ndtri

from midas_engine.evaluator.gates.beside import apart
from midas_engine.evaluator.gates.later_part import later_part_proves
from midas_engine.evaluator.gates.plugin_agents import plugin_agents
from midas_engine.evaluator.gates.thresholds import OWN_AGENTS
from midas_engine.models import AgentVerdict, EvaluationResult, GateCheck
from midas_engine.stats.normal import Z90
from midas_engine.text import number, p_text

Line = Mapping[str, Any]
Agent = Callable[[EvaluationResult, Line, float], AgentVerdict]

LEAST_MOVING_T = 1.64
"""One-sided 5 %: what moves is there by itself from here on, however much of the score stands."""

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": lambda a, b: a >= b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    "<": lambda a, b: a < b,
}


def check(name: str, value: float, comparison: str, threshold: float, detail: str = "") -> GateCheck:
    """One gate; a value that is not a number never passes."""
    passed = value == value and _COMPARE[comparison](value, threshold)
    return GateCheck(name, float(value), comparison, float(threshold), bool(passed), detail)


def _clip(x: float) -> float:
    return min(max(x, 0.0), 1.0) if math.isfinite(x) else 0.0


def _verdict(
    agent: str,
    result: EvaluationResult,
    gates: list[GateCheck],
    score: float,
    summary: str,
    suggestions: list[str],
    economic: bool = False,
) -> AgentVerdict:
    if result.extra.get("part", "research") != "research":
        suggestions = []
    passed = all(g.passed for g in gates)
    return AgentVerdict(agent, passed, _clip(score), tuple(gates), summary, tuple(suggestions), economic)


def predictive_power(result: EvaluationResult, line: Line, line_t: float) -> AgentVerdict:
    """Effect size, significance at the session line, information ratio, plausibility, enough bars."""
    rank = result.rank_ic.value
    event = result.extra.get("event")
    enough = check("bars_scored", result.bars_scored, ">=", line["min_bars"], f"coverage {result.coverage:.1%}")
    if event:
        enough = check("events", event["events"], ">=", line["min_events"], f"{event['triggers']} triggers")
    gates = [
        enough,
        check("rank_ic", rank, ">=", line["min_rank_ic"]),
        check("score_t", result.score_t, ">=", line_t, "session line"),
        check("ir", result.ir.value, ">=", line["min_ir"], f"lower 90 % bound {result.ir.low:.2f}"),
        check("plausible_ic", abs(rank), "<=", line["max_plausible_ic"], "implausible above: look for a leak"),
        *_standing_gates(result, line),
    ]
    tips = []
    bet = bet_on_symbols(result, line)
    if bet:
        tips.append(bet)
    elif not gates[0].passed:
        tips.append(_coverage_tip(result))
    elif not gates[4].passed:
        tips.append(
            f"implausible: |rank IC| {abs(rank):.2f} at the target horizon; "
            "look for a leak of the future into the feature"
        )
    elif result.score_t < -2.0 and rank < 0.0:
        tips.append(
            f"flip the sign: the score is negative (t {result.score_t:.1f}); "
            "the flipped feature counts as another trial"
        )
    else:
        if not gates[2].passed:
            tips.append(
                f"score t {result.score_t:.2f} is under the session line {line_t:.2f}; "
                f"this sample can tell an IC of {result.smallest_detectable_ic:.3f} from zero: "
                "look for a stronger effect, more symbols or a longer history"
            )
        if not gates[1].passed:
            tips.append(
                f"rank IC {rank:.4f} is under {line['min_rank_ic']:g}: "
                "sharpen the signal (normalise, combine, condition on volume or volatility)"
            )
    return _verdict(
        "predictive_power", result, gates, result.score_t / (2.0 * line_t), _power_words(result, line_t), tips
    )


def _standing_gates(result: EvaluationResult, line: Line) -> list[GateCheck]:
    """On a cross-section: whether the text is comparable between symbols, and what of the score moves."""
    gates = []
    if result.extra.get("nominal"):
        gates.append(GateCheck("comparable", 0.0, ">=", 1.0, False, str(result.extra["nominal"]).split(":")[0]))
    found = result.extra.get("standing")
    if found:
        variance = found["standing_variance"]
        share = check("moving_share", found["moving_share"], ">=", line["min_moving_share"], "of the score moves")
        if not share.passed and _moves_by_itself(found):
            # A share of two noisy scores says little on a short part; what moves and is there by itself is no bet.
            share = replace(share, passed=True, detail=f"what moves is there by itself: t {found['moving']['t']:.1f}")
        gates += [
            share,
            check("standing_variance", variance, "<=", line["max_standing_variance"], "between symbols for good"),
        ]
    return gates


def _moves_by_itself(found: Mapping[str, Any]) -> bool:
    """Whether the moving part alone is positive at one-sided 5 %."""
    return float(found["moving"]["t"]) >= LEAST_MOVING_T


def bet_on_symbols(result: EvaluationResult, line: Line) -> str:
    """What is said of a feature whose worth is which symbol it is; empty when it is not."""
    nominal = result.extra.get("nominal")
    if nominal:
        return f"units: {nominal}"
    found = result.extra.get("standing")
    if not found:
        return ""
    standing, moving = found["standing"], found["moving"]
    parts = (
        f"the standing part scores {standing['score']['value']:+.4f} (t {standing['t']:.1f}), "
        f"what moves {moving['score']['value']:+.4f} (t {moving['t']:.1f})"
    )
    advice = "compare a symbol with its own past (ts_zscore, ts_rank, divide by ts_mean), or show it on other symbols"
    if found["standing_variance"] > line["max_standing_variance"]:
        between = found["standing_variance"]
        return f"a bet on these symbols: {between:.0%} of its ranks differ between symbols for good; {parts}; {advice}"
    share = found["moving_share"]
    if result.score.value > 0.0 and not share >= line["min_moving_share"] and not _moves_by_itself(found):
        return f"a bet on these symbols: {parts}; {advice}"
    return ""


def _power_words(result: EvaluationResult, line_t: float) -> str:
    if result.extra.get("empty"):
        why = result.extra.get("nominal") or (result.warnings[-1] if result.warnings else "nothing to score")
        return f"refused: {why} (coverage {result.coverage:.1%})"
    rank = f"rank IC {result.rank_ic.value:.4f} ± {result.rank_ic.se:.4f}"
    return f"{rank}, t {result.score_t:.2f} against {line_t:.2f}, IR {result.ir.value:.2f}"


def _coverage_tip(result: EvaluationResult) -> str:
    why = result.warnings[-1] if result.warnings else "too few bars"
    known = f"{result.bars_scored} bars scored (coverage {result.coverage:.1%})"
    return f"{why}: {known}; shorten look-backs or use columns that are filled"


def decay_analysis(result: EvaluationResult, line: Line, _: float) -> AgentVerdict:
    """Half-life; refused only when the whole interval lies below the threshold."""
    least = line["min_half_life_hours"]
    high = result.half_life_hours.high
    if math.isnan(high) and not result.extra.get("empty") and result.score_t == result.score_t:
        high = math.inf  # no curve could be fitted: nothing says that it decays
    if not result.half_life_known and high >= least:
        high = math.inf  # the end of the search is no figure
    gate = check("half_life_hours", high, ">=", least, "upper end of the 90 % interval")
    value = result.half_life_hours.value
    known = result.half_life_known
    words = f"half-life {value:.1f} h [{result.half_life_hours.low:.1f}, {high:.1f}]" if known else "half-life unknown"
    tips = (
        []
        if gate.passed
        else [f"the effect is gone within {least:g} h: smooth the feature (ts_mean, ema) or use slower inputs"]
    )
    score = value / (4.0 * least) if known and least > 0 else 0.5
    # How long an effect lasts decides whether it can be traded, not whether it is there: an economic gate.
    return _verdict("decay_analysis", result, [gate], score if gate.passed else 0.0, words, tips, economic=True)


def trading_cost(result: EvaluationResult, line: Line, _: float) -> AgentVerdict:
    """Whether it earns after fees, spread, slippage and funding, and how much it trades.

    It refuses only what surely loses: the upper 90 % end of net lies below zero. Between the ends it is undecided.
    """
    word = money_word(result)
    gates = [
        check("effective_ic", effective_ic_high(result), ">", line["min_effective_ic"], "upper 90 % end"),
        check("turnover", result.turnover, "<=", line["max_turnover"], "mean absolute change per bar at unit gross"),
        *_regime_net(result),
    ]
    tips = []
    if result.gross_bps > 0.0 and not gates[0].passed:
        tips.append(
            f"gross {result.gross_bps:.2f} bps a bar does not pay for turnover {result.turnover:.2f} "
            f"at {result.cost_bps:g} bps (break-even IC {result.break_even_ic:.3f}): "
            "trade less: smooth with ema or ts_mean, or forecast a longer horizon"
        )
    if not gates[1].passed and result.turnover == result.turnover:
        tips.append(
            f"turnover {result.turnover:.2f} a bar is above {line['max_turnover']:g}: "
            "use longer windows or smooth the feature"
        )
    if len(gates) > 2 and not gates[2].passed:
        tips.append(f"it loses money in {gates[2].detail}: do not trade it there (a gate), or scale it by volatility")
    share = result.net_bps / result.gross_bps if result.gross_bps > 0.0 else 0.0
    words = (
        f"{word}: net {result.net_bps:.2f} of gross {result.gross_bps:.2f} bps a bar, turnover {result.turnover:.2f}"
    )
    return _verdict("trading_cost", result, gates, share, words, tips, economic=True)


def money_word(result: EvaluationResult) -> str:
    """Whether net of costs is above zero, below it, or undecided, by its 90 % interval; how long a decision takes."""
    net = result.extra.get("net")
    if not net or not net["se"] > 0.0:
        return f"net {number(result.net_bps, 3)} bps a bar"
    if net["high"] < 0.0:
        word = "loses"
    elif net["low"] > 0.0:
        word = "earns"
    else:
        more = result.bars_scored * ((Z90 * net["se"] / net["value"]) ** 2 - 1.0) if net["value"] else math.inf
        word = f"undecided, about {more:,.0f} more bars would tell" if more < 1e7 else "undecided"
    return f"{word}, net {number(net['value'], 3)} ± {number(net['se'], 3)} bps a bar"


def effective_ic_high(result: EvaluationResult) -> float:
    """Upper 90 % end of the effective IC: rank IC x net / gross at the upper end of net; its sign is that of net."""
    net = result.extra.get("net")
    if not net or not net["se"] > 0.0:
        return result.effective_ic
    size = abs(result.rank_ic.value / result.gross_bps) if result.gross_bps else math.inf
    return float(net["high"] * size) if math.isfinite(size) else float(net["high"])


def _regime_net(result: EvaluationResult) -> list[GateCheck]:
    """The worst regime's net at the upper end of an interval that is drawn for the number of regimes."""
    found = {n: e for n, e in result.extra.get("net_by_regime", {}).items() if e["se"] > 0.0}
    if not found:
        return []
    width = -worst_of_several(-Z90, len(found))
    worst = min(found, key=lambda n: found[n]["value"] + width * found[n]["se"])
    e = found[worst]
    words = f"{worst}, net {e['value']:.2f} ± {e['se']:.2f} bps a bar"
    return [check("regime_net_high", e["value"] + width * e["se"], ">=", 0.0, words)]


def diversification(result: EvaluationResult, line: Line, line_t: float) -> AgentVerdict:
    """Whether it is new, and adds to what is deployed; a weaker candidate does not stand in its way."""
    near = check("max_correlation", result.max_correlation, "<=", line["max_correlation"], result.most_correlated)
    gates = [
        apart(near, result, line, line_t),
        check("marginal_ic", result.marginal_ic.value, ">", line["min_marginal_ic"], "after the deployed features"),
        check("marginal_t", result.marginal_t, ">=", line["min_marginal_t"]),
    ]
    tips = []
    if not gates[0].passed and result.most_correlated:
        tips.append(
            f"correlation {result.max_correlation:.2f} with {result.most_correlated}: "
            "use other columns or another horizon"
        )
    elif result.extra.get("deployed") and not all(g.passed for g in gates[1:]):
        tips.append(
            f"marginal IC {result.marginal_ic.value:.4f} (t {result.marginal_t:.1f}): "
            "the deployed features already carry most of it; neutralise against them or look elsewhere"
        )
    words = f"largest correlation {result.max_correlation:.2f}" + (
        f" ({result.most_correlated})" if result.most_correlated else ""
    )
    score = 0.5 * _clip(1.0 - result.max_correlation) + 0.5 * _clip(result.marginal_t / 5.0)
    return _verdict(
        "diversification", result, gates, score, f"{words}, marginal IC {result.marginal_ic.value:.4f}", tips
    )


def overfit_detection(result: EvaluationResult, line: Line, line_t: float) -> AgentVerdict:
    """Whether later data agrees with earlier data, or proves the feature by itself (`later_part_proves`)."""
    positive = sum(f.mean > 0.0 for f in result.folds)
    oos_t = float(result.extra.get("oos_t", math.nan))
    fell = check("overfit_z", result.overfit_z, "<", line["max_overfit_z"], "(IS - OOS) in standard errors")
    gates = [
        replace(fell, passed=fell.passed or later_part_proves(result, oos_t, line_t)),
        check("oos_t", oos_t, ">", line["min_oos_t"]),
        check("positive_folds", positive, ">=", line["min_positive_folds"], f"of {len(result.folds)} purged folds"),
    ]
    tips = []
    if not gates[0].passed and result.overfit_z == result.overfit_z:
        tips.append(
            f"the score fell from {result.is_ic.value:.4f} to {result.oos_ic.value:.4f} (z {result.overfit_z:.1f}): "
            "use fewer windows and parameters"
        )
    elif result.score_t > 0.0 and not all(g.passed for g in gates):
        tips.append(
            f"positive in {positive} of {len(result.folds)} folds, out-of-sample t {oos_t:.1f}: "
            "the effect is not steady; look for a mechanism that lasts"
        )
    sides = f"in sample {result.is_ic.value:.4f}, out of sample {result.oos_ic.value:.4f} (t {oos_t:.2f})"
    words = f"{sides}, {positive} of {len(result.folds)} folds positive"
    return _verdict("overfit_detection", result, gates, oos_t / 5.0, words, tips)


def regime_robustness(result: EvaluationResult, line: Line, _: float) -> AgentVerdict:
    """Whether the worst regime could still be a good one that was unlucky; how far they differ is reported.

    The lowest of several figures is low by chance, so its line is drawn for their number. Cochran's Q is not asked:
    a feature of t 29 whose worst regime has t 11 "differs between regimes" and works in each of them.
    """
    if result.extra.get("empty"):
        return _verdict(
            "regime_robustness",
            result,
            [check("regime_t", math.nan, ">=", line["min_regime_t"])],
            0.0,
            "nothing to score",
            [],
        )
    figures = {n: e for n, e in result.ic_by_regime.items() if e.se > 0.0}
    if not figures:
        return _verdict("regime_robustness", result, [], 0.5, "no regime with 300 scored bars: not tested", [])
    worst = min(figures, key=lambda n: figures[n].value / figures[n].se)
    worst_t = figures[worst].value / figures[worst].se
    least = worst_of_several(line["min_regime_t"], len(figures))
    gates = [check("regime_t", worst_t, ">=", least, f"{worst}, the worst of {len(figures)}")]
    values = [e.value for e in figures.values()]
    tips = []
    if not all(g.passed for g in gates):
        tips.append(
            f"IC {figures[worst].value:.4f} in {worst} (t {worst_t:.1f}), {max(values):.4f} in the best regime: "
            "condition the feature on volatility, or scale it by volatility"
        )
    words = (
        f"IC from {min(values):.4f} to {max(values):.4f} over {len(figures)} regimes, worst t {worst_t:.2f} in {worst}"
    )
    if result.regime_q_p < line["min_regime_q_p"]:
        words += f"; they differ (Cochran's Q, p {p_text(result.regime_q_p)})"
    return _verdict("regime_robustness", result, gates, (worst_t - least) / 4.0, words, tips)


def worst_of_several(line: float, count: int) -> float:
    """The line for the lowest of `count` figures that one of them alone would pass with the same chance (Sidak 1967).

    Example:
        >>> worst_of_several(-1.64, 1), round(worst_of_several(-1.64, 24), 2)
        (-1.64, -2.85)
    """
    if count < 2:
        return line
    return float(ndtri(-math.expm1(math.log1p(-float(ndtr(line))) / count)))


class Agents(Mapping[str, Agent]):
    """The six agents by name, and those that plug-ins add; plug-ins are asked at the first look."""

    def __init__(self, own: Mapping[str, Agent]) -> None:
        self._own = dict(own)

    def _load(self) -> dict[str, Agent]:
        return self._own | {name: added.judge for name, added in plugin_agents(OWN_AGENTS).items()}

    def origin(self, name: str) -> str:
        """The package and version that brought an agent; empty for the six."""
        added = plugin_agents(OWN_AGENTS).get(name)
        return added.origin if added is not None else ""

    def __getitem__(self, name: str) -> Agent:
        return self._load()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())


AGENTS = Agents(
    {
        "predictive_power": predictive_power,
        "decay_analysis": decay_analysis,
        "trading_cost": trading_cost,
        "diversification": diversification,
        "overfit_detection": overfit_detection,
        "regime_robustness": regime_robustness,
    }
)
