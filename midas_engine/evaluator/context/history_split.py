"""Research and one sealed part: two parts of a history in time order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.durations import bars_of
from midas_engine.errors import EvaluationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from midas_engine.market import Panel
    from midas_engine.settings import EvaluationSettings, Settings

PARTS = ("research", "sealed")
EMBARGO_SHARE = 10
"""The embargo takes at most one in so many bars of the sealed part, so that short histories keep theirs."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Rows of each part.

    Attributes:
        research: The proposer sees its figures.
        sealed: The last part. Each candidate that research lets through meets it once, at the lifetime's level; its
            figures never enter a prompt.
    """

    research: slice
    sealed: slice

    def named(self, part: str) -> slice:
        """Rows of the part called "research" or "sealed"."""
        if part not in PARTS:
            raise EvaluationError(f"no part {part!r}", hint=" or ".join(PARTS))
        return self.research if part == "research" else self.sealed

    @staticmethod
    def bars(rows: slice) -> int:
        """Length of a part."""
        return max(0, int(rows.stop) - int(rows.start))


def split_parts(
    bars: int,
    horizon: int,
    settings: EvaluationSettings,
    *,
    timestamps: NDArray[np.datetime64] | None = None,
    sealed_from: datetime | None = None,
    scored: NDArray[np.bool_] | None = None,
) -> Parts:
    """Cut T bars into research and the sealed part, purging `horizon` bars of research before the cut.

    The embargo is not cut here: how far a feature remembers is its own (`embargoed`).

    Args:
        bars: T.
        horizon: Longest forward return in bars that reaches out of a part.
        settings: The share.
        timestamps: Bar open times, needed with `sealed_from`.
        sealed_from: The sealed part starts no earlier than this: a model that read the market's history up to a
            cut-off date has not seen what follows.
        scored: Bars on which anything can be scored [T]; the share is one of these, so that a history that is empty
            at its start, or in which most symbols end early, is cut where its evidence is. None: all.

    Raises:
        EvaluationError: Nothing is left for one of the parts.

    Example:
        >>> from midas_engine.settings import EvaluationSettings
        >>> split_parts(1000, 1, EvaluationSettings())
        Parts(research=slice(0, 649, None), sealed=slice(650, 1000, None))
    """
    first = bars - round(bars * settings.sealed_share)
    if scored is not None and scored.any():
        places = np.flatnonzero(scored)
        kept = len(places) - round(len(places) * settings.sealed_share)
        first = int(places[min(kept, len(places) - 1)])
    if sealed_from is not None:
        if timestamps is None:
            raise EvaluationError("a date from which to seal needs the timestamps of the data")
        moment = sealed_from.astimezone(UTC).replace(tzinfo=None).isoformat()
        later = int(timestamps.searchsorted(timestamps.dtype.type(moment)))
        if later >= bars:
            raise EvaluationError(
                f"the data ends before {sealed_from:%Y-%m-%d}: there is nothing to seal after that date",
                hint="add newer data, or drop the model's knowledge cut-off date",
            )
        first = max(first, later)
    return _checked(Parts(slice(0, max(0, first - horizon)), slice(first, bars)), bars, horizon)


def _checked(parts: Parts, bars: int, horizon: int) -> Parts:
    short = [name for name in PARTS if Parts.bars(parts.named(name)) < 1]
    if short:
        raise EvaluationError(
            f"{bars} bars leave nothing for the {' and the '.join(short)} part, {horizon} bars purged between the two",
            hint="use more data, a shorter horizon or another evaluation.sealed_share",
        )
    return parts


def split_history(
    timestamps: NDArray[np.datetime64],
    settings: Settings,
    horizon: int,
    scored: NDArray[np.bool_] | None = None,
) -> Parts:
    """The parts of a history under `settings`, sealed after what the model in use may remember.

    Args:
        timestamps: Open times of the T bars, UTC.
        settings: The share, and the model's knowledge cut-off date if one is set.
        horizon: Longest forward return in bars that reaches out of a part.
        scored: See `split_parts`.

    Raises:
        EvaluationError: Nothing is left for one of the parts.
    """
    ends = settings.model.knowledge_ends
    return split_parts(
        len(timestamps), horizon, settings.evaluation, timestamps=timestamps, sealed_from=ends, scored=scored
    )


def split_panel(panel: Panel, settings: Settings, horizon: int) -> Parts:
    """`split_history` of a panel; of one that was opened from a store the boundary is the one fixed at first use.

    A first use fixes it. Bars that were appended since are sealed like those before them, and never unseal any; a model
    that may remember some of the sealed bars is judged on those after its knowledge ends.

    Args:
        panel: The history.
        settings: See `split_history`.
        horizon: See `split_history`.

    Raises:
        EvaluationError: Nothing is left for one of the parts.
        DataError: The boundary cannot be written down.
    """
    from midas_engine.evaluator.context.layout import cross_of, live_symbols, scored_bars

    scored = None
    if "close" in panel.columns:
        live = live_symbols(panel)
        scored = scored_bars(live, cross_of(live, panel.S, settings.evaluation.mode))
    if panel.origin is None:
        return split_history(panel.timestamps, settings, horizon, scored)
    known = panel.origin.sealed_from
    if known is None:
        known = panel.timestamps[split_history(panel.timestamps, settings, horizon, scored).sealed.start]
    first = int(np.searchsorted(panel.timestamps, panel.origin.seal(known)))
    ends = settings.model.knowledge_ends
    later = first
    if ends is not None:
        later = int(np.searchsorted(panel.timestamps, np.datetime64(ends.astimezone(UTC).replace(tzinfo=None), "ns")))
    parts = Parts(slice(0, max(0, first - horizon)), slice(max(first, later), panel.T))
    return _checked(parts, panel.T, horizon)


def embargo_of(setting: str, memory: int, bar_seconds: float, sealed: slice) -> int:
    """Bars at the start of the sealed part that are left out of a candidate's score.

    Args:
        setting: `evaluation.embargo`: a duration, or "auto" for the feature's own memory.
        memory: Bars of past that the feature needs.
        bar_seconds: Length of a bar.
        sealed: Rows of the sealed part.

    Example:
        >>> embargo_of("auto", 24, 3600, slice(650, 1000)), embargo_of("2d", 24, 3600, slice(650, 1000))
        (24, 35)
    """
    wanted = memory if setting == "auto" else bars_of(setting, bar_seconds)
    return min(wanted, Parts.bars(sealed) // EMBARGO_SHARE)


def embargoed(values: NDArray[np.float64], sealed: slice, bars: int) -> NDArray[np.float64]:
    """A copy of values [T, S] without the first `bars` rows of the sealed part, whose memory reaches into research."""
    if bars <= 0:
        return values
    found = np.array(values, dtype=np.float64)
    found[sealed.start : sealed.start + bars] = np.nan
    return found
