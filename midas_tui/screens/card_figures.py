"""What a feature was judged on: a block a stretch of time, each figure with its error and how it stands."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from midas_engine.text import KEPT_P, p_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Line = tuple[str, str, str]  # label, value, role

# Prefix of the figures, and what the stretch is called. Documents of the three-part time have the middle two.
PARTS = (("", "research"), ("confirmation_", "confirmation"), ("holdout_", "holdout"), ("sealed_", "sealed"))
_OF_A_PART = ("rank_ic", "rank_ic_se", "score_t", "net_bps", "net_se", "bars_scored", "effective_breadth")
_CONFIDENT = 1.645  # both ends of a 90 % interval
# Names as people say them, with their unit, for the list of everything.
_SAID = {
    "half_life_hours": ("half-life", "h"),
    "turnover": ("turnover", "of the book a bar"),
    "score_p": ("p of the score", ""),
    "ir": ("IC over its spread", ""),
    "max_correlation": ("largest correlation", ""),
    "marginal_ic": ("IC beside the book", ""),
    "oos_ic": ("IC of later folds", ""),
    "effective_ic": ("IC after its decay", ""),
    "net_bps": ("net", "bps a bar"),
    "net_se": ("net, error", "bps a bar"),
    "rank_ic": ("rank IC", ""),
    "rank_ic_se": ("rank IC, error", ""),
    "score_t": ("t", ""),
    "bars_scored": ("bars", ""),
    "effective_breadth": ("breadth", "independent symbols"),
    "line_t": ("line of t", ""),
}


def three(value: float) -> str:
    """Three digits that say something, thousands apart.

    Example:
        >>> three(0.0216734), three(4096.0), three(5859), three(0.00014372), three(float("nan"))
        ('0.0217', '4,096', '5,859', '0.000144', '--')
    """
    if not math.isfinite(value):
        return "--"
    if value == int(value) and abs(value) < 1e12:
        return f"{int(value):,}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 12)}f}"


def blocks(metrics: Mapping[str, Any]) -> Iterator[tuple[str, list[Line]]]:
    """A title and its lines for each stretch of time that figures are known of."""
    line_t = _number(metrics, "line_t")
    for prefix, title in PARTS:
        known = {key: _number(metrics, prefix + key) for key in _OF_A_PART}
        lines = [*_lines(known, line_t if not prefix else math.nan)]
        if prefix == "sealed_":
            lines += _look(metrics)
        if lines:
            yield title, lines


def _lines(known: Mapping[str, float], line_t: float) -> Iterator[Line]:
    if math.isfinite(known["rank_ic"]):
        yield "rank IC", _with_error(known["rank_ic"], known["rank_ic_se"]), ""
    if math.isfinite(t := known["score_t"]):
        over = not t < line_t
        against = f" against {line_t:.2f}: {'over' if over else 'short of'} it" if math.isfinite(line_t) else ""
        yield "t", f"{t:+.2f}{against}", "" if not against else "ok" if over else "warn"
    if math.isfinite(net := known["net_bps"]):
        verdict, role = _pays(net, known["net_se"])
        yield "net", f"{_with_error(net, known['net_se'])} bps a bar, {verdict}", role
    wide = [(known["bars_scored"], "bars"), (known["effective_breadth"], "independent symbols")]
    if sized := [f"{three(round(value, 1))} {what}" for value, what in wide if math.isfinite(value)]:
        yield "over", ", ".join(sized), "muted"


def _pays(net: float, error: float) -> tuple[str, str]:
    if not math.isfinite(error):
        return "error unknown", "warn"
    if net - _CONFIDENT * error > 0.0:
        return "pays", "ok"
    return ("loses", "crit") if net + _CONFIDENT * error < 0.0 else ("undecided", "muted")


def _look(metrics: Mapping[str, Any]) -> Iterator[Line]:
    if isinstance(held := metrics.get("sealed_passed"), bool):
        number = _number(metrics, "sealed_look")
        which = f"look {number:.0f} " if math.isfinite(number) else ""
        yield "opened", f"{which}{'held' if held else 'did not hold'}", "ok" if held else "warn"


def agents(metrics: Mapping[str, Any]) -> Iterator[Line]:
    """Which checks passed."""
    passed, failed = (
        [n.strip() for n in str(metrics.get(key, "")).split(",") if n.strip()]
        for key in ("passed_agents", "failed_agents")
    )
    if passed or failed:
        missed = f"; missed {', '.join(failed)}" if failed else ""
        yield "checks", f"{len(passed)} of {len(passed) + len(failed)}{missed}", "warn" if failed else "ok"


def rest(metrics: Mapping[str, Any]) -> Iterator[Line]:
    """Every figure that no block shows, in words."""
    shown = {prefix + key for prefix, _ in PARTS for key in _OF_A_PART}
    shown |= {"line_t", "passed_agents", "failed_agents", "sealed_passed", "sealed_look"}
    for key, value in metrics.items():
        if key in shown or not isinstance(value, str | int | float):
            continue
        prefix, title = next(((p, t) for p, t in PARTS[1:] if key.startswith(p)), ("", ""))
        said, unit = _SAID.get(key.removeprefix(prefix), (key.removeprefix(prefix).replace("_", " "), ""))
        label = f"{title} {said}".strip()
        if isinstance(value, bool):
            yield label, "yes" if value else "no", "" if value else "warn"
        elif key.endswith("_p"):
            yield label, p_text(value, unknown="--", least=KEPT_P), ""
        elif isinstance(value, int | float):
            yield label, f"{three(float(value))} {unit}".strip(), ""
        else:
            yield label, value, ""


def _with_error(value: float, error: float) -> str:
    """Value and error to the same decimals: three digits of the error's size."""
    if not math.isfinite(error) or error <= 0.0:
        return f"{value:+.3g} ±?"
    digits = min(12, max(0, 1 - math.floor(math.log10(error))))
    return f"{value:+,.{digits}f} ±{error:,.{digits}f}"


def _number(metrics: Mapping[str, Any], key: str) -> float:
    value = metrics.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
