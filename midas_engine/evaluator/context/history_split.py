"""Research, confirmation and sealed holdout: three parts in time order with gaps between them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from midas_engine.errors import EvaluationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from midas_engine.settings import EvaluationSettings, Settings


@dataclass(frozen=True, slots=True)
class Parts:
    """Rows of each part. A part may be empty when its share is zero.

    Attributes:
        research: The proposer sees its figures.
        confirmation: Gates only; its figures never enter a prompt.
        holdout: Sealed; one look per accepted candidate.
    """

    research: slice
    confirmation: slice
    holdout: slice

    def named(self, part: str) -> slice:
        """Rows of the part called "research", "confirmation" or "holdout"."""
        if part not in ("research", "confirmation", "holdout"):
            raise EvaluationError(f"no part {part!r}", hint="research, confirmation or holdout")
        return {"research": self.research, "confirmation": self.confirmation, "holdout": self.holdout}[part]

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
    holdout_from: datetime | None = None,
) -> Parts:
    """Cut T bars into the three parts, purging `horizon` bars and an embargo between them.

    Args:
        bars: T.
        horizon: Longest forward return in bars that is scored.
        settings: Shares and embargo.
        timestamps: Bar open times, needed with `holdout_from`.
        holdout_from: The holdout starts no earlier than this: a model that read the market's history up to a
            cut-off date has not seen what follows.

    Raises:
        EvaluationError: Nothing is left for one of the parts.

    Example:
        >>> from midas_engine.settings import EvaluationSettings
        >>> split_parts(1000, 1, EvaluationSettings())
        Parts(research=slice(0, 601, None), confirmation=slice(650, 801, None), holdout=slice(850, 1000, None))
    """
    first_holdout = bars - round(bars * settings.holdout_share)
    if holdout_from is not None:
        if timestamps is None:
            raise EvaluationError("a holdout date needs the timestamps of the data")
        moment = holdout_from.astimezone(UTC).replace(tzinfo=None).isoformat()
        later = int(timestamps.searchsorted(timestamps.dtype.type(moment)))
        if later >= bars:
            raise EvaluationError(
                f"the data ends before {holdout_from:%Y-%m-%d}: there is no holdout after that date",
                hint="add newer data, or drop the model's knowledge cut-off date",
            )
        first_holdout = max(first_holdout, later)
    gap = horizon + settings.embargo_bars
    confirmation_bars = round(bars * settings.confirmation_share)
    first_confirmation = first_holdout - confirmation_bars
    holdout = slice(first_holdout, bars)
    confirmation_stop = first_holdout - (gap if Parts.bars(holdout) else 0)
    confirmation = slice(first_confirmation, max(first_confirmation, confirmation_stop))
    follows = confirmation_bars > 0 or Parts.bars(holdout) > 0
    research = slice(0, first_confirmation - (gap if follows else 0))
    too_short = [
        n
        for n, rows, wanted in (
            ("research", research, True),
            ("confirmation", confirmation, confirmation_bars > 0),
            ("holdout", holdout, settings.holdout_share > 0),
        )
        if wanted and Parts.bars(rows) < 1
    ]
    if too_short:
        raise EvaluationError(
            f"{bars} bars leave nothing for {' and '.join(too_short)} after a gap of {gap} bars between parts",
            hint="use more data, a shorter horizon or smaller shares",
        )
    return Parts(research, confirmation, holdout)


def split_history(timestamps: NDArray[np.datetime64], settings: Settings, horizon: int) -> Parts:
    """The three parts of a history under `settings`, the holdout after what the model in use may remember.

    Args:
        timestamps: Open times of the T bars, UTC.
        settings: Shares, embargo, and the model's knowledge cut-off date if one is set.
        horizon: Longest forward return in bars that is scored.

    Raises:
        EvaluationError: Nothing is left for one of the parts.
    """
    ends = settings.model.knowledge_ends
    return split_parts(len(timestamps), horizon, settings.evaluation, timestamps=timestamps, holdout_from=ends)
