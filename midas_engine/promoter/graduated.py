"""What a feature that fell short at its sealed look, or is undecided on costs, still lacks before it may be promoted.

Graduation is a fact that the monitor wrote into the journal; nothing here grants it.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.evaluator.trials.sealed_evidence import changed_since_look, sealed_look
from midas_engine.stats.graduation import CONFIRMED, GraduationBank, forward_alone, look_line
from midas_engine.stats.hac import hac_lag, hac_mean
from midas_engine.stats.normal import Z90
from midas_engine.text import number, p_text

if TYPE_CHECKING:
    from datetime import datetime

    from midas_engine.evaluator.trials.sealed_evidence import SealedLook
    from midas_engine.journal import Journal
    from midas_engine.models import FeatureRecord, FeatureState
    from midas_engine.stats.graduation import GraduationOutlook

GRADUATED, DENIED = "graduated", "denied"
"""Actions in the journal: sealed and forward evidence crossed the line; the forward scores deny the promise."""
_LEAST_NET_BARS = 240


@dataclass(frozen=True, slots=True)
class Graduation:
    """How far a feature that fell short at its look is.

    Attributes:
        look: What it goes on from.
        graduated: The journal says that it crossed the line.
        denied: The journal says that its forward scores deny its promise.
        bars: Forward bars in its record.
        outlook: How far it is, from the record.
    """

    look: SealedLook
    graduated: bool
    denied: bool
    bars: int
    outlook: GraduationOutlook | None

    @property
    def words(self) -> str:
        """One line: what it has, what it needs, when that is expected."""
        if self.graduated:
            return f"graduated after {self.bars} forward bars"
        told = self.outlook
        if told is None:
            return "its look left nothing to go on from"
        gathered = f"ln e {number(told.log_e, 1)} of {number(told.line, 1)} after {self.bars} forward bars"
        if self.denied:
            return f"{gathered}; its forward scores deny what it promised: reject it"
        return f"{gathered}, {days_words(told, self.look.hours_per_bar / 24.0)}"


def days_words(told: GraduationOutlook, bar_days: float) -> str:
    """When it is expected: `about 40 days more [12, never]`."""
    if told.bars_to_go == 0.0:
        return "graduated"
    middle, low, high = (_days(bars * bar_days) for bars in (told.bars_to_go, told.low, told.high))
    if math.isinf(told.bars_to_go):
        return f"not expected at the score seen so far [{low}, {high}] days"
    return f"about {middle} days more [{low}, {high}]"


def _days(value: float) -> str:
    return "never" if value > 36_500 else f"{value:.0f}" if value >= 1 else "1"


def outcome_id(action: str, name: str, look: SealedLook) -> str:
    """The journal's id of a decision: written twice is written once."""
    return f"{action}-{hashlib.sha256(f'{name}|{look.key}'.encode()).hexdigest()[:20]}"


def graduation(record: FeatureRecord, journal: Journal | None) -> Graduation | None:
    """How far a feature is that fell short at its look; None for one that reached its line, or had no look."""
    look = sealed_look(record)
    if look is None or look.evidence.promoted:
        return None
    found: set[str] = set()
    if journal is not None:
        # The text must be the one that was watched: a changed expression has shown nothing.
        found = {
            a.action
            for a in journal.actions(feature=record.name)
            if a.actor == "monitor" and a.body.get("look") == look.key and a.body.get("expression") == record.expression
        }
    scores = graduation_record(journal, record.name, look.until)
    bank = GraduationBank([look.evidence])
    for _, score in scores:
        bank.update(np.array([score]))
    return Graduation(look, GRADUATED in found, DENIED in found, len(scores), bank.outlook(0))


def awaited(record: FeatureRecord, journal: Journal | None, action: str = "promote") -> tuple[str, ...]:
    """What keeps a feature from standing alone in the book although its research gates hold, in words.

    A feature that fell short of the lifetime's line at its sealed look waits for the monitor's record that it
    graduated. One whose net of costs is undecided waits for its forward record to decide it, and one that reads a
    column that nobody vouches for until that record alone speaks for it. A feature that was live before is not asked,
    and one that is to go to the book only the last: it has a sealed look of its own there.
    """
    if any(entry.get("to") == "deployed" for entry in record.history):
        return ()
    alone = () if action == "book" else (_short(record, journal), _undecided(record, journal))
    found = (*alone, _unproven(record, journal))
    return tuple(words for words in found if words)


def _short(record: FeatureRecord, journal: Journal | None) -> str:
    if changed_since_look(record):
        return "its sealed look was of another text: discover it anew"
    found = graduation(record, journal)
    if found is None or found.graduated:
        return ""
    evidence = found.look.evidence
    line = f"short of the lifetime's line: sealed p {p_text(evidence.p)}, needed {look_line(evidence.level):.2g}"
    if not evidence.sound:
        return f"{line}; too weak to go on in shadow"
    return f"{line}; {_where(record.state)}{found.words}"


def _where(state: FeatureState) -> str:
    return "" if state.value == "shadow" else "run it in shadow: "


def _undecided(record: FeatureRecord, journal: Journal | None) -> str:
    """Why its net of costs is undecided: research and forward bars together, by their 90 % interval."""
    value, error, bars = (_figure(record, key) for key in ("net_bps", "net_se", "bars_scored"))
    if not (error > 0.0 and math.isfinite(value)):
        return ""
    weight, mean = error**-2, value
    if journal is not None:
        look = sealed_look(record)
        rows = journal.shadow_record(record.name, since=None if look is None else look.until)
        net = np.array([float(r.body["net_bps"]) for r in rows if isinstance(r.body.get("net_bps"), int | float)])
        if len(net) >= _LEAST_NET_BARS:
            forward, se, _ = hac_mean(net, hac_lag(1))
            if se > 0.0:
                mean = (weight * mean + forward / se**2) / (weight + se**-2)
                weight, bars = weight + se**-2, bars + len(net)
    se = weight**-0.5
    if mean - Z90 * se > 0.0:
        return ""
    words = f"undecided on costs: net {number(mean, 3, sign=True)} ± {number(se, 3)} bps a bar"
    more = bars * ((Z90 * se / mean) ** 2 - 1.0) if mean > 0.0 and bars > 0 else math.inf
    tell = f"about {more:,.0f} more bars would tell" if more < 1e7 else "no number of bars at this mean would tell"
    return f"{words}, {tell}; to shadow only until then"


def _unproven(record: FeatureRecord, journal: Journal | None) -> str:
    """Why its columns are not proven: no bar of the past can show that a column did not know it."""
    columns = record.metrics.get("unproven")
    if not columns:
        return ""
    look = sealed_look(record)
    since = look.until if look is not None else record.created_at
    found = graduation_record(journal, record.name, since) if since is not None else []
    e = forward_alone(np.array([score for _, score in found]))
    if e >= CONFIRMED:
        return ""
    gathered = f"ln e {number(e, 1)} of {number(CONFIRMED, 1)} after {len(found)} forward bars"
    return (
        f"it reads {columns}, which came from a file and may know the future: to shadow only until its own forward "
        f"record confirms it ({gathered})"
    )


def graduation_record(journal: Journal | None, name: str, since: datetime) -> list[tuple[float, float]]:
    """Time and score of each bar in a feature's shadow record after `since`, oldest first."""
    rows = [] if journal is None else journal.shadow_record(name, since=since)
    found = [(row.at.timestamp(), row.body.get("score")) for row in rows if row.at > since]
    return sorted((at, float(score)) for at, score in found if isinstance(score, int | float))


def _figure(record: FeatureRecord, key: str) -> float:
    value = record.metrics.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
