"""`MemorySink`: what a venue says now, kept in memory and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd


class MemorySink:
    """A `Sink` that begins empty, so that everything is asked for.

    Attributes:
        frames: Symbol -> figures by UTC open time.
    """

    def __init__(self) -> None:
        self.frames: dict[str, pd.DataFrame] = {}

    def held(self, venue: str, bar: str, symbol: str, columns: Sequence[str]) -> pd.DataFrame:
        """See `Sink.held`."""
        import pandas as pd

        empty = pd.DataFrame(index=pd.DatetimeIndex([], tz="UTC", name="timestamp"))
        whole = self.frames.get(symbol, empty)
        return whole[[c for c in columns if c in whole.columns]]

    def write(
        self, venue: str, bar: str, symbol: str, frame: pd.DataFrame, provenance: Mapping[str, str | int]
    ) -> None:
        """See `Sink.write`."""
        self.frames[symbol] = frame.combine_first(self.frames[symbol]) if symbol in self.frames else frame

    def flush(self) -> None:
        """See `Sink.flush`; nothing is left to do."""
