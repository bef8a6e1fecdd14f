"""The same expressions on other libraries: one small interpreter each, run on the tree Midas parsed.

Every peer gets the common sub-expressions of one expression once, as a careful user would write it.
"""

# ruff: noqa: D102 - the methods are named after the operators they compute

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import bottleneck as bn
import numpy as np
import pandas as pd
import polars as pl

from midas_engine.dsl.nodes import Call, Number, to_text
from midas_engine.dsl.parser import expanded
from midas_engine.dsl.registry import OPERATORS


class Peer:
    """Walks a tree and calls one method an operator."""

    name = ""

    def __init__(self, fields: dict[str, np.ndarray]) -> None:
        self.data = {name: self.load(values) for name, values in fields.items()}

    def load(self, values: np.ndarray) -> Any:
        return values

    def dump(self, value: Any) -> np.ndarray:
        return value

    def run(self, tree: Any) -> Any:
        memo: dict[str, Any] = {}

        def visit(node: Any) -> Any:
            if isinstance(node, Number):
                return node.value
            if not isinstance(node, Call):
                return self.data[node.name]
            key = to_text(node)
            if key not in memo:
                need = OPERATORS[node.op].need(node.params, 0.5)
                args = [visit(a) for a in node.args]
                params = [*node.params] + ([need] if need else [])
                memo[key] = getattr(self, "op_" + node.op)(*args, *params)
            return memo[key]

        with np.errstate(all="ignore"):
            return visit(expanded(tree))

    def op_add(self, x: Any, y: Any) -> Any:
        return x + y

    def op_sub(self, x: Any, y: Any) -> Any:
        return x - y

    def op_mul(self, x: Any, y: Any) -> Any:
        return x * y

    def op_div(self, x: Any, y: Any) -> Any:
        return x / y

    def op_neg(self, x: Any) -> Any:
        return -x

    def op_log(self, x: Any) -> Any:
        return np.log(x)

    def op_abs(self, x: Any) -> Any:
        return np.abs(x)

    def op_sign(self, x: Any) -> Any:
        return np.sign(x)

    def op_delta(self, x: Any, n: int) -> Any:
        return x - self.op_delay(x, n)

    def op_ts_zscore(self, x: Any, n: int, need: int) -> Any:
        return (x - self.op_ts_mean(x, n, need)) / self.op_ts_std(x, n, need)

    def op_delay(self, x: Any, n: int) -> Any:
        raise NotImplementedError


class Pandas(Peer):
    """DataFrames, time down, symbols across."""

    name = "pandas"

    def load(self, values: np.ndarray) -> Any:
        return pd.DataFrame(values)

    def dump(self, value: Any) -> np.ndarray:
        return value.to_numpy()

    def op_delay(self, x: Any, n: int) -> Any:
        return x.shift(n)

    def op_ts_mean(self, x: Any, n: int, need: int) -> Any:
        return x.rolling(n, min_periods=need).mean()

    def op_ts_sum(self, x: Any, n: int, need: int) -> Any:
        return x.rolling(n, min_periods=need).sum()

    def op_ts_std(self, x: Any, n: int, need: int) -> Any:
        return x.rolling(n, min_periods=need).std()

    def op_ts_max(self, x: Any, n: int, need: int) -> Any:
        return x.rolling(n, min_periods=need).max()

    def op_ts_min(self, x: Any, n: int, need: int) -> Any:
        return x.rolling(n, min_periods=need).min()

    def op_ts_median(self, x: Any, n: int, need: int) -> Any:
        return x.rolling(n, min_periods=need).median()

    def op_ts_quantile(self, x: Any, n: int, q: float, need: int) -> Any:
        return x.rolling(n, min_periods=need).quantile(q)

    def op_ts_skew(self, x: Any, n: int, need: int) -> Any:
        return x.rolling(n, min_periods=need).skew()

    def op_ts_rank(self, x: Any, n: int, need: int) -> Any:
        return x.rolling(n, min_periods=need).rank(pct=True)

    def op_ts_corr(self, x: Any, y: Any, n: int, need: int) -> Any:
        return x.rolling(n, min_periods=need).corr(y)

    def op_ts_cov(self, x: Any, y: Any, n: int, need: int) -> Any:
        return x.rolling(n, min_periods=need).cov(y)

    def op_ema(self, x: Any, n: int, need: int) -> Any:
        return x.ewm(span=n, min_periods=need).mean()

    def op_max(self, x: Any, y: Any) -> Any:
        return pd.DataFrame(np.maximum(x, y))

    def op_min(self, x: Any, y: Any) -> Any:
        return pd.DataFrame(np.minimum(x, y))

    def op_gt(self, x: Any, y: Any) -> Any:
        return (x > y).astype(float).where(x.notna())

    def op_if_else(self, c: Any, x: Any, y: Any) -> Any:
        return x.where(c > 0, y).where(c.notna())

    def op_cs_rank(self, x: Any) -> Any:
        return x.rank(axis=1, pct=True)

    def op_cs_zscore(self, x: Any) -> Any:
        return x.sub(x.mean(axis=1), axis=0).div(x.std(axis=1), axis=0)

    def op_cs_demean(self, x: Any) -> Any:
        return x.sub(x.mean(axis=1), axis=0)


