"""The forward record of a feature in shadow: one line a bar in the journal, for as long as it runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.market.instants import as_utc

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from midas_engine.journal import Journal
    from midas_engine.monitor.figures.engine import MonitorEngine

    Floats = np.ndarray[Any, np.dtype[np.float64]]


Line = tuple[str, "datetime", dict[str, float]]
MOST_LINES = 20_000
"""Lines that wait for a journal that hangs; beyond them the oldest go."""


def shadow_lines(engine: MonitorEngine, shadow: Collection[str]) -> list[Line]:
    """What each of `shadow` did on the bar scored last: score, gross and net return (bps); without a score no line."""
    lines: list[Line] = []
    for name in sorted(shadow):
        row = engine.row(name)
        score = float(engine.scorer.u[row])
        if not math.isfinite(score):
            continue
        at = as_utc(engine.history_ring.at[engine.history_ring.position - 1])
        figures = {"score": score, "gross_bps": float(engine.book.gross[row]), "net_bps": float(engine.book.net[row])}
        known = {key: value for key, value in figures.items() if math.isfinite(value)}
        lines.append((name, at, known))
    return lines


def record_lines(journal: Journal, lines: list[Line]) -> None:
    """Write them; a bar that is there already, from before a restart, is not written twice. Blocking."""
    for name, at, figures in lines:
        journal.record_shadow(name, at, figures)


def forward_lines(journal: Journal, feature: str, since: datetime) -> list[tuple[datetime, float]]:
    """Time and score of each bar of a feature's record that came after `since`, oldest first."""
    rows = journal.shadow_record(feature, since=since)
    found = [(row.at, row.body.get("score")) for row in rows if row.at > since]
    return sorted((at, float(score)) for at, score in found if isinstance(score, int | float))


def record_between(
    journal: Journal, feature: str, since: datetime, until: datetime
) -> tuple[list[datetime], Floats, Floats]:
    """Times, scores and gross returns (bps) of a feature in shadow from `since` up to, not including, `until`."""
    rows = [row for row in journal.shadow_record(feature, since=since) if row.at < until]
    scores = np.array([float(row.body.get("score", math.nan)) for row in rows])
    gross = np.array([float(row.body.get("gross_bps", math.nan)) for row in rows])
    return [row.at for row in rows], scores, gross
