"""What a feature's document keeps of its sealed look: the evidence from which it may go on in shadow."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.models import FeatureRecord
    from midas_engine.stats.graduation import SealedEvidence


@dataclass(frozen=True, slots=True)
class SealedLook:
    """One look as the feature remembers it.

    Attributes:
        evidence: Its p, level and bars, with what the feature promises.
        until: Open time of the last bar that existed at the look: only later bars are forward evidence.
        hours_per_bar: Length of its bars.
    """

    evidence: SealedEvidence
    until: datetime
    hours_per_bar: float = 1.0

    @property
    def key(self) -> str:
        """Tells this look from another of the same feature."""
        return f"{self.until.isoformat()}:{self.evidence.p!r}:{self.evidence.level!r}"


def sealed_look(record: FeatureRecord) -> SealedLook | None:
    """The look of a feature; None where none was charged, or its document does not say what it found."""
    from midas_engine.stats.graduation import SealedEvidence

    kept: Mapping[str, Any] = record.metrics
    if changed_since_look(record):
        return None
    p, level, bars = (_number(kept.get(name)) for name in ("sealed_p", "sealed_level", "sealed_bars"))
    until = _moment(kept.get("sealed_until"))
    if until is None or not (0.0 <= p <= 1.0 and 0.0 < level < 1.0 and bars > 0):
        return None
    breadth = record.breadth
    evidence = SealedEvidence(
        p=p,
        level=level,
        bars=int(bars),
        promise=math.nan if record.expected_score is None else record.expected_score,
        variance=1.0 / breadth if breadth is not None and breadth > 0.0 else math.nan,
        research_t=_or_zero(kept.get("score_t")),
        research_bars=int(_or_zero(kept.get("bars_scored"))),
    )
    return SealedLook(evidence, until, _or_zero(kept.get("sealed_hours_per_bar")) or 1.0)


def sealed_figures(
    p: float, level: float, bars: int, until: datetime | str, hours_per_bar: float = 1.0
) -> dict[str, Any]:
    """What `sealed_look` reads, to be kept among the figures of a candidate; nothing where `until` is no time."""
    moment = _moment(until)
    if moment is None:
        return {}
    return {
        "sealed_p": p,
        "sealed_level": level,
        "sealed_bars": bars,
        "sealed_until": moment.isoformat(),
        "sealed_hours_per_bar": hours_per_bar,
    }


def text_mark(expression: str) -> str:
    """A short mark of the text that was looked at: another text has had no look."""
    return hashlib.sha256(" ".join(expression.split()).encode()).hexdigest()[:16]


def changed_since_look(record: FeatureRecord) -> bool:
    """Whether a feature's text is not the one that its sealed look was of."""
    mark = record.metrics.get("sealed_of")
    return mark is not None and mark != text_mark(record.expression)


def _number(value: object) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if known and isinstance(value, int | float) else math.nan


def _or_zero(value: object) -> float:
    found = _number(value)
    return found if math.isfinite(found) else 0.0


def _moment(value: object) -> datetime | None:
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo is not None else found.replace(tzinfo=UTC)
