"""One contract's columns into the sink: what is missing is asked for, looked at, compared, and kept in batches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.market.fetch.page import Page, read_page, same
from midas_engine.market.fetch.spans import lacking, stretches, windows
from midas_engine.market.fetch.summary import Missing
from midas_engine.market.venues.base import FUNDING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from midas_engine.market.fetch.job import FetchJob
    from midas_engine.market.fetch.plan import Plan
    from midas_engine.market.venues.base import Group
    from midas_engine.market.venues.contract import Contract

# The newest bars that are there are asked for again: what a venue restates, it restates soon.
OVERLAP_BARS = 24
BATCH_ROWS = 5000
_DOUBTED = 3
_DOUBT_SECONDS = 2.0


class GroupFetch:
    """One group of columns of one contract.

    Args:
        job: The order it belongs to.
        contract: Whose.
        group: Which columns; not funding.
        announce: Called with the number of requests it will take.
    """

    def __init__(self, job: FetchJob, contract: Contract, group: Group, announce: Callable[[int], None]) -> None:
        assert group.name != FUNDING
        self._plan, self._venue, self._asker, self._sink = job.plan, job.venue, job.asker, job.sink
        self._contract, self._group, self._summary = contract, group, job.summary
        self._answered, self._announce = job.answered, announce
        self._begin = self._plan.since(group, contract)
        self._newest = 0  # the newest bar shown, over or not
        self._held: dict[int, Mapping[str, float]] = {}
        self._fresh: dict[int, Mapping[str, float]] = {}
        self._restated: list[int] = []
        self._doubted: dict[int, str] = {}

    async def run(self) -> None:
        """Fetch what is missing, then the gaps once more, and say what is left."""
        plan = self._plan
        if self._begin >= plan.end:
            return
        self._held = self._read_held()
        missing = self._wanted()
        try:
            for attempt in ("first", "repair"):
                spans = windows(missing, plan.step, max(1, self._group.page - 1))
                self._announce(len(spans))
                for begin, end in spans:
                    await self._window(begin, end)
                missing = self._gaps()
                if not len(missing) or attempt == "repair":
                    break
        finally:  # also where it is interrupted: what is here is sound
            self._flush()
        self._sum_up(missing)

    def _read_held(self) -> dict[int, Mapping[str, float]]:
        plan, columns = self._plan, self._group.columns
        frame = self._sink.held(plan.market, plan.bar, self._contract.name, columns)
        if columns[0] not in frame.columns:
            return {}
        frame = frame[frame[columns[0]].notna()].reindex(columns=list(columns))
        stamps = stamps_of(frame)
        inside = (stamps >= self._begin) & (stamps < plan.end)
        values = frame.to_numpy(dtype=np.float64)[inside]
        return {
            int(at): dict(zip(columns, row, strict=True))
            for at, row in zip(stamps[inside], values.tolist(), strict=True)
        }

    def _wanted(self) -> NDArray[np.int64]:
        plan = self._plan
        there = np.array(sorted(self._held), dtype=np.int64)
        if plan.again:
            there = there[:0]
        elif len(there):
            newest = there[there < there[-1] - OVERLAP_BARS * plan.step]
            there = newest
        return lacking(self._begin, plan.end, plan.step, there)

    def _gaps(self) -> NDArray[np.int64]:
        """What is missing after the first bar that is there: before it the contract did not trade."""
        known = np.array(sorted({*self._held, *self._fresh}), dtype=np.int64)
        if not len(known):
            return lacking(self._begin, self._begin, self._plan.step, known)
        end = min(self._plan.end, self._over_before())
        return lacking(int(known[0]), end, self._plan.step, known)

    def _over_before(self) -> int:
        """Bars that open before this are over."""
        plan = self._plan
        by_clock = plan.time.low_ms // plan.step * plan.step
        return max(by_clock, self._newest)

    async def _window(self, begin: int, end: int) -> None:
        plan, group, contract = self._plan, self._group, self._contract
        what = f"{group.name} of {contract.name} from {begin}"
        shift = plan.step if group.stamped_at_end else 0
        # the bar after the last one proves that the last one is over
        until = end + 2 * plan.step if end == plan.end else end
        page = Page()
        for turn in range(_DOUBTED):
            if turn:
                self._asker.counts.faults["doubtful"] += 1
                await self._asker.pause(_DOUBT_SECONDS)

            async def look() -> Page:
                rows = await self._venue.rows(group, contract, plan.bar, begin + shift, until + shift)
                return read_page(rows, group, begin, end, plan.step, self._asker.counts.oddities)

            page = await self._asker.ask(what, look)
            if not page.doubtful:
                break
        self._doubted |= page.doubtful
        self._newest = max(self._newest, page.newest_ms)
        kept = 0
        for at in sorted(page.rows):
            row = page.rows[at]
            if row.closed is False or not self._over(at):
                self._asker.counts.oddities["unclosed"] += 1
                continue
            kept += self._keep(at, row.values)
        if len(self._fresh) >= BATCH_ROWS:
            self._flush()
        self._answered(f"{contract.name} {group.name}", kept)

    def _over(self, at: int) -> bool:
        if self._group.stamped_at_end:
            return at + self._plan.step <= self._plan.time.high_ms
        return at + self._plan.step <= self._plan.time.low_ms or at < self._newest

    def _keep(self, at: int, values: Mapping[str, float]) -> int:
        known = self._fresh.get(at) or self._held.get(at)
        figures = {c: values.get(c, math.nan) for c in self._group.columns}
        if known is not None:  # what is not told takes nothing away
            figures = {c: known[c] if math.isnan(v) else v for c, v in figures.items()}
        if known is not None and same(known, figures):
            return 0
        if at in self._held:
            self._restated.append(at)
        self._fresh[at] = figures
        self._doubted.pop(at, None)
        return 1

    def _flush(self) -> None:
        import pandas as pd

        if not self._fresh:
            return
        plan, group, contract = self._plan, self._group, self._contract
        stamps = sorted(self._fresh)
        index = pd.DatetimeIndex(np.array(stamps, dtype="datetime64[ms]").astype("datetime64[ns]"), name="timestamp")
        rows = [[self._fresh[t][c] for c in group.columns] for t in stamps]
        frame = pd.DataFrame(rows, index=index.tz_localize("UTC"), columns=list(group.columns), dtype=np.float64)
        restated = sum(t in self._held for t in stamps)
        self._sink.write(plan.market, plan.bar, contract.name, frame, provenance(plan, contract, group.name, restated))
        name = contract.name
        self._summary.rows[name] = self._summary.rows.get(name, 0) + len(stamps) - restated
        self._held |= self._fresh
        self._fresh = {}

    def _sum_up(self, missing: NDArray[np.int64]) -> None:
        name, columns, plan = self._contract.name, self._group.columns, self._plan
        if self._restated:
            self._summary.restated.append((name, columns, len(self._restated), min(self._restated)))
        count = int((plan.end - self._begin) // plan.step)
        self._summary.wanted[name] = max(self._summary.wanted.get(name, 0), count)
        for place, column in enumerate(columns):
            known = sum(not math.isnan(v[column]) for v in self._held.values()) if place else len(self._held)
            self._summary.there[name, column] = known
        for first, last, bars in stretches(missing, plan.step):
            doubts = [why for at, why in self._doubted.items() if first <= at <= last]
            why = f"left out: {doubts[0]}" if doubts else f"{plan.venue} has none"
            self._summary.missing.append(Missing(name, columns, bars, first, last, why))
        before = min(self._held, default=plan.end) - self._begin
        if before > 0:
            bars, last = before // plan.step, self._begin + before - plan.step
            why = f"{plan.venue} has none" + (" before the first" if self._held else "")
            self._summary.missing.append(Missing(name, columns, int(bars), self._begin, int(last), why))


def provenance(plan: Plan, contract: Contract, group: str, restated: int) -> dict[str, str | int]:
    """What the sink is told of a write."""
    return {
        "source": "fetch",
        "exchange": plan.venue,
        "group": group,
        "kind": contract.kind,
        "settle": contract.settle,
        "picked": plan.picked,
        "restated": restated,
    }


def stamps_of(frame: pd.DataFrame) -> NDArray[np.int64]:
    """Open times of a frame, ms."""
    import pandas as pd

    index = pd.DatetimeIndex(frame.index)
    plain = index.tz_convert("UTC").tz_localize(None) if index.tz is not None else index
    stamps: NDArray[np.int64] = plain.to_numpy().astype("datetime64[ms]").astype(np.int64)
    return stamps
