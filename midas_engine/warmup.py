"""Every numeric kernel compiled into the cache on disk, by walking the real paths once on small data."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Progress = Callable[[int, int, str], None]

# Long enough for five folds with their embargoes, a half-life over 48 bars and the slowest regime window.
_BARS = 2400
_EXPRESSION = "-delta(close, 4)"
_DEPLOYED = "ts_zscore(volume, 24)"


def warm_everything(progress: Progress | None = None) -> int:
    """Compile what a first verdict and a first bar would otherwise wait for, or load it from the cache.

    Args:
        progress: Called with (done, total, what) before each step and once at the end.

    Returns:
        How many steps there were: the kernels of the language, the two layouts of the evaluator, the monitor.
    """
    from midas_engine.dsl.warm import warm_kernels

    rest: dict[str, Callable[[], None]] = {
        "verdict on a panel": lambda: _verdict(12),
        "verdict on one series": lambda: _verdict(1),
        "monitor on a panel": lambda: _bars(12),
        "monitor on one series": lambda: _bars(1),
    }
    kernels = 0

    def shifted(done: int, total: int, name: str) -> None:
        nonlocal kernels
        kernels = total
        if progress is not None:
            progress(done, total + len(rest), name)

    kernels = warm_kernels(shifted)
    for i, (name, step) in enumerate(rest.items()):
        if progress is not None:
            progress(kernels + i, kernels + len(rest), name)
        step()
    if progress is not None:
        progress(kernels + len(rest), kernels + len(rest), "")
    return kernels + len(rest)


def _verdict(symbols: int) -> None:
    from midas_engine.dsl import FeatureEngine
    from midas_engine.evaluator import EvaluationContext, evaluate_values, judge
    from midas_engine.market import SyntheticMarket, regime_labels

    panel = SyntheticMarket(0, bars=_BARS, symbols=max(symbols, 2)).panel()
    if symbols == 1:
        panel = panel.select(symbols=panel.symbols[:1])
    engine = FeatureEngine(panel)
    context = EvaluationContext.from_panel(
        panel, existing={"deployed": engine.values(_DEPLOYED)}, regimes=regime_labels(panel)
    )
    judge(evaluate_values(engine.values(_EXPRESSION), context))


def _bars(symbols: int) -> None:
    import numpy as np

    from midas_engine.monitor import MonitorEngine

    engine = MonitorEngine(["a", "b"], symbols=symbols)
    rng = np.random.default_rng(0)
    start = np.datetime64("2025-01-01", "h")
    for hour in range(60):
        values = rng.normal(size=(2, symbols))
        engine.observe(values)
        engine.update(start + hour, values, rng.normal(size=symbols))
    engine.columns()
    engine.restore(engine.state())
