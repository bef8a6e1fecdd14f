"""The rows of Live's feature table: its columns, what they hold, and in which orders they are sorted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from midas_engine.sentence import share_of_gate
from midas_tui.formats import days, evidence_bar, number, sparkline, stretches, with_error
from midas_tui.screens.live_detail import (
    IC_WARNING,
    SLIPPAGE_CRITICAL,
    SLIPPAGE_WARNING,
    evidence_role,
    graded,
    times,
)
from midas_tui.theme import role_of
from midas_tui.widgets.columns import Cell, Column

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from midas_engine.models import FeatureMetrics
    from midas_tui.runtime_protocol import Portfolio
    from midas_tui.theme import Glyphs

EVIDENCE_CELLS = 11
# IC moves by so much from chance alone within hours: less is drawn flat.
SPARK_LEAST = 0.04
SPARK_CELLS = 8
FEATURE_COLUMNS = (
    Column("sign", "", 1),
    Column("name", "feature", 23, right=False, grow=True, most=40),
    Column("evidence", "evidence of death", EVIDENCE_CELLS + 6, 1, right=False),
    Column("ic5d", "ic 5d ±se", 11, 1),
    Column("ic30d", "ic 30d ±se", 11, 2),
    Column("bps", "net bps/d", 9, 2),
    Column("slip", "slip", 6, 3),
    Column("detect", "noticed in", 10, 4),
    Column("ratio", "5d/30d", 6, 6),
    Column("spark", "ic 5d", SPARK_CELLS, 5),
)
SEVERITY = {
    "killed": 0, "critical": 1, "warning": 2, "stale": 3, "uncalibrated": 4, "warming": 5, "healthy": 6, "paused": 7,
}  # fmt: skip


def _low(value: float) -> float:
    return value if math.isfinite(value) else -1e9


def _high(value: float) -> float:
    return value if math.isfinite(value) else 1e9


# What each sort order puts first; names settle ties, so that rows do not dance.
ORDER: dict[str, Callable[[FeatureMetrics], tuple[float | str, str]]] = {
    "severity": lambda m: (SEVERITY.get(m.status, 5), m.feature),
    "name": lambda m: (m.feature, m.feature),
    "evidence": lambda m: (-_low(share_of_gate(m)), m.feature),
    "ic5d": lambda m: (-_low(m.ic_5d.value), m.feature),
    "ratio": lambda m: (_high(m.ic_ratio), m.feature),
    "slip": lambda m: (-_low(m.slippage_ratio), m.feature),
    "bps": lambda m: (_high(m.pnl_net_1d_bps), m.feature),
}
SORTS = tuple(ORDER)
# The heading that stands for each order, and whether its largest come first.
SORT_HEADINGS = {
    "severity": ("sign", True), "name": ("name", False), "evidence": ("evidence", True), "ic5d": ("ic5d", True),
    "ratio": ("ratio", False), "slip": ("slip", True), "bps": ("bps", False),
}  # fmt: skip


def portfolio_words(found: Portfolio | None) -> str:
    """How far the evidence is that all features together are dead; empty where that is not known."""
    if found is None or not math.isfinite(found.log_s):
        return ""
    if found.log_s >= found.threshold:
        return f"all {found.features} together: the test CALLS"
    return f'all {found.features} together: {max(0.0, found.log_s / found.threshold):.0%} of the way to "dead"'


def spark_words(values: Sequence[float], glyphs: Glyphs) -> str:
    """The line of these values; one alone is no line, and is not drawn as one.

    Example:
        >>> from midas_tui.theme import ASCII
        >>> spark_words([0.01 * i for i in range(120)], ASCII), spark_words([0.02], ASCII)
        ('_.-=+*#@', '--')
    """
    if sum(math.isfinite(v) for v in values) < 2:
        return "--"
    return sparkline(stretches(values, SPARK_CELLS), SPARK_CELLS, glyphs, least=SPARK_LEAST)


def feature_cells(
    m: FeatureMetrics, spark: Sequence[float], glyphs: Glyphs, *, shadow: bool, called: bool = False
) -> dict[str, Cell]:
    """The cells of `FEATURE_COLUMNS`.

    Args:
        m: Figures after the last bar.
        spark: The 5-day IC over the last bars.
        glyphs: Signs the terminal can show.
        shadow: It runs in shadow.
        called: Its test called its death and runs anew: the bar stays full until that is taken back.
    """
    # The ratio of two ICs starts nothing: a secondary mark, never red. The test's evidence is the loud one.
    ratio_role = "warn" if math.isfinite(m.ic_ratio) and m.ic_ratio < IC_WARNING else "muted"
    slip_role = graded(-m.slippage_ratio, -SLIPPAGE_WARNING, -SLIPPAGE_CRITICAL)
    share = share_of_gate(m)
    told = f"{evidence_bar(share, EVIDENCE_CELLS, glyphs)} {min(share, 9.99):>5.0%}" if math.isfinite(share) else ""
    evidence = (told, evidence_role(m.decay_log_s, m.decay_threshold)) if told else ("no promise", "muted")
    if m.status == "killed":
        evidence = ("killed", "muted")
    elif called:
        evidence = (f"{evidence_bar(1.0, EVIDENCE_CELLS - 1, glyphs)} called", "crit")
    name_role = "muted" if shadow or m.status in ("paused", "killed") else ""
    notice = f"{days(m.days_to_detect_drop)}/{days(m.days_to_detect_flip)}".replace("d", "") + "d"
    return {
        "sign": (glyphs.status(m.status), role_of(m.status)),
        "name": (m.feature + (" (shadow)" if shadow else ""), name_role),
        "evidence": evidence,
        "ic5d": (with_error(m.ic_5d), ""),
        "ic30d": (with_error(m.ic_30d), ""),
        "ratio": (number(m.ic_ratio, 2, signed=False), ratio_role),
        "slip": (times(m.slippage_ratio), slip_role),
        "bps": (number(m.pnl_net_1d_bps, 1), "warn" if m.pnl_net_1d_bps < -50 else ""),
        "detect": (notice if m.expected_score is not None else "--", "muted"),
        "spark": (spark_words(spark, glyphs), "muted"),
    }
