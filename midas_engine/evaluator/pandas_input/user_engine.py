"""The border to a user's own engine: `compute(expression) -> Series` and `data_fn() -> (compute, returns, regimes)`.

Whatever goes wrong on the other side is named as theirs: the call, the exception, the label, the dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from midas_engine.dsl.leaks.computes import ComputeAuditor
from midas_engine.errors import AdapterError, EvaluationError, MidasError
from midas_engine.evaluator.pandas_input.alpha import regimes_by_bar, returns_by_horizon
from midas_engine.evaluator.pandas_input.fingerprint import frame_mark
from midas_engine.evaluator.pandas_input.grid import Grid, comparable, grid_of, numeric

Compute = Callable[[str], "pd.Series[Any]"]
LEAST_OVERLAP = 0.1
"""Share of the returns' labels a feature must carry; less is a different calendar, not a warm-up."""


@dataclass(frozen=True, slots=True)
class CheckedData:
    """What `data_fn` gave, checked: `compute` is wrapped so that every result is checked and audited for leaks."""

    compute: Compute
    forward_returns: pd.DataFrame
    regime_labels: pd.Series[Any] | None
    bar_seconds: float


def check_data(data_fn: Callable[[], Any], *, bar_seconds: float | None = None) -> CheckedData:
    """Call a user's `data_fn` and check everything it gives.

    Raises:
        AdapterError: It raised, or returned something else than (compute, forward returns, regimes).
    """
    if not callable(data_fn):
        raise AdapterError(f"data_fn must be callable, not {type(data_fn).__name__}")
    try:
        given = data_fn()
    except MidasError:
        raise
    except Exception as error:
        raise AdapterError(f"data_fn() raised {type(error).__name__}: {error}") from error
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        raise AdapterError(
            f"data_fn() returned {type(given).__name__}"
            + (f" of {len(given)}" if isinstance(given, tuple | list) else ""),
            hint="return (compute, forward_returns, regime_labels)",
        )
    compute, returns = given[0], given[1]
    regimes = given[2] if len(given) == 3 else None
    if not callable(compute):
        raise AdapterError(f"the first item of data_fn() must be compute(expression), not {type(compute).__name__}")
    if isinstance(returns, pd.Series):
        returns = returns.to_frame()
    if not isinstance(returns, pd.DataFrame):
        raise AdapterError(f"forward returns must be a DataFrame, not {type(returns).__name__}")
    try:
        grid = grid_of(returns.index, bar_seconds=bar_seconds)
        for name, series in returns_by_horizon(returns, grid.bar_seconds).values():
            if not np.isfinite(numeric(series, f"forward return {name}")).any():
                raise AdapterError(f"forward return {name} has no value")
        if regimes is not None:
            regimes_by_bar(regimes, grid)
    except AdapterError:
        raise
    except EvaluationError as error:
        raise AdapterError(f"data_fn(): {error.message}", hint=error.hint) from error
    checked = checked_compute(compute, returns, grid)
    named = {name: bars for bars, (name, _) in returns_by_horizon(returns, grid.bar_seconds).items()}
    auditor = ComputeAuditor(compute, returns, data_fn=data_fn, horizons=named, bar_seconds=grid.bar_seconds)
    return CheckedData(audited_compute(checked, auditor), returns, regimes, grid.bar_seconds)


def audited_compute(compute: Compute, auditor: ComputeAuditor) -> Compute:
    """A compute function that is audited before the values of an expression are used for the first time.

    A leak raises AdapterError, naming what moved. What cannot be audited is let through: it may still be clean.
    """
    passed: set[str] = set()

    def audited(expression: str) -> pd.Series[Any]:
        values = compute(expression)
        if expression not in passed:
            report = auditor.check(expression)
            if not report.ok:
                raise AdapterError(
                    f"compute({expression!r}) sees the future: {report.reason}", hint=report.checks[-1].example
                )
            passed.add(expression)
        return values

    return audited


def checked_compute(compute: Compute, forward_returns: pd.DataFrame, grid: Grid | None = None) -> Compute:
    """A user's compute function, checked at every call.

    Args:
        compute: expression -> Series on the index of the forward returns, or a part of it.
        forward_returns: What the results will be scored against; must not be touched by compute.
        grid: Of the forward returns, when already known.

    Returns:
        The same function, whose result is a new float64 Series with the labels of the original.
    """
    place = grid_of(forward_returns.index) if grid is None else grid
    labels = comparable(forward_returns.index)

    def checked(expression: str) -> pd.Series[Any]:
        before = frame_mark(forward_returns)
        who = f"compute({expression!r})"
        try:
            given = compute(expression)
        except MidasError:
            raise
        except Exception as error:
            raise AdapterError(f"{who} raised {type(error).__name__}: {error}") from error
        if frame_mark(forward_returns) != before:
            raise AdapterError(f"{who} changed the forward returns in place", hint="work on a copy")
        if not isinstance(given, pd.Series):
            raise AdapterError(f"{who} returned {type(given).__name__}, not a pandas Series")
        try:
            values = numeric(given, f"the result of {who}").copy()
            matrix = place.matrix(given, f"the result of {who}")
        except EvaluationError as error:
            raise AdapterError(error.message, hint=error.hint) from error
        shared = int(comparable(given.index).isin(labels).sum())
        if shared < LEAST_OVERLAP * len(labels):
            raise AdapterError(
                f"{who} shares {shared} of {len(labels)} labels with the forward returns",
                hint="index the result by the same bar open times",
            )
        del matrix
        return pd.Series(values, index=given.index, name=given.name)

    return checked
