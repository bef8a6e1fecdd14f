"""Assessors: from a proposal to a verdict on one part of the data, off the event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from midas_engine.alive import Scratch
from midas_engine.errors import (
    EvaluationError,
    SessionError,
    SessionInterruptedError,
    TimeLimitError,
    WorkerLostError,
    WorkersGoneError,
)
from midas_engine.executor import Task, Workshop, open_executor
from midas_engine.loops.column_notes import column_notes
from midas_engine.loops.worker import PanelJudge, open_judge
from midas_engine.market.provenance import unproven
from midas_engine.market.shared_panel import SharedPanel
from midas_engine.models import NO_ESTIMATE
from midas_engine.shortage import SHORTAGE_HINT, is_shortage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from midas_engine.executor import TaskExecutor
    from midas_engine.kb import KnowledgeBase
    from midas_engine.market.panel import Panel
    from midas_engine.models import Estimate, FeatureRecord, MultiAgentResult
    from midas_engine.proposer.protocol import Proposal
    from midas_engine.search.measure import Figures, Finalist
    from midas_engine.settings import CostSettings, Settings

Promise = tuple[float | None, float, float]
T = TypeVar("T")


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

    async def start(self, existing: Mapping[str, str], waiting: Collection[str] = ()) -> None:
        """Get ready; `existing` are the features to differ from, of which those named in `waiting` are not deployed."""
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
class KnowsWidth(Protocol):
    """An assessor that knows how many symbols its data has."""

    symbols: int


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
    """Judges in workers on one shared copy of the panel (in a thread of this process with `workers=0`).

    A candidate that takes longer than `candidate_seconds` costs its worker, not the session. A worker that dies is
    replaced and its candidate judged again; one that no worker survives is named.
    """

    def __init__(self, panel: Panel, settings: Settings) -> None:
        from midas_engine.evaluator.context.history_split import split_panel
        from midas_engine.evaluator.context.scored_as import panel_is_cross
        from midas_engine.market.feeds.target import not_there
        from midas_engine.market.sources import panel_size

        self._panel, self._settings = panel, settings
        lacking = not_there(settings.target, panel.columns)
        self.columns = tuple(c for c in panel.columns if c not in lacking)
        self.cross = panel_is_cross(panel, settings.evaluation.mode)
        self.symbols = panel.S
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
        self._waiting: frozenset[str] = frozenset()
        self._pool: TaskExecutor | None = None
        self._scratch: Scratch | None = None
        self._turns: asyncio.Semaphore | None = None

    def notes(self) -> Mapping[str, str]:
        """See `NotesColumns.notes`."""
        return self._notes

    def unproven(self, columns: Iterable[str]) -> tuple[str, ...]:
        """See `KnowsProof.unproven`."""
        return unproven(self._panel.provenance, columns)

    async def start(self, existing: Mapping[str, str], waiting: Collection[str] = ()) -> None:
        """Share the panel; the workers start with the first candidate."""
        self._existing, self._waiting = dict(existing), frozenset(waiting)
        if self._settings.evaluation.workers == 0:
            local = await asyncio.to_thread(PanelJudge, self._panel, self._settings, self._existing, self._waiting)
            self._pool = open_executor(self._settings, Workshop(lambda: local))
            return
        self._pool = await asyncio.to_thread(self._share)

    def _share(self) -> TaskExecutor:
        self._scratch = Scratch("panel")
        settings = self._settings
        shared = SharedPanel.write(self._panel, self._scratch.path, source=settings.data, store=settings.store)
        return open_executor(settings, Workshop(open_judge, (shared, settings, self._existing, self._waiting)))

    async def judge(
        self, proposal: Proposal, part: str, trials: int, thresholds: Mapping[str, Any], accepted: Mapping[str, str]
    ) -> MultiAgentResult:
        """See `Assessor.judge`."""
        args = (proposal, part, trials, dict(thresholds), dict(accepted))
        return await self._run(PanelJudge.judge, args, proposal.name)

    async def power(self, trials: int, level: float, thresholds: Mapping[str, Any]) -> tuple[str, ...]:
        """See `SaysPower.power`."""
        return await self._run(PanelJudge.power, (trials, level, dict(thresholds)), "what could be promoted")

    async def promise(self, proposal: Proposal) -> Promise:
        """See `Assessor.promise`."""
        return await self._run(PanelJudge.promise, (proposal.expression,), proposal.name)

    async def screen(self, texts: Sequence[str]) -> list[Figures]:
        """See `midas_engine.loops.screening.Screens.screen`."""
        return await self._batch(PanelJudge.screened, (list(texts),), "a batch of raw expressions", len(texts))

    async def check_family(self, texts: Sequence[str], level: float) -> list[Finalist]:
        """See `midas_engine.loops.screening.Screens.check_family`."""
        return await self._batch(PanelJudge.family, (list(texts), level), "the screened family", len(texts))

    async def _batch(self, call: Callable[..., T], args: tuple[Any, ...], name: str, count: int) -> T:
        """As many batches at a time as there are workers: each has the time of its expressions, none waits in it."""
        if self._turns is None:
            self._turns = asyncio.Semaphore(max(1, self._settings.evaluation.workers))
        async with self._turns:
            return await self._run(call, args, name, count)

    async def _run(self, call: Callable[..., T], args: tuple[Any, ...], name: str, count: int = 1) -> T:
        if self._pool is None:
            raise EvaluationError("the assessor is not started")
        seconds = self._settings.evaluation.candidate_seconds * max(1, count)
        try:
            # Handing a task over may load what starts workers, which takes longer than the loop may be held.
            future = await asyncio.to_thread(self._pool.start, Task(call, args, name=name, seconds=seconds))
            found: T = await asyncio.wrap_future(future)
            return found
        except WorkersGoneError as error:
            # Nothing was learned of the candidate: it is not refused, and nothing is charged for it.
            if isinstance(error.reason, EvaluationError):
                raise SessionError(error.reason.message, hint=error.reason.hint) from error
            raise SessionInterruptedError(
                f"nobody computes any more: {error.message}", hint=error.hint or "start it again: it goes on from here"
            ) from error
        except TimeLimitError as error:
            raise EvaluationError(error.message, hint="simplify it, or raise evaluation.candidate_seconds") from error
        except WorkerLostError as error:
            raise EvaluationError(
                f"every worker died while it judged {name}",
                hint=f"it may have run out of memory ({self._size}); the session goes on. {SHORTAGE_HINT}",
            ) from error
        except Exception as error:
            if not is_shortage(error):
                raise
            # Of a candidate it is a verdict on its size; of the session's own figures it says nothing of the goal.
            kind = EvaluationError if call in (PanelJudge.judge, PanelJudge.promise) else SessionInterruptedError
            raise kind(
                f"there is not enough memory to judge {name}: {error or 'an allocation failed'}; {self._size}"[:500],
                hint=SHORTAGE_HINT,
            ) from error

    async def worth(self, record: FeatureRecord, kb: KnowledgeBase) -> Estimate:
        """See `midas_engine.loops.for_book.KnowsWorth`."""
        from midas_engine.book.candidate import candidate_worth, partners

        def measure() -> Estimate:
            return candidate_worth(kb, record, self._panel, self._settings) if partners(kb, record) else NO_ESTIMATE

        return await asyncio.to_thread(measure)

    async def close(self) -> None:
        """Stop the workers and remove the shared copy."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.close)
        if self._scratch is not None:
            await asyncio.to_thread(self._scratch.remove)
