"""The plots of a day that has little to show: none warns, whatever is drawn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from midas_engine.monitor.daily.plots import day_plots

PNG = b"\x89PNG\r\n\x1a\n"
NAMES = [f"a_feature_with_a_name_of_forty_signs_{n:03d}" for n in range(8)]


def facts(moments: int, step: int, ics: float | None, profit: float) -> Any:
    """So many moments, `step` seconds apart."""
    at = np.datetime64("2026-01-05", "ns") + np.arange(moments) * np.timedelta64(step, "s")
    values = np.linspace(0.0, 0.1, moments) if ics is None else np.full(moments, ics)
    values[:-1:3] = np.nan
    metrics = [SimpleNamespace(feature=name, death_share=profit, evidence=1.0, gate=2.0) for name in NAMES]
    return SimpleNamespace(
        history={name: {"at": at, "ic_30d": values} for name in NAMES},
        metrics=metrics,
        ledger=SimpleNamespace(profit=dict.fromkeys(NAMES, (profit, profit))),
        day=np.datetime64("2026-01-05").item(),
    )


@pytest.mark.parametrize("ics", [None, 1e300])
@pytest.mark.parametrize(("moments", "step"), [(1, 3600), (2, 1), (3, 0), (60, 864_000)])
def test_a_plot_of_little_or_much_warns_of_nothing(
    moments: int, step: int, ics: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("midas_engine.monitor.daily.plots.share_of_gate", lambda m: m.death_share)
    for profit in (0.0,) if ics is None else (-1e12,):
        found = day_plots(facts(moments, step, ics, profit))
        assert set(found) == {"contribution", "evidence", "ic"}
        assert all(data.startswith(PNG) for data in found.values())