class Bottleneck(Peer):
    """numpy arrays and bottleneck's moving windows; pandas where bottleneck has no window (ema)."""

    name = "bottleneck"

    def op_delay(self, x: Any, n: int) -> Any:
        out = np.empty_like(x)
        out[:n] = np.nan
        out[n:] = x[:-n]
        return out

    def op_ts_mean(self, x: Any, n: int, need: int) -> Any:
        return bn.move_mean(x, n, need, axis=0)

    def op_ts_sum(self, x: Any, n: int, need: int) -> Any:
        return bn.move_sum(x, n, need, axis=0)

    def op_ts_std(self, x: Any, n: int, need: int) -> Any:
        return bn.move_std(x, n, need, axis=0, ddof=1)

    def op_ts_max(self, x: Any, n: int, need: int) -> Any:
        return bn.move_max(x, n, need, axis=0)

    def op_ts_min(self, x: Any, n: int, need: int) -> Any:
        return bn.move_min(x, n, need, axis=0)

    def op_ts_median(self, x: Any, n: int, need: int) -> Any:
        return bn.move_median(x, n, need, axis=0)

    def op_ts_rank(self, x: Any, n: int, need: int) -> Any:
        # bottleneck gives -1..1; the rank in (0, 1] needs the count as well.
        count = bn.move_sum((x == x).astype(float), n, need, axis=0)
        rank = bn.move_rank(x, n, need, axis=0)
        return ((rank + 1) / 2 * (count - 1) + 1) / count

    def op_ts_corr(self, x: Any, y: Any, n: int, need: int) -> Any:
        hole = np.isnan(x) | np.isnan(y)
        x, y = np.where(hole, np.nan, x), np.where(hole, np.nan, y)
        mx, my = bn.move_mean(x, n, need, axis=0), bn.move_mean(y, n, need, axis=0)
        mxy = bn.move_mean(x * y, n, need, axis=0)
        vx, vy = bn.move_var(x, n, need, axis=0), bn.move_var(y, n, need, axis=0)
        return (mxy - mx * my) / np.sqrt(vx * vy)

    def op_ema(self, x: Any, n: int, need: int) -> Any:
        return pd.DataFrame(x).ewm(span=n, min_periods=need).mean().to_numpy()

    def op_max(self, x: Any, y: Any) -> Any:
        return np.maximum(x, y)

    def op_min(self, x: Any, y: Any) -> Any:
        return np.minimum(x, y)

    def op_gt(self, x: Any, y: Any) -> Any:
        return np.where(np.isnan(x), np.nan, x > y)

    def op_if_else(self, c: Any, x: Any, y: Any) -> Any:
        return np.where(np.isnan(c), np.nan, np.where(c > 0, x, y))

    def op_cs_rank(self, x: Any) -> Any:
        return bn.nanrankdata(x, axis=1) / np.sum(x == x, axis=1, keepdims=True)

    def op_cs_zscore(self, x: Any) -> Any:
        return (x - bn.nanmean(x, axis=1)[:, None]) / bn.nanstd(x, axis=1, ddof=1)[:, None]

    def op_cs_demean(self, x: Any) -> Any:
        return x - bn.nanmean(x, axis=1)[:, None]


