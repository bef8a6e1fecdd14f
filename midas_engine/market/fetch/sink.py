"""`Sink`: where fetched columns go: the market store, or a folder of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd


class Sink(Protocol):
    """What a fetch needs of the place it fills. What is written is there whole or not at all, however it ends."""

    def held(self, venue: str, bar: str, symbol: str, columns: Sequence[str]) -> pd.DataFrame:
        """What is there of `columns`: float64, indexed by UTC open times in order; without those that are not there."""
        ...

    def write(
        self, venue: str, bar: str, symbol: str, frame: pd.DataFrame, provenance: Mapping[str, str | int]
    ) -> None:
        """Keep the figures of `frame`: its columns at its times; figures that were there are replaced.

        Args:
            venue: Whose market; inverse contracts of a venue are another one.
            bar: Bar size, such as 1h.
            symbol: The contract.
            frame: float64 columns, indexed by UTC open times.
            provenance: Where they are from, how, and how many were restated.
        """
        ...

    def flush(self) -> None:
        """Make everything that was written last."""
        ...
