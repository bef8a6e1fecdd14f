"""Assessors: from a proposal to a verdict on one part of the data, off the event loop."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from midas_engine.alive import Scratch
from midas_engine.errors import EvaluationError
from midas_engine.loops import worker
from midas_engine.loops.column_notes import column_notes
from midas_engine.market.provenance import unproven
from midas_engine.models import NO_ESTIMATE
from midas_engine.proposer.protocol import Proposal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from midas_engine.kb import KnowledgeBase
    from midas_engine.market.panel import Panel
    from midas_engine.models import Estimate, FeatureRecord, MultiAgentResult
    from midas_engine.search.measure import Figures, Finalist
    from midas_engine.settings import CostSettings, Settings

Promise = tuple[float | None, float, float]
T = TypeVar("T")
STARTING_SECONDS = 60.0
SHORTAGE_HINT = "give fewer symbols, columns or bars, or lower evaluation.workers"


class Assessor(Protocol):
    """Judges proposals.

    Attributes:
        columns: What expressions may read.
        cross: Wide enough for cross-sectional operators.
        market: One line on the data, for prompts.
        horizons: The target horizon, in words.
        snapshot_id: The data set in the trial ledger: its content hash, or its identity in a store.
        bar_seconds: Length of a bar.
    """

    columns: tuple[str, ...]
    cross: bool
    market: str
    horizons: str
    snapshot_id: str
    bar_seconds: float

    async def start(self, existing: Mapping[str, str]) -> None:
        """Get ready; `existing` are the deployed features by name."""
        ...

    async def judge(
        self, proposal: Proposal, part: str, trials: int, thresholds: Mapping[str, Any], accepted: Mapping[str, str]
    ) -> MultiAgentResult:
        """Verdicts on a part (research or sealed), beside what the session accepted."""
        ...

    async def promise(self, proposal: Proposal) -> Promise:
        """Expected score, its variance and bars, from the sealed part; (None, nan, 0) when unknown."""
        ...

    async def close(self) -> None:
        """Stop workers."""
        ...


@runtime_checkable
class SaysPower(Protocol):
    """An assessor that knows what its data could decide."""

    async def power(self, trials: int, level: float, thresholds: Mapping[str, Any]) -> tuple[str, ...]:
        """Mode, width of the parts and the smallest IC that could be promoted, a line each.

        Args:
            trials: Expressions the session may try.
            level: What the next sealed look is charged.
            thresholds: The gates.
        """
        ...


@runtime_checkable
class KnowsProof(Protocol):
    """An assessor that knows which columns of its data nobody vouches for."""

    def unproven(self, columns: Iterable[str]) -> tuple[str, ...]:
        """Those of `columns` that came from somebody's file, and are no candles."""
        ...


@runtime_checkable
class NotesColumns(Protocol):
    """An assessor that can say what its columns are."""

    def notes(self) -> Mapping[str, str]:
        """Unit and coverage by column, of the research part."""
        ...


@runtime_checkable
class CostsOnce(Protocol):
    """An assessor with one cost of its own instead of the settings'."""

    spread_cost_bps: float | None


def costs_text(costs: CostSettings, assessor: Assessor) -> str:
    """What trading costs here, for prompts."""
    own = assessor.spread_cost_bps if isinstance(assessor, CostsOnce) else None
    if own is not None:
        return f"{own:g} bps of traded notional, one way"
    return (
        f"{costs.one_way_bps:g} bps of traded notional, one way (fee {costs.fee_bps:g}, half spread "
        f"{costs.half_spread_bps:g}, slippage {costs.slippage_bps:g})"
    )