class Polars(Peer):
    """Wide frames for windows, long frames for the cross-section."""

    name = "polars"

    def load(self, values: np.ndarray) -> Any:
        return pl.DataFrame({f"c{i}": values[:, i] for i in range(values.shape[1])}).fill_nan(None)

    def dump(self, value: Any) -> np.ndarray:
        return value.fill_null(float("nan")).to_numpy()

    def each(self, x: Any, expression: Any) -> Any:
        return x.select(expression)

    def pair(self, make: Any, *frames: Any) -> Any:
        """Column by column over several frames, as one query."""
        names = frames[0].columns
        wide = pl.concat(
            [f.rename({n: f"{k}{n}" for n in names}) for k, f in zip("xyz", frames, strict=False)], how="horizontal"
        )
        return wide.select(
            [make(*(pl.col(f"{k}{n}") for k, _ in zip("xyz", frames, strict=False))).alias(n) for n in names]
        )

    def both(self, x: Any, y: Any, make: Any) -> Any:
        if isinstance(x, float) and isinstance(y, float):
            return make(x, y)
        if isinstance(y, float):
            return x.select(make(pl.all(), y))
        if isinstance(x, float):
            return y.select([make(x, pl.col(n)).alias(n) for n in y.columns])
        return self.pair(make, x, y)

    def op_add(self, x: Any, y: Any) -> Any:
        return self.both(x, y, lambda a, b: a + b)

    def op_sub(self, x: Any, y: Any) -> Any:
        return self.both(x, y, lambda a, b: a - b)

    def op_mul(self, x: Any, y: Any) -> Any:
        return self.both(x, y, lambda a, b: a * b)

    def op_div(self, x: Any, y: Any) -> Any:
        return self.both(x, y, lambda a, b: a / b)

    def op_neg(self, x: Any) -> Any:
        return x.select(-pl.all())

    def op_log(self, x: Any) -> Any:
        return x.select(pl.all().log())

    def op_delay(self, x: Any, n: int) -> Any:
        return x.select(pl.all().shift(n))

    def op_ts_mean(self, x: Any, n: int, need: int) -> Any:
        return x.select(pl.all().rolling_mean(n, min_samples=need))

    def op_ts_std(self, x: Any, n: int, need: int) -> Any:
        return x.select(pl.all().rolling_std(n, min_samples=need))

    def op_ts_max(self, x: Any, n: int, need: int) -> Any:
        return x.select(pl.all().rolling_max(n, min_samples=need))

    def op_ts_min(self, x: Any, n: int, need: int) -> Any:
        return x.select(pl.all().rolling_min(n, min_samples=need))

    def op_delta(self, x: Any, n: int) -> Any:
        return x.select(pl.all() - pl.all().shift(n))

    def op_ts_zscore(self, x: Any, n: int, need: int) -> Any:
        a = pl.all()
        return x.select((a - a.rolling_mean(n, min_samples=need)) / a.rolling_std(n, min_samples=need))

    def op_ts_rank(self, x: Any, n: int, need: int) -> Any:
        valid = pl.all().is_not_null().cast(pl.Float64).rolling_sum(n, min_samples=1)
        return self.op_div(x.select(pl.all().rolling_rank(n, method="average", min_samples=need)), x.select(valid))

    def op_ts_corr(self, x: Any, y: Any, n: int, need: int) -> Any:
        return self.pair(lambda a, b: pl.rolling_corr(a, b, window_size=n, min_samples=need), x, y)

    def op_ema(self, x: Any, n: int, need: int) -> Any:
        return x.select(pl.all().ewm_mean(span=n, min_samples=need, ignore_nulls=False))

    def op_max(self, x: Any, y: Any) -> Any:
        if isinstance(y, float):
            return x.select(pl.all().clip(lower_bound=y))
        return self.pair(lambda a, b: pl.when(a >= b).then(a).when(a < b).then(b), x, y)

    def op_min(self, x: Any, y: Any) -> Any:
        if isinstance(y, float):
            return x.select(pl.all().clip(upper_bound=y))
        return self.pair(lambda a, b: pl.when(a <= b).then(a).when(a > b).then(b), x, y)

    def op_gt(self, x: Any, y: Any) -> Any:
        return self.both(x, y, lambda a, b: (a > b).cast(pl.Float64))

    def op_if_else(self, c: Any, x: Any, y: Any) -> Any:
        return self.pair(lambda k, a, b: pl.when(k > 0).then(a).when(k <= 0).then(b), c, x, y)

    def across(self, x: Any, make: Any) -> Any:
        rows = x.with_row_index("t").unpivot(index="t", variable_name="s")
        return rows.select("t", "s", make(pl.col("value")).over("t")).pivot(on="s", index="t", values="value").drop("t")

    def op_cs_rank(self, x: Any) -> Any:
        return self.across(x, lambda v: v.rank() / v.count())

    def op_cs_zscore(self, x: Any) -> Any:
        return self.across(x, lambda v: (v - v.mean()) / v.std())

    def op_cs_demean(self, x: Any) -> Any:
        return self.across(x, lambda v: v - v.mean())
