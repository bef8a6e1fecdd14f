"""The words of a daily report: the sentences that come first, and what each plot says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from midas_engine.models import Severity
from midas_engine.stats.normal import Z90
from midas_engine.text import number, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from midas_engine.models import FeatureMetrics
    from midas_engine.monitor.daily.facts import DayFacts

NAMED = 3
# Fewer days say nothing of how far they vary.
LEAST_DAYS = 5
_ORDER = ("critical", "stale", "warning", "uncalibrated", "warming", "paused", "killed")

CAPTIONS = {
    "contribution": "Wide is before costs, narrow after. A bar that turns from right to left had its signal right and "
    "lost it to trading.",
    "evidence": "How far the test that a feature died is on its way to calling it; at the dashed line it calls, about "
    "once a year for one that is healthy. Above 80 % a bar has another colour: look there first.",
    "ic": "A line that falls towards zero is a feature dying. Lines nearer than the errors in the table are not told "
    "apart.",
}


def first_sentences(facts: DayFacts) -> str:
    """What fell or was raised, how many are healthy, what was earned against an ordinary day, which bars came."""
    ledger = facts.ledger
    if not ledger.bars:
        return "No bar of this day was seen: nothing is known of it."
    parts = [*_fell(facts), *_raised(facts), standing(facts.metrics), _earned(facts)]
    parts.append(
        f"{ledger.bars} bars came, {ledger.missing} {'is' if ledger.missing == 1 else 'are'} missing."
        if ledger.missing
        else f"{ledger.bars} bars came, none is missing."
    )
    return " ".join(part for part in parts if part)


def standing(metrics: Sequence[FeatureMetrics]) -> str:
    """How many are healthy, and what the rest is, the loudest first."""
    if not metrics:
        return "Nothing is watched."
    count: dict[str, int] = {}
    for m in metrics:
        count[m.status] = count.get(m.status, 0) + 1
    healthy = count.pop("healthy", 0)
    rest = sorted(count.items(), key=lambda kv: _ORDER.index(kv[0]) if kv[0] in _ORDER else len(_ORDER))
    last = max(m.at for m in metrics)
    told = "".join(f", {n} {state}" for state, n in rest)
    return f"After the bar of {last:%Y-%m-%d %H:%M} UTC {healthy or 'none'} of {len(metrics)} healthy{told}."


def earned(facts: DayFacts) -> str:
    """The day's money before and after costs, against the days before."""
    ledger = facts.ledger
    text = f"{number(ledger.net_bps, 1, sign=True)} bps after costs, {number(ledger.gross_bps, 1, sign=True)} before"
    days = len(facts.earlier)
    if days < LEAST_DAYS:
        return f"{text} (too few days before it to say what is ordinary)"
    mean = sum(facts.earlier) / days
    spread = math.sqrt(sum((x - mean) ** 2 for x in facts.earlier) / (days - 1))
    far = abs(ledger.net_bps - mean) > Z90 * spread
    word = "an unusual day" if far else "within what days vary"
    return f"{text}; {word}: the {days} days before made {number(mean, 1, sign=True)} ± {number(spread, 1)} each"


def right_and_losing(facts: DayFacts) -> list[str]:
    """Features whose 30-day IC is above zero beyond its error, and that lost money on the day, with the reason."""
    lines = []
    for m in facts.metrics:
        gross, net = facts.ledger.profit.get(m.feature, (0.0, 0.0))
        ic = m.ic_30d
        if net >= 0.0 or not ic.value - Z90 * ic.se > 0.0:
            continue
        why = "trading took more than it earned" if gross > 0.0 else "the day's large moves went against its ranks"
        figures = f"30-day IC {number(ic.value, 3, sign=True)} ± {number(ic.se, 3)}, {number(net, 1, sign=True)} bps"
        lines.append(f"{m.feature}: {figures}, {why}")
    return lines


def listed(names: Iterable[str]) -> str:
    """A few names, and how many more."""
    every = list(dict.fromkeys(one_line(name) for name in names))
    more = len(every) - NAMED
    shown = every[:NAMED]
    if more > 0:
        return f"{', '.join(shown)} and {more} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _fell(facts: DayFacts) -> list[str]:
    names = [r.feature for r in facts.kills]
    return [f"{listed(names)} {'was' if len(set(names)) == 1 else 'were'} killed."] if names else []


def _raised(facts: DayFacts) -> list[str]:
    alerts = facts.ledger.alerts.values()
    loud = [a for a in alerts if (a.worst or a.severity) is Severity.CRITICAL]
    soft = len(alerts) - len(loud)
    if not alerts:
        return ["No alert was raised." if facts.kills else "No alert was raised and nothing was killed."]
    causes = len({a.incident or a.id for a in alerts})
    parts = [f"{len(loud)} critical alert{'s' if len(loud) != 1 else ''}"] if loud else []
    parts += [f"{soft} warning{'s' if soft != 1 else ''}"] if soft else []
    first = min(loud or alerts, key=lambda a: (a.raised_at, a.id))
    shared = f" of {causes} cause{'s' if causes != 1 else ''}" if causes < len(alerts) else ""
    told = f"{' and '.join(parts)}{shared}"
    if len(alerts) > 1:
        told += "; the loudest" if soft and loud else "; the first"
    return [f"{told}, {first.raised_at:%H:%M}: {one_line(first.feature)}: {one_line(first.message)}."]


def _earned(facts: DayFacts) -> str:
    ledger = facts.ledger
    if not ledger.profit:
        return "What was earned is unknown."
    text = f"The features made {earned(facts)}"
    if ledger.gross_bps > 0.0 > ledger.net_bps:
        text += "; trading took more than they earned"
    ranked = sorted(ledger.profit.items(), key=lambda kv: (kv[1][1], kv[0]))
    if len(ranked) > 1:
        (worst, (_, low)), (best, (_, high)) = ranked[0], ranked[-1]
        text += f"; most by {one_line(best)} ({high:+.1f}), least by {one_line(worst)} ({low:+.1f})"
    return f"{text}."
