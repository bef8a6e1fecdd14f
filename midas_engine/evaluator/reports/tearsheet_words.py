"""The words of a tear sheet: the sentence first, figures in groups with their units, what each plot says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.stats.normal import Z90
from midas_engine.text import number, p_text, with_capital

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Figure of the evaluation, what it is called, its unit.
GROUPS: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    ("Skill", (
        ("rank_ic", "rank IC", ""), ("score_t", "t of the score", ""), ("score_p", "p of the score", ""),
        ("score", "score a bar", ""), ("ic", "IC", ""), ("ir", "IC over its spread, a year", ""),
        ("smallest_detectable_ic", "smallest IC this sample can tell from zero", ""),
    )),
    ("Money", (
        ("net_bps", "net of costs", "bps a bar"), ("gross_bps", "before costs", "bps a bar"),
        ("net_bps_per_trade", "net, of what is traded", "bps"), ("turnover", "turnover", "of the book a bar"),
        ("cost_bps", "cost", "bps one way"), ("break_even_ic", "IC that would pay the costs", ""),
        ("effective_ic", "IC after costs", ""),
    )),
    ("Does it last", (
        ("half_life_hours", "half-life", "h"), ("is_ic", "IC of the earlier folds", ""),
        ("oos_ic", "IC of the later folds", ""), ("overfit_z", "later against earlier, z", ""),
        ("overfit_ratio", "later over earlier", ""), ("regime_q_p", "p that regimes differ by chance", ""),
    )),
    ("Beside the book", (
        ("max_correlation", "largest correlation", ""), ("marginal_ic", "IC that the book lacks", ""),
        ("marginal_t", "t of it", ""),
    )),
    ("Over what", (
        ("bars_scored", "bars scored", ""), ("symbols", "symbols", ""),
        ("effective_breadth", "independent symbols", ""), ("coverage", "cells known", "%"),
        ("horizon_bars", "bars ahead", ""), ("bars_per_year", "bars a year", ""),
        ("composite_score", "composite of the checks", "of 1"),
    )),
)  # fmt: skip
CAPTIONS = {
    "cumulative score": "The score added up. Inside the band it is what no skill gives nine times in ten.",
    "net equity": "What the book of its ranks earned at unit gross. Net falls, gross rises: trading eats it.",
    "score by fold": "The same score in stretches of time. One that carries all is luck, or a market gone.",
    "score by regime": "The score by how much the market moved. What works in one of them stops when that one ends.",
    "decay": "The score against single bars further ahead. It says how long a position is worth holding.",
    "returns by quantile": "Mean return after low and after high values. A slope holds it up; one high bar does not.",
    "turnover": "How much of the book is traded a bar: what costs are multiplied by.",
    "correlation with the live book": "How much of it is there already. Near one it adds risk and no return.",
    "coverage": "The share of cells with a value. Where it falls the figures rest on fewer symbols.",
}


def first_sentences(figures: Mapping[str, Any]) -> str:
    """How it ended, what it knows, what it earns; and where those two point in opposite directions, that."""
    verdict = figures["verdict"]
    evaluation = verdict["evaluation"]
    outcome = "Accepted." if verdict["overall_pass"] else f"Refused by {_listed(verdict['failed_agents'])}."
    ic, net = evaluation["rank_ic"], evaluation.get("net_bps")
    known = f"Rank IC {number(ic['value'], 4, sign=True)} [{number(ic['low'], 4)}, {number(ic['high'], 4)}]"
    earned, word = "what it earns after costs is unknown", ""
    if net is not None:
        word, interval = _pays(net, (evaluation.get("extra") or {}).get("net"))
        earned = f"{number(net, 2, sign=True)} bps a bar after costs{interval}: {word}"
    told = [outcome, f"{known}; {earned}."]
    if ic["value"] is not None and net is not None and ic["value"] > 0.0 > net:
        gross = evaluation.get("gross_bps")
        why = "trading costs more than the ranks earn"
        if gross is not None and gross < 0.0:
            why = "the ranks are right more often, and the large moves go against them"
        told.append(f"A positive IC that loses money: {why}.")
    return " ".join(told)


def _pays(net: float, given: Any) -> tuple[str, str]:
    error = given.get("se") if isinstance(given, dict) else None
    if error is None:
        return "its error is unknown", ""
    low, high = net - Z90 * error, net + Z90 * error
    word = "it pays" if low > 0.0 else "it loses" if high < 0.0 else "undecided"
    return word, f" [{number(low, 2)}, {number(high, 2)}]"


def _listed(names: list[str]) -> str:
    words = [name.replace("_", " ") for name in names] or ["its gates"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def groups(evaluation: Mapping[str, Any], *, deployed: bool = True) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A heading and its (name, value with interval and unit) rows; what belongs to no group comes last.

    Args:
        evaluation: Of the verdict.
        deployed: Whether there is a book beside which it could stand.
    """
    evaluation = _with_what_is_known(evaluation)
    named = {key for _, keys in GROUPS for key, _, _ in keys}
    other = tuple((key, key.replace("_", " "), "") for key in evaluation if key not in named)
    for heading, keys in (*GROUPS, ("Else", other)):
        told = [
            (name, p_text(evaluation.get(key), unknown="") if key.endswith("_p") else _shown(evaluation.get(key)), unit)
            for key, name, unit in keys
        ]
        rows = [
            (name, shown if shown == "unknown" else f"{shown} {unit}".strip()) for name, shown, unit in told if shown
        ]
        if heading == "Beside the book" and not deployed:
            rows = [("nothing is deployed", "it would be the only member")]
        if rows:
            yield heading, rows


