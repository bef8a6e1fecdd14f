"""The sealed boundary of a part of the store: fixed in time at first use, and the same for ever after."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.errors import DataError
from midas_engine.market.store.address import bar_name
from midas_engine.market.store.lock import writing
from midas_engine.market.store.manifest import Seal, Series, read_manifest
from midas_engine.market.store.rows import instant
from midas_engine.market.store.transaction import Transaction

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.clock import Clock


@dataclass(frozen=True, slots=True)
class StoreOrigin:
    """Which part of a store a panel is; see `midas_engine.market.origin.Origin`.

    The boundary is fixed per universe. A universe that is new, but shares a symbol with one that has a boundary, takes
    over the earliest such boundary: naming the symbols in another way unseals nothing.

    Attributes:
        folder: The store.
        venue: Whose bars.
        bar_seconds: How long they are.
        universe: The symbols that were named; empty: all of the venue, also those that come later.
        clock: Dates the boundary.
    """

    folder: Path
    venue: str
    bar_seconds: int
    universe: tuple[str, ...]
    clock: Clock

    @property
    def identity(self) -> str:
        """Venue, bar length, universe and sealed boundary; appended bars do not change it."""
        sealed = self.sealed_from
        said = [self.venue, self.bar_seconds, sorted(self.universe), None if sealed is None else str(sealed)]
        return "store-" + hashlib.blake2b(json.dumps(said).encode(), digest_size=8).hexdigest()

    @property
    def sealed_from(self) -> np.datetime64 | None:
        """Open time of the first sealed bar; None before the first use."""
        found = self._fixed(self._series(read_manifest(self.folder).series))
        return None if found is None else instant(found)

    def seal(self, first: np.datetime64) -> np.datetime64:
        """The boundary; `first` when none was fixed, and then it is fixed.

        Raises:
            DataError: It cannot be written down: a boundary that is forgotten would be no boundary.
        """
        known = self.sealed_from
        if known is not None and self._own(self._series(read_manifest(self.folder).series)) is not None:
            return known
        with writing(self.folder):
            change = Transaction(self.folder)
            series = self._series(change.manifest.series)
            if series is None:
                raise DataError(
                    f"the store has no bars of {self.venue} of {bar_name(self.bar_seconds)} any more",
                    hint="`midas data info` says what it holds",
                )
            fixed = self._fixed(series)
            if self._own(series) is None:
                seconds = int(first.astype("datetime64[s]").astype(np.int64)) if fixed is None else fixed
                at = self.clock.now().astimezone(UTC).isoformat(timespec="seconds")
                seal = Seal(tuple(sorted(self.universe)), seconds, at)
                change.commit(replace(series, seals=(*series.seals, seal)))
                fixed = seconds
        assert fixed is not None
        return instant(fixed)

    def _series(self, known: dict[str, Series]) -> Series | None:
        return known.get(f"{self.venue}@{bar_name(self.bar_seconds)}")

    def _own(self, series: Series | None) -> int | None:
        mine = tuple(sorted(self.universe))
        return next((s.sealed_from for s in (series.seals if series else ()) if s.universe == mine), None)

    def _fixed(self, series: Series | None) -> int | None:
        if series is None or (own := self._own(series)) is not None:
            return None if series is None else own
        mine = set(self.universe)
        shared = [s.sealed_from for s in series.seals if not s.universe or not mine or mine & set(s.universe)]
        return min(shared, default=None)
