"""Judging through a user's own engine: `data_fn() -> (compute, forward_returns, regimes)`."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from midas_engine.daemon_thread import call_in_thread
from midas_engine.errors import AdapterError, MidasError, SessionError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from numpy.typing import NDArray

    from midas_engine.loops.assessors import Promise
    from midas_engine.models import MultiAgentResult
    from midas_engine.proposer.protocol import Proposal
    from midas_engine.settings import Settings

T = TypeVar("T")

# A call that is given up keeps its thread; an engine that hangs this often is not asked again.
MAX_HUNG = 3


class AdapterAssessor:
    """Judges what a user's engine computes. Parts are cut by time, as for a panel.

    Everything that comes over the border is checked: alignment, dtype, mutation, exceptions and hangs are
    attributed to the user's function.

    Args:
        data_fn: The user's function.
        settings: Costs, parts, limits.
        existing: Deployed features as columns, beside those named by expression.
        spread_cost_bps: The original's one cost number, instead of the settings' costs.
    """

    def __init__(
        self,
        data_fn: Callable[[], Any],
        settings: Settings,
        *,
        existing: Any = None,
        spread_cost_bps: float | None = None,
    ) -> None:
        self._data_fn, self._settings = data_fn, settings
        self._frame, self._spread = existing, spread_cost_bps
        self.spread_cost_bps = spread_cost_bps
        self.columns: tuple[str, ...] = ()
        self.cross = False
        self.market = self.horizons = self.snapshot_id = ""
        self.bar_seconds = 3600.0
        self._data: Any = None
        self._grid: Any = None
        self._evaluator: Any = None
        self._parts: Any = None
        self._returns: dict[str, Any] = {}
        self._texts: dict[str, str] = {}
        self._waiting: frozenset[str] = frozenset()
        self._hung = 0

    async def start(self, existing: Mapping[str, str], waiting: Collection[str] = ()) -> None:
        """Call the user's function once and check what it gives.

        Raises:
            AdapterError: It broke its contract; says how.
        """
        self._waiting = frozenset(waiting)
        await call_in_thread(self._start, dict(existing), name="midas-data-fn")

    def _start(self, existing: dict[str, str]) -> None:
        import pandas as pd

        from midas_engine.evaluator.context.history_split import split_history
        from midas_engine.evaluator.context.layout import is_cross, scored_bars
        from midas_engine.evaluator.pandas_input.alpha import returns_by_horizon
        from midas_engine.evaluator.pandas_input.grid import grid_of
        from midas_engine.evaluator.pandas_input.user_engine import check_data

        self._data = data = check_data(self._data_fn)
        self.bar_seconds = float(data.bar_seconds)
        self._grid = grid = grid_of(data.forward_returns.index)
        found = returns_by_horizon(data.forward_returns, data.bar_seconds)
        symbols, bars = len(grid.symbols), len(grid.timestamps)
        whole = grid.matrix(found[min(found)][1], "forward returns")
        self.cross = is_cross(whole, self._settings.evaluation.mode)
        self.market = f"{symbols} symbol(s), {bars} bars of {data.bar_seconds / 60:g} minutes"
        self.horizons = f"{min(found)} bar(s) of {data.bar_seconds / 60:g} minutes"
        marks = pd.util.hash_pandas_object(data.forward_returns).to_numpy()
        self.snapshot_id = "user-" + hashlib.blake2b(marks.tobytes(), digest_size=8).hexdigest()
        scored = scored_bars((~np.isnan(whole)).sum(axis=1), self.cross)
        self._parts = split_history(grid.timestamps, self._settings, max(found), scored)
        self.columns = self._probe()
        self._texts = existing
        self._build_evaluator()

    def _probe(self) -> tuple[str, ...]:
        """The columns that the user's engine knows, found by asking for each; all when it takes none alone."""
        from midas_engine.dsl.document import COLUMN_DOCS

        known = []
        for column in COLUMN_DOCS:
            try:
                self._data.compute(column)
            except MidasError:
                continue
            known.append(column)
        return tuple(known or COLUMN_DOCS)

    def _build_evaluator(self) -> None:
        import pandas as pd

        from midas_engine.evaluator import AlphaEvaluator, ScoringOptions
        from midas_engine.evaluator.context.layout import mode_name

        columns = {}
        for name, text in self._texts.items():
            with contextlib.suppress(MidasError):  # a deployed feature that the user's engine does not know
                columns[name] = self._data.compute(text)
        traded = frozenset(map(str, () if self._frame is None else self._frame.columns))
        # What is traded under the name of a candidate is none: the user's own column is what counts.
        columns = {name: values for name, values in columns.items() if name not in traded & self._waiting}
        frame = pd.DataFrame(columns) if columns else None
        if self._frame is not None:
            own = self._frame.drop(columns=[c for c in columns if c in self._frame.columns])
            frame = own if frame is None else own.join(frame, how="outer")
        self._evaluator = AlphaEvaluator(
            frame,
            self._spread,
            options=ScoringOptions(
                costs=None if self._spread is not None else self._settings.costs,
                mode=mode_name(self.cross),
                waiting=self._waiting - traded,
            ),
        )

    def _part(self, part: str) -> Any:
        """The forward returns of a part; one object a part, so that its context is built once."""
        if part not in self._returns:
            rows = self._parts.named(part)
            if rows.stop - rows.start < 2:
                raise AdapterError(f"the data is too short for a {part} part", hint="give more history")
            bar = self._grid.places // len(self._grid.symbols)
            inside = (bar >= rows.start) & (bar < rows.stop)
            self._returns[part] = self._data.forward_returns[inside]
        return self._returns[part]

    async def judge(
        self, proposal: Proposal, part: str, trials: int, thresholds: Mapping[str, Any], accepted: Mapping[str, str]
    ) -> MultiAgentResult:
        """See `Assessor.judge`."""
        return await self._bounded(proposal, self._judge, proposal, part, trials, thresholds, dict(accepted))

    async def _bounded(self, proposal: Proposal, call: Callable[..., T], *args: Any) -> T:
        if self._hung >= MAX_HUNG:
            raise SessionError(f"your compute function hung {self._hung} times; it is not called again")
        seconds = self._settings.evaluation.candidate_seconds
        try:
            async with asyncio.timeout(seconds):
                return await call_in_thread(call, *args, name="midas-compute")
        except TimeoutError as error:
            self._hung += 1
            raise AdapterError(
                f"compute({proposal.expression!r}) took longer than {seconds:g} s",
                hint="make it faster, or raise evaluation.candidate_seconds",
            ) from error

    def _judge(
        self, proposal: Proposal, part: str, trials: int, thresholds: Mapping[str, Any], accepted: dict[str, str]
    ) -> MultiAgentResult:
        from midas_engine.evaluator import evaluate_values, judge
        from midas_engine.evaluator.context.history_split import embargoed

        fresh = {n: t for n, t in accepted.items() if self._texts.get(n) != t}
        if fresh:
            # A find must differ from the session's other finds as it must from the live book.
            self._texts |= fresh
            self._waiting |= set(fresh)
            self._build_evaluator()
        context, grid = self._evaluator.context(self._part(part), self._data.regime_labels)
        values = self._matrix(grid, proposal.expression)
        if part == "sealed":
            values = embargoed(values, slice(0, len(values)), self._embargo(proposal.expression, len(values)))
        gate = self._matrix(grid, proposal.gate) if proposal.gate else None
        result = evaluate_values(values, context.aimed(proposal.horizon), proposal.name, gate=gate, hold=proposal.hold)
        extra = {**result.extra, "part": part}
        if part == "sealed":
            extra["until"] = f"{np.datetime_as_string(self._grid.timestamps[-1], unit='s')}+00:00"
        return judge(dataclasses.replace(result, extra=extra), thresholds, trials)

    def _embargo(self, expression: str, bars: int) -> int:
        """Bars of the sealed part on which the expression still remembers research; none where its text is foreign."""
        from midas_engine.dsl.expression import parse
        from midas_engine.evaluator.context.history_split import embargo_of

        memory = 0
        with contextlib.suppress(MidasError):
            memory = parse(expression, limits=self._settings.dsl.at(self.bar_seconds)).lookback
        return embargo_of(self._settings.evaluation.embargo, memory, self._data.bar_seconds, slice(0, bars))

    def _matrix(self, grid: Any, expression: str) -> NDArray[np.float64]:
        matrix: NDArray[np.float64] = grid.matrix(self._data.compute(expression), f"compute({expression!r})")
        return matrix

    async def power(self, trials: int, level: float, thresholds: Mapping[str, Any]) -> tuple[str, ...]:
        """See `midas_engine.loops.assessors.SaysPower.power`."""
        return await call_in_thread(self._power, trials, level, thresholds, name="midas-power")

    def _power(self, trials: int, level: float, thresholds: Mapping[str, Any]) -> tuple[str, ...]:
        from midas_engine.evaluator.promotable import words_of

        research, sealed = (
            self._evaluator.context(self._part(part), self._data.regime_labels)[0] for part in ("research", "sealed")
        )
        return words_of(research, sealed, trials, level, thresholds)

    async def promise(self, proposal: Proposal) -> Promise:
        """See `Assessor.promise`; unknown without a one-bar return, which is what live bars are scored on."""
        return await self._bounded(proposal, self._promise, proposal)

    def _promise(self, proposal: Proposal) -> Promise:
        from midas_engine.evaluator.metrics.reference_score import reference_of
        from midas_engine.evaluator.pandas_input.alpha import returns_by_horizon

        found = returns_by_horizon(self._data.forward_returns, self._data.bar_seconds)
        if 1 not in found:
            return None, float("nan"), 0.0
        name, series = found[1]
        values = self._matrix(self._grid, proposal.expression)
        returns = self._grid.matrix(series, f"forward return {name}")
        reference, _ = reference_of(values, returns, self._parts.sealed, self.cross)
        if reference is None:
            return None, float("nan"), 0.0
        return reference.score, reference.variance, reference.variance_bars

    async def close(self) -> None:
        """Let the data go."""
        self._data = self._evaluator = None
        self._returns.clear()