def _with_what_is_known(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Net with its interval, shares in percent, and no half-life where the curve does not tell one."""
    found = dict(evaluation)
    net, error = found.get("net_bps"), ((found.get("extra") or {}).get("net") or {}).get("se")
    if net is not None and error is not None:
        found["net_bps"] = {"value": net, "low": net - Z90 * error, "high": net + Z90 * error}
    if isinstance(found.get("coverage"), int | float):
        found["coverage"] *= 100.0
    if not found.get("half_life_known", True) and "half_life_hours" in found:
        found["half_life_hours"] = {"value": None, "low": None, "high": None}
    return found


def reasons(text: str) -> Iterator[tuple[str, list[str]]]:
    """An explanation in three lists: what it was refused by, what the figures say, what would help.

    Args:
        text: As `Explanation.text` writes it: gates are lines of `check: gate value, needs ...`.
    """
    lines = [line.strip() for line in text.splitlines()[1:]]
    gates = [_in_words(line) for line in lines if ", needs " in line]
    tips = [with_capital(line.removeprefix("- ")) for line in lines if line.startswith("- ")]
    facts = [with_capital(line) for line in lines if ", needs " not in line and not line.startswith("- ")]
    for heading, found in (("Refused by", gates), ("What the figures say", facts), ("What would help", tips)):
        if found:
            yield heading, found


def _in_words(line: str) -> str:
    """A missed gate with the words of the figures above instead of the names of settings."""
    check, _, rest = line.partition(": ")
    gate, _, more = rest.partition(" ")
    named = {key: name for _, keys in GROUPS for key, name, _ in keys}
    return f"{check.replace('_', ' ')}: {named.get(gate, gate.replace('_', ' '))} {more}"


def _shown(value: Any) -> str:
    """Empty for what is no figure; a figure that is not known says so."""
    if isinstance(value, dict) and {"value", "low", "high"} <= set(value):
        if value["value"] is None:
            return "unknown"
        return f"{_text(value['value'])} [{_text(value['low'])}, {_text(value['high'])}]"
    return _text(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _text(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if abs(value) >= 1000.0 else f"{value:.3g}"
