"""`Origin`: what a panel that was opened from a store knows of where it lies, beyond its figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np


class Origin(Protocol):
    """Where a panel comes from, when that place goes on growing.

    The trial ledger goes by `identity` and not by the content: bars that are appended later are forward evidence, not
    another data set. And the sealed part begins where it began when it was first used.

    Example of use, where a history is cut into its parts::

        first = boundary by share          # of a panel without an origin this is the boundary
        if panel.origin is not None:
            first = panel.origin.seal(first)   # the one fixed at first use; `first`, fixed now, when there was none
    """

    @property
    def identity(self) -> str:
        """Venue, bar length, universe and sealed boundary, as one short text: the data set of a trial's key."""
        ...

    @property
    def sealed_from(self) -> np.datetime64 | None:
        """Open time of the first sealed bar; None before the first use."""
        ...

    def seal(self, first: np.datetime64) -> np.datetime64:
        """The sealed boundary: the one that was fixed, else `first`, which is fixed by this call for good.

        Raises:
            DataError: It cannot be written down.
        """
        ...


@dataclass(frozen=True, slots=True)
class FixedOrigin:
    """The origin of a copy of a panel, such as a worker's: what the first process fixed, and nothing more.

    Attributes:
        identity: See `Origin`.
        sealed_from: See `Origin`.
    """

    identity: str
    sealed_from: np.datetime64

    def seal(self, first: np.datetime64) -> np.datetime64:
        """The boundary that was fixed."""
        return self.sealed_from
