"""A measurement of memory from start to end: campaigns to worker processes, their figures together."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TYPE_CHECKING, Any

from midas_engine.clock import WallClock
from midas_engine.compound.campaign import draw, run_campaign
from midas_engine.compound.figures import Compounding
from midas_engine.compound.plan import ARMS, Campaign
from midas_engine.errors import EvaluationError, MidasError
from midas_engine.executor import Task, open_executor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from midas_engine.clock import Clock
    from midas_engine.compound.plan import CompoundPlan
    from midas_engine.executor import TaskExecutor
    from midas_engine.settings import Settings

Progress = "Callable[[int, int, float], None]"


def compound(
    settings: Settings, plan: CompoundPlan, *, progress: Callable[[int, int, float], None] | None = None
) -> Compounding:
    """Run every arm of every pair, and compare them.

    Args:
        settings: Costs, gates and proposer: those of a real session.
        plan: The budget.
        progress: Told (steps done, steps in all, seconds so far).

    Raises:
        EvaluationError: No pair came to its end.
    """
    clock = WallClock()
    start = clock.monotonic()
    steps = plan.pairs * (1 + len(ARMS))
    with open_executor(settings, None, min(plan.workers, plan.pairs)) as pool:
        told = _Told(clock, start, steps, progress)
        failed: list[str] = []
        numbers = range(plan.pairs)
        drawn = _together(
            pool, [Task(draw, (plan, settings, n), name=f"the markets of pair {n + 1}") for n in numbers], told
        )
        failed += [found for found in drawn if isinstance(found, str)]
        pairs = [found for found in drawn if not isinstance(found, str)]
        first = [(pair, arm) for pair in pairs for arm in ARMS if arm != "shuffled"]
        done = _together(pool, [_task(plan, settings, pair, arm) for pair, arm in first], told)
        given = {
            pair.number: found[1]
            for (pair, arm), found in zip(first, done, strict=True)
            if arm == "retrieved" and not isinstance(found, str)
        }
        # What is shuffled is another pair's memory: as many lessons, as well founded, about other signals.
        lent = [given.get(pairs[(k + 1) % len(pairs)].number, ()) for k in range(len(pairs))]
        done += _together(
            pool, [_task(plan, settings, p, "shuffled", other) for p, other in zip(pairs, lent, strict=True)], told
        )  # fmt: skip
    campaigns: list[Campaign] = [found[0] for found in done if not isinstance(found, str)]
    failed += [found for found in done if isinstance(found, str)] + [c.error for c in campaigns if c.error]
    campaigns.sort(key=lambda c: (c.pair, ARMS.index(c.arm)))
    whole = Compounding(plan, tuple(campaigns), tuple(failed), clock.monotonic() - start)
    if not whole.pairs:
        raise EvaluationError(f"no pair of campaigns came to its end: {failed[0] if failed else 'there was none'}")
    return whole


def _task(plan: CompoundPlan, settings: Settings, pair: Any, arm: str, others: Sequence[Any] = ()) -> Task:
    return Task(run_campaign, (plan, settings, pair, arm, tuple(others)), name=f"pair {pair.number + 1}, memory {arm}")


class _Told:
    def __init__(
        self, clock: Clock, start: float, steps: int, progress: Callable[[int, int, float], None] | None
    ) -> None:
        self._clock, self._start, self._steps, self._progress = clock, start, steps, progress
        self._done = 0

    def one_more(self, count: int) -> None:
        self._done += count
        if self._progress is not None:
            self._progress(self._done, self._steps, self._clock.monotonic() - self._start)


def _together(pool: TaskExecutor, tasks: list[Task], told: _Told) -> list[Any]:
    """Every task's answer in order; the text of the error where it has none."""
    waiting: dict[Future[Any], int] = {pool.start(task): k for k, task in enumerate(tasks)}
    found: list[Any] = [""] * len(tasks)
    while waiting:
        ready, _ = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
        for future in ready:
            place = waiting.pop(future)
            try:
                found[place] = future.result()
            except MidasError as error:
                found[place] = error.message
        told.one_more(len(ready))
    return found