class PanelAssessor:
    """Judges in worker processes on one shared copy of the panel (in a thread with `workers=0`).

    A candidate that takes longer than `candidate_seconds` costs its worker, not the session; a worker that
    dies is replaced and the candidate is named.
    """

    def __init__(self, panel: Panel, settings: Settings) -> None:
        from midas_engine.evaluator.context.history_split import split_panel
        from midas_engine.evaluator.context.layout import cross_of, live_symbols
        from midas_engine.market.feeds.target import not_there
        from midas_engine.market.sources import panel_size

        self._panel, self._settings = panel, settings
        lacking = not_there(settings.target, panel.columns)
        self.columns = tuple(c for c in panel.columns if c not in lacking)
        self.cross = cross_of(live_symbols(panel), panel.S, settings.evaluation.mode)
        self.market = f"{panel.S} perpetuals, bars of {panel.bar_seconds // 60} minutes"
        self.horizons = f"{settings.evaluation.target} bar(s) of {panel.bar_seconds // 60} minutes"
        # Fixes the sealed boundary of a store too, which is in the identity.
        research = split_panel(panel, settings, settings.evaluation.target).research
        self._notes = column_notes(panel, self.columns, research)
        if research.stop > research.start:
            first, last = (str(panel.timestamps[i])[:10] for i in (research.start, research.stop - 1))
            self.market += f", research part {first} to {last} ({research.stop - research.start:,} bars)"
        self.snapshot_id = panel.identity
        self.bar_seconds = float(panel.bar_seconds)
        self._size = panel_size("the session", panel.T, panel.S, len(panel.fields))
        self._existing: dict[str, str] = {}
        self._pool: Executor | None = None
        self._local: worker.PanelJudge | None = None
        self._scratch: Scratch | None = None
        self._warm = False
        self._turns: asyncio.Semaphore | None = None

    def notes(self) -> Mapping[str, str]:
        """See `NotesColumns.notes`."""
        return self._notes

    def unproven(self, columns: Iterable[str]) -> tuple[str, ...]:
        """See `KnowsProof.unproven`."""
        return unproven(self._panel.provenance, columns)

    async def start(self, existing: Mapping[str, str]) -> None:
        """Share the panel and start the workers."""
        self._existing = dict(existing)
        if self._settings.evaluation.workers == 0:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="midas-judge")
            self._local = await asyncio.to_thread(worker.PanelJudge, self._panel, self._settings, self._existing)
            return
        self._pool = await asyncio.to_thread(self._share)

    def _share(self) -> Executor:
        self._scratch = Scratch("panel")
        worker.share_panel(self._panel, self._scratch.path)
        return self._fresh_pool()

    def _fresh_pool(self) -> Executor:
        assert self._scratch is not None
        return ProcessPoolExecutor(
            self._settings.evaluation.workers,
            mp_context=get_context("spawn"),
            initializer=worker.begin,
            initargs=(str(self._scratch.path), self._settings, self._existing),
        )

    async def judge(
        self, proposal: Proposal, part: str, trials: int, thresholds: Mapping[str, Any], accepted: Mapping[str, str]
    ) -> MultiAgentResult:
        """See `Assessor.judge`."""
        args = (proposal, part, trials, dict(thresholds), dict(accepted))
        if self._local is not None:
            return await self._run(self._local.judge, args, proposal)
        return await self._run(worker.judge_in_worker, args, proposal)

    async def power(self, trials: int, level: float, thresholds: Mapping[str, Any]) -> tuple[str, ...]:
        """See `SaysPower.power`."""
        args = (trials, level, dict(thresholds))
        call = worker.power_in_worker if self._local is None else self._local.power
        return await self._run(call, args, Proposal("what could be promoted", ""))

    async def promise(self, proposal: Proposal) -> Promise:
        """See `Assessor.promise`."""
        if self._local is not None:
            return await self._run(self._local.promise, (proposal.expression,), proposal)
        return await self._run(worker.promise_in_worker, (proposal.expression,), proposal)

    async def screen(self, texts: Sequence[str]) -> list[Figures]:
        """See `midas_engine.loops.screening.Screens.screen`."""
        call = worker.screen_in_worker if self._local is None else self._local.screened
        return await self._batch(call, (list(texts),), Proposal("a batch of raw expressions", ""), len(texts))

    async def check_family(self, texts: Sequence[str], level: float) -> list[Finalist]:
        """See `midas_engine.loops.screening.Screens.check_family`."""
        call = worker.family_in_worker if self._local is None else self._local.family
        return await self._batch(call, (list(texts), level), Proposal("the screened family", ""), len(texts))

    async def _batch(self, call: Callable[..., T], args: tuple[Any, ...], proposal: Proposal, count: int) -> T:
        """As many batches at a time as there are workers: each has the time of its expressions, none waits in it."""
        if self._turns is None:
            self._turns = asyncio.Semaphore(max(1, self._settings.evaluation.workers))
        async with self._turns:
            return await self._run(call, args, proposal, count)

    async def _run(self, call: Callable[..., T], args: tuple[Any, ...], proposal: Proposal, count: int = 1) -> T:
        if self._pool is None:
            raise EvaluationError("the assessor is not started")
        seconds = self._settings.evaluation.candidate_seconds * max(1, count)
        # The first candidate of a fresh worker waits for its imports and contexts as well.
        allowance = seconds + (0.0 if self._warm else STARTING_SECONDS)
        try:
            async with asyncio.timeout(allowance):
                # Handing a task to a pool may start a process, which takes longer than the loop may be held.
                future = await asyncio.to_thread(self._pool.submit, call, *args)
                result = await asyncio.wrap_future(future)
            self._warm = True
            return result
        except TimeoutError as error:
            await self._replace_pool()
            raise EvaluationError(
                f"{proposal.name} took longer than {seconds:g} s",
                hint="simplify it, or raise evaluation.candidate_seconds",
            ) from error
        except MemoryError as error:
            raise EvaluationError(
                f"there is not enough memory to judge {proposal.name}: {error or 'an allocation failed'}; {self._size}"[
                    :500
                ],
                hint=SHORTAGE_HINT,
            ) from error
        except BrokenProcessPool as error:
            await self._replace_pool()
            raise EvaluationError(
                f"the worker died while it judged {proposal.name}",
                hint=f"it may have run out of memory ({self._size}); the session goes on. {SHORTAGE_HINT}",
            ) from error

    async def _replace_pool(self) -> None:
        if not isinstance(self._pool, ProcessPoolExecutor):
            return
        await asyncio.to_thread(_end, self._pool)
        self._pool = self._fresh_pool()
        self._warm = False

    async def worth(self, record: FeatureRecord, kb: KnowledgeBase) -> Estimate:
        """See `midas_engine.loops.for_book.KnowsWorth`."""
        from midas_engine.book.candidate import candidate_worth, partners

        def measure() -> Estimate:
            return candidate_worth(kb, record, self._panel, self._settings) if partners(kb, record) else NO_ESTIMATE

        return await asyncio.to_thread(measure)

    async def close(self) -> None:
        """Stop the workers and remove the shared copy."""
        pool, self._pool = self._pool, None
        if isinstance(pool, ProcessPoolExecutor):
            await asyncio.to_thread(_end, pool)
        elif pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
        if self._scratch is not None:
            await asyncio.to_thread(self._scratch.remove)


def _end(pool: ProcessPoolExecutor) -> None:
    processes = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        with contextlib.suppress(Exception):
            process.kill()
            process.join(2)
