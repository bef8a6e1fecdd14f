"""The sentence about a running engine: what a status line, a window's title and `midas status` say first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.sentence import Sentence, Standing, sentence

if TYPE_CHECKING:
    from midas_engine.models import PipelineSummary
    from midas_engine.runtime.runtime import Runtime


def standing(runtime: Runtime, summary: PipelineSummary | None = None) -> Standing:
    """What is known of everything that is watched.

    Args:
        runtime: A started runtime.
        summary: The pipeline, to tell which live features nobody watches; None: not asked.
    """
    from midas_engine.monitor.alerts.incidents import incidents
    from midas_engine.monitor.alerts.order import loudest_first

    queries, supervisor = runtime.queries, runtime.supervisor
    metrics = queries.metrics()
    running = loudest_first(queries.alerts())
    return Standing(
        phase=supervisor.phase,
        detail=supervisor.detail,
        metrics=tuple(metrics.values()),
        incidents=tuple(incidents(running, len(metrics))),
        troubles=runtime.troubles(),
        unwatched=len(queries.watch_report(summary).unwatched) if summary is not None else 0,
        proposals=queries.kill_proposals(),
        ended=runtime.data_ends if runtime.mode == "OFFLINE" else None,
        money=queries.money(),
    )


def sentence_of(runtime: Runtime, summary: PipelineSummary | None = None) -> Sentence:
    """The most important thing now."""
    return sentence(standing(runtime, summary))
