"""A small market and a filled knowledge base on disk, for tests of the terminal and the runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from helpers_kb import record
from midas_engine.journal import Journal
from midas_engine.kb import KnowledgeBase
from midas_engine.promoter import FeaturePromoter

if TYPE_CHECKING:
    from pathlib import Path

FEATURES = {
    "reversal_1h": "-cs_zscore(returns(close, 1))",
    "momentum_24h": "cs_zscore(returns(close, 24))",
    "range_position": "-cs_zscore((close - low) / (high - low))",
}


def write_market(folder: Path, days: int = 45) -> Path:
    """A small panel on disk: eight symbols, hourly."""
    from midas_engine.market import Panel, load_panel

    whole = load_panel("sample")
    kept = slice(whole.T - 24 * days, whole.T)
    columns = list(range(8))
    fields = {name: values[kept][:, columns] for name, values in whole.fields.items()}
    panel = Panel(whole.timestamps[kept], tuple(whole.symbols[c] for c in columns), fields, whole.bar_seconds)
    path = folder / "market.parquet"
    panel.save(path)
    return path


def fill_base(path: Path) -> KnowledgeBase:
    """Candidates, one in shadow, two deployed, two archived."""
    kb = KnowledgeBase(path)
    journal = Journal(kb.journal_path)
    promoter = FeaturePromoter(kb, journal)

    def add(name: str, expression: str, **changes: Any) -> None:
        promoter.save_candidate(record(name, expression=expression, **changes))

    for name, expression in list(FEATURES.items())[:2]:
        add(name, expression, expected_score=0.01, breadth=5.0)
        promoter.promote(name)
    add("range_position", FEATURES["range_position"], expected_score=0.01, breadth=5.0)
    promoter.shadow("range_position")
    add("volume_shock", "cs_zscore(ts_zscore(log(volume), 168))", expected_score=None, breadth=None)
    add(
        "carry_slow",
        "cs_zscore(ts_mean(close, 72))",
        metrics={"rank_ic": 0.012, "score_t": 1.4, "overall_pass": False, "failed_agents": "trading_cost"},
    )
    add("old_carry", "cs_rank(close)")
    promoter.promote("old_carry")
    promoter.kill("old_carry", "the sign flipped")
    add("weak", "cs_rank(volume)")
    promoter.reject("weak", "noise")
    promoter.close()
    journal.close()
    return kb
