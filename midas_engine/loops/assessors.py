"""Assessors: from a proposal to a verdict on one part of the data, off the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import shutil
import tempfile
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from midas_engine.errors import EvaluationError
from midas_engine.loops import worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from midas_engine.market.panel import Panel
    from midas_engine.models import MultiAgentResult
    from midas_engine.proposer.protocol import Proposal
    from midas_engine.settings import Settings

Promise = tuple[float | None, float, float]
T = TypeVar("T")


class Assessor(Protocol):
    """Judges proposals.

    Attributes:
        columns: What expressions may read.
        cross: Wide enough for cross-sectional operators.
        market: One line on the data, for prompts.
        horizons: The target horizon, in words.
        snapshot_id: Content hash of the data.
    """

    columns: tuple[str, ...]
    cross: bool
    market: str
    horizons: str
    snapshot_id: str

    async def start(self, existing: Mapping[str, str]) -> None:
        """Get ready; `existing` are the deployed features by name."""
        ...

    async def judge(
        self, proposal: Proposal, part: str, trials: int, thresholds: Mapping[str, Any], accepted: Mapping[str, str]
    ) -> MultiAgentResult:
        """Verdicts on a part (research, confirmation or holdout), beside what the session accepted."""
        ...

    async def promise(self, proposal: Proposal) -> Promise:
        """Expected score, its variance and bars, from the confirmation part; (None, nan, 0) when unknown."""
        ...

    async def close(self) -> None:
        """Stop workers."""
        ...


class PanelAssessor:
    """Judges in worker processes on one shared copy of the panel (in a thread with `workers=0`).

    A candidate that takes longer than `candidate_seconds` costs its worker, not the session; a worker that
    dies is replaced and the candidate is named.
    """

    def __init__(self, panel: Panel, settings: Settings) -> None:
        from midas_engine.stats.bar_scores import CROSS_MINIMUM

        self._panel, self._settings = panel, settings
        self.columns = panel.columns
        self.cross = panel.S >= CROSS_MINIMUM
        first, last = (str(t)[:10] for t in (panel.timestamps[0], panel.timestamps[-1]))
        self.market = f"{panel.S} perpetuals, bars of {panel.bar_seconds // 60} minutes, {first} to {last}"
        self.horizons = f"{settings.evaluation.target} bar(s) of {panel.bar_seconds // 60} minutes"
        self.snapshot_id = panel.snapshot_id
        self._existing: dict[str, str] = {}
        self._pool: Executor | None = None
        self._local: worker.PanelJudge | None = None
        self._folder: Path | None = None

    async def start(self, existing: Mapping[str, str]) -> None:
        """Share the panel and start the workers."""
        self._existing = dict(existing)
        if self._settings.evaluation.workers == 0:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="midas-judge")
            self._local = await asyncio.to_thread(worker.PanelJudge, self._panel, self._settings, self._existing)
            return
        self._folder = Path(tempfile.mkdtemp(prefix="midas-panel-"))
        await asyncio.to_thread(worker.share_panel, self._panel, self._folder)
        self._pool = self._fresh_pool()

    def _fresh_pool(self) -> Executor:
        return ProcessPoolExecutor(
            self._settings.evaluation.workers,
            mp_context=get_context("spawn"),
            initializer=worker.begin,
            initargs=(str(self._folder), self._settings, self._existing),
        )

    async def judge(
        self, proposal: Proposal, part: str, trials: int, thresholds: Mapping[str, Any], accepted: Mapping[str, str]
    ) -> MultiAgentResult:
        """See `Assessor.judge`."""
        args = (
            proposal.expression,
            part,
            trials,
            dict(thresholds),
            proposal.name,
            proposal.gate,
            proposal.hold,
            dict(accepted),
        )
        if self._local is not None:
            return await self._run(self._local.judge, args, proposal)
        return await self._run(worker.judge_in_worker, args, proposal)

    async def promise(self, proposal: Proposal) -> Promise:
        """See `Assessor.promise`."""
        if self._local is not None:
            return await self._run(self._local.promise, (proposal.expression,), proposal)
        return await self._run(worker.promise_in_worker, (proposal.expression,), proposal)

    async def _run(self, call: Callable[..., T], args: tuple[Any, ...], proposal: Proposal) -> T:
        if self._pool is None:
            raise EvaluationError("the assessor is not started")
        seconds = self._settings.evaluation.candidate_seconds
        # The first candidate of a fresh worker waits for its imports and contexts as well.
        allowance = seconds + 60.0
        try:
            future = asyncio.get_running_loop().run_in_executor(self._pool, call, *args)
            async with asyncio.timeout(allowance):
                return await future
        except TimeoutError as error:
            self._replace_pool()
            raise EvaluationError(
                f"{proposal.name} took longer than {seconds:g} s",
                hint="simplify it, or raise evaluation.candidate_seconds",
            ) from error
        except BrokenProcessPool as error:
            self._replace_pool()
            raise EvaluationError(
                f"the worker died while it judged {proposal.name}",
                hint="it may have run out of memory; the session goes on",
            ) from error

    def _replace_pool(self) -> None:
        if not isinstance(self._pool, ProcessPoolExecutor):
            return
        _end(self._pool)
        self._pool = self._fresh_pool()

    async def close(self) -> None:
        """Stop the workers and remove the shared copy."""
        pool, self._pool = self._pool, None
        if isinstance(pool, ProcessPoolExecutor):
            await asyncio.to_thread(_end, pool)
        elif pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)


def _end(pool: ProcessPoolExecutor) -> None:
    processes = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        with contextlib.suppress(Exception):
            process.kill()
            process.join(2)


class AdapterAssessor:
    """Judges through a user's own engine: `data_fn() -> (compute, forward_returns, regimes)`.

    Everything that comes over the border is checked (alignment, dtype, mutation, exceptions are attributed).
    Parts are cut by time, as for a panel.

    Args:
        data_fn: The user's function.
        settings: Costs, parts, limits.
        existing: Deployed features as columns, beside those named by expression.
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
        self.columns: tuple[str, ...] = ()
        self.cross = False
        self.market = self.horizons = self.snapshot_id = ""
        self._data: Any = None
        self._evaluator: Any = None
        self._times: Any = None
        self._texts: dict[str, str] = {}
        self._parts: Any = None

    async def start(self, existing: Mapping[str, str]) -> None:
        """Call the user's function once and check what it gives."""
        await asyncio.to_thread(self._start, dict(existing))

    def _start(self, existing: dict[str, str]) -> None:
        import pandas as pd

        from midas_engine.evaluator.adapters import check_data
        from midas_engine.evaluator.parts import split_history
        from midas_engine.stats.bar_scores import CROSS_MINIMUM

        self._data = data = check_data(self._data_fn)
        index = data.forward_returns.index
        panel = isinstance(index, pd.MultiIndex)
        self._times = index.get_level_values(0) if panel else index
        bars = self._times.unique().sort_values()
        symbols = len(index.get_level_values(1).unique()) if panel else 1
        self.cross = symbols >= CROSS_MINIMUM
        # A user's engine has columns of its own; what the language knows is offered, and the engine says no.
        self.columns = ("open", "high", "low", "close", "volume", "vwap", "returns", "funding_rate", "open_interest")
        self.market = f"{symbols} symbol(s), {len(bars)} bars of {data.bar_seconds / 60:g} minutes"
        self.horizons = str(data.forward_returns.columns[0])
        self.snapshot_id = f"user-{len(bars)}-{bars[0]}-{bars[-1]}"
        naive = bars if bars.tz is None else bars.tz_convert("UTC").tz_localize(None)
        longest = max(self._settings.evaluation.horizons)
        self._parts = split_history(naive.to_numpy(), self._settings, longest)
        self._bars = bars
        self._texts = existing
        self._build_evaluator()

    def _build_evaluator(self) -> None:
        import pandas as pd

        from midas_engine.evaluator import AlphaEvaluator

        columns = {name: self._data.compute(text) for name, text in self._texts.items()}
        frame = pd.DataFrame(columns) if columns else None
        if self._frame is not None:
            frame = self._frame if frame is None else self._frame.join(frame)
        self._evaluator = AlphaEvaluator(
            frame, self._spread, costs=None if self._spread is not None else self._settings.costs
        )

    def _rows(self, part: str) -> Any:
        rows = self._parts.named(part)
        inside = self._bars[rows]
        return (self._times >= inside[0]) & (self._times <= inside[-1])

    async def judge(
        self, proposal: Proposal, part: str, trials: int, thresholds: Mapping[str, Any], accepted: Mapping[str, str]
    ) -> MultiAgentResult:
        """See `Assessor.judge`."""
        seconds = self._settings.evaluation.candidate_seconds
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.to_thread(self._judge, proposal, part, trials, thresholds, dict(accepted))
        except TimeoutError as error:
            raise EvaluationError(f"compute({proposal.expression!r}) took longer than {seconds:g} s") from error

    def _judge(
        self, proposal: Proposal, part: str, trials: int, thresholds: Mapping[str, Any], accepted: dict[str, str]
    ) -> MultiAgentResult:
        from midas_engine.evaluator import MultiAgentEvaluator

        fresh = {n: t for n, t in accepted.items() if self._texts.get(n) != t}
        if fresh:
            self._texts |= fresh
            self._build_evaluator()
        feature = self._data.compute(proposal.expression)
        returns = self._data.forward_returns[self._rows(part)]
        feature = feature[feature.index.isin(returns.index)]
        regimes = self._data.regime_labels
        verdict = MultiAgentEvaluator(self._evaluator, thresholds=thresholds).evaluate(
            feature, returns, regimes, trials=trials
        )
        extra = {**verdict.evaluation.extra, "part": part}
        return dataclasses.replace(verdict, evaluation=dataclasses.replace(verdict.evaluation, extra=extra))

    async def promise(self, proposal: Proposal) -> Promise:
        """Unknown here: the monitor measures it at promotion when the data is a panel."""
        return None, float("nan"), 0.0

    async def close(self) -> None:
        """Nothing is held."""
