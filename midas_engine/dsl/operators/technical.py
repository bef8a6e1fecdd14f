"""Technical indicators, defined by what they expand to.

Each reaches back a known number of bars, so that a feature does not depend on where the data starts:
`rsi` and `atr` use plain means (Cutler's form of the RSI), `obv` is a sum over n bars and not since the
beginning of time.
"""

from __future__ import annotations

from midas_engine.dsl.operators.weighted import ema_memory
from midas_engine.dsl.registry import Operator, Params, number, register, series, window


def _span(params: Params) -> int:
    return int(params[0])


def _window(params: Params) -> int:
    return int(params[0]) - 1


def _macd_memory(params: Params) -> int:
    return max(ema_memory(int(params[0])), ema_memory(int(params[1]))) + ema_memory(int(params[2]))


register(
    Operator("rsi", "technical", (series(), window(default=14)),
             "Relative strength, 0 to 100, from plain means of gains and losses over n bars; NaN when flat.",
             "rsi(close, 14)", "pure", memory=_span, scale="free", shift_free=True,
             expand="100 * ts_mean(max(delta(x, 1), 0), n) / (ts_mean(max(delta(x, 1), 0), n)"
                    " + ts_mean(max(-delta(x, 1), 0), n))")
)  # fmt: skip
register(
    Operator("macd", "technical", (series(), window("fast", 12), window("slow", 26), window("signal", 9)),
             "MACD histogram: (ema fast - ema slow) minus its own ema over signal bars.",
             "macd(close, 12, 26, 9) / close", "first", memory=_macd_memory, recursive=True, scale="out", odd=True,
             shift_free=True, expand="(ema(x, fast) - ema(x, slow)) - ema(ema(x, fast) - ema(x, slow), signal)")
)  # fmt: skip
register(
    Operator("bbands_pct", "technical", (series(), window(default=20, low=2), number("k", 2.0, 0.01, 100.0)),
             "Place inside the Bollinger bands of k deviations: 0 at the lower, 1 at the upper.",
             "bbands_pct(close, 20, 2)", "pure", memory=_window, scale="free", shift_free=True,
             expand="0.5 + ts_zscore(x, n) / (2 * k)")
)  # fmt: skip
register(
    Operator("atr", "technical", (series("high"), series("low"), series("close"), window(default=14)),
             "Average true range: plain mean over n bars of max(high - low, |high - previous close|, "
             "|low - previous close|).", "atr(high, low, close, 14) / close", "first", memory=_span,
             expand="ts_mean(max(high, delay(close, 1)) - min(low, delay(close, 1)), n)")
)  # fmt: skip
register(
    Operator("obv", "technical", (series("x"), series("volume"), window(default=24)),
             "On-balance volume over n bars: the sum of volume signed by the change of x.",
             "obv(close, volume, 24) / ts_sum(volume, 24)", "second", memory=_span,
             scale="free", shift_free=True, odd=True, expand="ts_sum(sign(delta(x, 1)) * volume, n)")
)  # fmt: skip
