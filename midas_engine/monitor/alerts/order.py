"""In which order alerts are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.models import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from midas_engine.models import Alert

_ORDER = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


def loudest_first(alerts: Iterable[Alert]) -> list[Alert]:
    """Running episodes, loudest and newest first."""
    running = [a for a in alerts if a.active]
    return sorted(running, key=lambda a: (_ORDER[a.severity], -a.last_seen_at.timestamp(), a.feature))
