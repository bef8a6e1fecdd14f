"""A calibration from start to end: jobs to worker processes, progress to whoever listens, outcomes to figures."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TYPE_CHECKING, Any

from midas_engine.alive import Scratch
from midas_engine.calibrate import work
from midas_engine.calibrate.features import FeatureOutcome
from midas_engine.calibrate.figures import Calibration, summarise
from midas_engine.calibrate.sessions import SessionOutcome
from midas_engine.clock import WallClock
from midas_engine.errors import EvaluationError, WorkerLostError, WorkersGoneError
from midas_engine.executor import Task, Workshop, open_executor
from midas_engine.market.shared_panel import SharedPanel
from midas_engine.market.sources import panel_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from midas_engine.calibrate.plan import CalibrationPlan, Job
    from midas_engine.clock import Clock
    from midas_engine.executor import TaskExecutor
    from midas_engine.market import Panel
    from midas_engine.settings import Settings


def calibrate(
    panel: Panel,
    settings: Settings,
    plan: CalibrationPlan,
    *,
    thresholds: Mapping[str, Any] | None = None,
    existing: Mapping[str, str] | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> Calibration:
    """Replay proposer, gates and detectors on targets with known truth, and count what they get wrong.

    Args:
        panel: The user's data.
        settings: Costs, parts, limits, proposer: those of a real session.
        plan: How much to replay.
        thresholds: The user's own; None takes the defaults.
        existing: Deployed features, name -> expression.
        progress: Told (jobs done, jobs in all, seconds so far).

    Raises:
        EvaluationError: The data is too short for both parts, no session could be replayed, or a job cost every
            worker that had it.
    """
    from midas_engine.evaluator import split_panel, validate_thresholds

    # Refused here and by name, rather than by the death of every worker.
    split_panel(panel, settings, settings.evaluation.target)
    whole = validate_thresholds(thresholds or {})
    jobs = plan.jobs()
    scratch = Scratch("calibrate")
    clock = WallClock()
    start = clock.monotonic()
    try:
        shared = SharedPanel.write(panel, scratch.path, source=settings.data, store=settings.store)
        workshop = Workshop(work.open_worker, (shared, settings, dict(existing or {}), whole, plan))
        with open_executor(settings, workshop, min(plan.workers, len(jobs))) as pool:
            outcomes = _collect(pool, jobs, clock, progress)
    except WorkerLostError as error:
        if isinstance(error, WorkersGoneError) and error.reason is not None:  # why no worker can begin
            raise error.reason from None
        raise EvaluationError(
            f"no worker of the calibration survived: {error.message}",
            hint="it may have run out of memory: try --workers 1, or fewer symbols, columns or bars; "
            + panel_size("the calibration", panel.T, panel.S, len(panel.fields)),
        ) from error
    finally:
        scratch.remove()
    # In the order of the plan, so that the figures do not depend on which worker was faster.
    ordered = [outcomes[k] for k in range(len(jobs))]
    failed = [o for o in ordered if isinstance(o, str)]
    failed += [o.error for o in ordered if isinstance(o, SessionOutcome) and o.error]
    sessions = [o for o in ordered if isinstance(o, SessionOutcome) and not o.error]
    features = [o for o in ordered if isinstance(o, FeatureOutcome)]
    if not sessions:
        raise EvaluationError(f"no session could be replayed: {failed[0] if failed else 'there was none'}")
    return summarise(panel, settings, plan, sessions, features, failed, clock.monotonic() - start)


def _collect(
    pool: TaskExecutor, jobs: list[Job], clock: Clock, progress: Callable[[int, int, float], None] | None
) -> dict[int, work.Outcome | str]:
    waiting: dict[Future[work.Outcome | str], int] = {
        pool.start(Task(work.do_job, (job,), name=f"replay {k + 1} of {len(jobs)}")): k for k, job in enumerate(jobs)
    }
    done: dict[int, work.Outcome | str] = {}
    start = clock.monotonic()
    while waiting:
        ready, _ = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
        for future in ready:
            done[waiting.pop(future)] = future.result()
        if progress is not None:
            progress(len(done), len(jobs), clock.monotonic() - start)
    return done
