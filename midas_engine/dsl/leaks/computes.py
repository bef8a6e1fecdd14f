"""Auditing a user's own `compute(expression) -> Series`: run again on data without a future, or with another one."""

from __future__ import annotations

import contextlib
import warnings
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from midas_engine.dsl.leaks.calendar import EPOCH, Calendar, index_times
from midas_engine.dsl.leaks.cuts import LEAST_BARS, Cuts, choose_cuts, first_bar
from midas_engine.dsl.leaks.report import AuditReport, Check, compare, leak_report
from midas_engine.dsl.leaks.shadow import Shadow
from midas_engine.dsl.leaks.tables import HOLES, Altered, Targets, View

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy.typing as npt

    Compute = Callable[[str], pd.Series[Any]]


_UNREACHED = "its values do not come from data that can be altered from here"


@dataclass(frozen=True, slots=True)
class _Run:
    """What a shadow gave: values on labels, their times, and the bar of each."""

    series: pd.Series[Any]
    times: npt.NDArray[np.datetime64]
    bars: npt.NDArray[np.int64]


class ComputeAuditor:
    """Audits a compute function. The altered copies of its data are made once, each expression costs a few calls.

    Args:
        compute: expression -> Series by timestamp, or by (timestamp, symbol).
        forward_returns: What results are scored against; gives the bars, and is itself cut where it is unknown.
        data_fn: What made `compute`; run again on altered data when it holds the data itself, so that work done
            before `compute` is called is audited too.
        horizons: Bars ahead of each column of the forward returns; one bar for those left out.
        bar_seconds: Length of a bar; None reads it off the index.
    """

    def __init__(
        self,
        compute: Compute,
        forward_returns: pd.DataFrame | pd.Series[Any],
        *,
        data_fn: Callable[[], Any] | None = None,
        horizons: Mapping[Any, int] | None = None,
        bar_seconds: float | None = None,
    ) -> None:
        self.compute, self.data_fn = compute, data_fn
        self.targets = Targets(forward_returns, horizons or {})
        self.calendar = calendar_of(forward_returns.index, bar_seconds)
        self._shadows: dict[View, tuple[Compute, Altered]] = {}
        self._cuts: dict[int, Cuts] = {}

    def check(self, expression: str) -> AuditReport:
        """The audit of one expression.

        Raises:
            Exception: Whatever `compute` raises on the user's own, unaltered history.
        """
        if len(self.calendar.times) < LEAST_BARS:
            reason = f"{len(self.calendar.times)} bars are too few; it takes {LEAST_BARS}"
            return AuditReport(expression, "unproven", reason=reason)
        report = self._audit(expression, short=True)
        # A long memory, or a function that wants its whole history, is audited on the whole history.
        if report is None:
            report = self._audit(expression, short=False)
        if report is not None:
            return report
        self.compute(expression)
        return AuditReport(expression, "unproven", reason="it fails, or has no value, on a copy of its own data")

    # -- one audit -----------------------------------------------------------------------------

    def _audit(self, expression: str, *, short: bool) -> AuditReport | None:
        start = first_bar(self.calendar, short)
        base = self._try(expression, View(start, len(self.calendar.times)))
        if base is None:
            return None
        # Making the untouched copy has shown what tables there are, and with them the events to cut at.
        if start not in self._cuts:
            self._cuts[start] = choose_cuts(self.calendar, self.calendar.events, start, start)
        cuts = self._cuts[start]
        if not self._speaks(base, cuts.first):
            if short or not self._speaks(base, cuts.stop):
                return None
            known = int(base.bars[np.isfinite(base.series.to_numpy())].min())
            cuts = choose_cuts(self.calendar, self.calendar.events, start, known)
        checks: list[Check] = []
        doubts: list[str] = []
        waiting = deque(cuts.runs(len(self.calendar.symbols) < 2))
        while waiting:
            name, before, view, cut = waiting.popleft()
            untouched = base if before is None else self._try(expression, before)
            altered = self._try(expression, view)
            if untouched is None or altered is None:
                if view.holed is not None and view.holes == HOLES:
                    waiting.extend(cuts.holes())
                elif view.holed is None and cut - cuts.start > LEAST_BARS:
                    doubts.append(f"it fails when it is run with {name}")
                continue
            if not self._reached(altered, untouched, view):
                doubts.append(_UNREACHED)
                continue
            checks.append(self._compared(name, untouched, altered, cut))
            if checks[-1].changed:
                break
        if any(c.changed for c in checks):
            again = self._compared("run twice on the same data", base, self._fresh(expression, cuts), cuts.stop)
            if again.changed:
                return AuditReport(expression, "unproven", (again,), reason="it gives other values each time it runs")
            return leak_report(expression, checks)
        if not any(c.compared for c in checks) or _UNREACHED in doubts:
            reason = _UNREACHED if _UNREACHED in doubts else "no value could be compared"
            return AuditReport(expression, "unproven", tuple(checks), reason=reason)
        return leak_report(expression, checks, tuple(dict.fromkeys(doubts)))

    def _speaks(self, run: _Run, before: int) -> bool:
        """Whether there is a value before the first cut to compare."""
        return bool(np.isfinite(run.series.to_numpy()[run.bars < before]).any())

    def _compared(self, name: str, before: _Run, after: _Run, cut: int) -> Check:
        early = before.bars < cut
        labels = before.series.index[early]
        kept = after.bars < cut
        if len(labels) == int(kept.sum()) and after.series.index[kept].equals(labels):
            other = after.series.to_numpy()[kept]
        else:
            other = after.series.reindex(labels).to_numpy()
        return compare(name, before.series.to_numpy()[early], other, before.bars[early], cut, before.times[early])

    def _reached(self, run: _Run, base: _Run, view: View) -> bool:
        """Whether the shadow really saw altered data: nothing after the end, something else after a change."""
        values = run.series.to_numpy()
        if np.isfinite(values[run.bars >= view.stop]).any():
            return False
        if view.changed is None or run is base:
            return True
        late, now = base.bars >= view.changed, run.bars >= view.changed
        untouched = base.series.to_numpy()[late]
        if late.sum() != now.sum() or len(np.unique(untouched[np.isfinite(untouched)])) < 2:
            return True
        return not np.array_equal(untouched, values[now], equal_nan=True)

    # -- running shadows -----------------------------------------------------------------------

    def _try(self, expression: str, view: View) -> _Run | None:
        compute, _ = self._shadow(view)
        try:
            with _quietly():
                return self._run(compute(expression))
        except Exception:  # a user's function may raise anything on a history it never saw
            return None

    def _fresh(self, expression: str, cuts: Cuts) -> _Run:
        self._shadows.pop(View(cuts.start, cuts.stop), None)
        run = self._try(expression, View(cuts.start, cuts.stop))
        assert run is not None
        return run

    def _run(self, given: Any) -> _Run:
        series = pd.Series(given.to_numpy(dtype=np.float64, na_value=np.nan), index=given.index)
        place = self.calendar.find(series)
        if place is None:
            raise ValueError("the result has no times")
        # The bar a label falls in, however irregular the bars are.
        return _Run(series, place.times, np.searchsorted(self.calendar.times, place.times, side="right") - 1)

    def _shadow(self, view: View) -> tuple[Compute, Altered]:
        if view not in self._shadows:
            self._shadows[view] = self._make(view)
        return self._shadows[view]

    def _make(self, view: View) -> tuple[Compute, Altered]:
        alter = Altered(self.calendar, view, self.targets)
        if self.data_fn is not None:
            with contextlib.suppress(Exception), _quietly():
                compute, returns = Shadow(alter).copy(self.data_fn)()[:2]
                times = index_times(returns.index, self.calendar.bar)
                last = self.calendar.times[min(view.stop, len(self.calendar.times)) - 1]
                if alter.met and times is not None and times.max() <= last:
                    return compute, alter
            alter.met = 0
        return Shadow(alter).copy(self.compute), alter


def calendar_of(index: pd.Index[Any], bar_seconds: float | None = None) -> Calendar:
    """The bars of an index.

    Raises:
        ValueError: It holds neither times nor bar numbers.
    """
    seconds = bar_seconds or 3600.0
    times = index_times(index, np.timedelta64(0, "ns"))
    numbered = times is None and pd.api.types.is_integer_dtype(index.dtype)
    if times is None:
        if not numbered:
            raise ValueError("the index holds neither times nor bar numbers")
        times = EPOCH + index.to_numpy() * np.timedelta64(round(seconds * 1e9), "ns")
    bars = np.unique(times)
    if bar_seconds is None and len(bars) > 1:
        seconds = float(np.median(np.diff(bars).astype(np.int64))) / 1e9
    names = [] if index.nlevels < 2 else [str(n) for n in dict.fromkeys(index.get_level_values(1)[:_LOOK])]
    return Calendar(
        bars, np.timedelta64(round(seconds * 1e9), "ns"), times, numbered, {n: i for i, n in enumerate(names)}
    )


# Rows that are looked at for the symbols' names; a symbol that comes later takes its turn by itself.
_LOOK = 20_000


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Altered data makes a user's function warn about what is not the user's doing."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def audit_compute(
    compute: Compute, expression: str, forward_returns: pd.DataFrame | pd.Series[Any], **options: Any
) -> AuditReport:
    """Audit one expression of a user's compute function; see `ComputeAuditor`."""
    return ComputeAuditor(compute, forward_returns, **options).check(expression)
