"""`StoreSink`: fetched columns into the market store, many contracts in one change of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.errors import DataDefectError, DataError
from midas_engine.market.provenance import Provenance
from midas_engine.market.store.address import bar_length, bar_name, venue_name
from midas_engine.market.store.segment_file import read_segment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from midas_engine.clock import Clock
    from midas_engine.market.store import MarketStore
    from midas_engine.market.store.manifest import Series

# A change of the store writes a file a month: few large ones are quicker than many small ones. What a killed process
# had not written yet is fetched again.
MOST_ROWS = 200_000
MOST_SECONDS = 30.0
_TRIES = 5


class StoreSink:
    """A `Sink` that is the market store. Call `flush` at the end.

    Args:
        store: Where the bars go.
        clock: For the dates of what is written, and for how long it may wait.
    """

    def __init__(self, store: MarketStore, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._waiting: dict[tuple[str, str], dict[str, pd.DataFrame]] = {}
        self._given: dict[tuple[str, str], dict[str, Provenance]] = {}
        self._rows = 0
        self._since = clock.monotonic()

    def held(self, venue: str, bar: str, symbol: str, columns: Sequence[str]) -> pd.DataFrame:
        """See `Sink.held`."""
        waiting = self._waiting.get((venue, bar), {}).get(symbol)
        if waiting is not None and set(columns) & set(waiting.columns):
            self.flush()
        key = f"{venue_name(venue)}@{bar_name(bar_length(bar))}"
        for _ in range(_TRIES):
            manifest = self._store.manifest()
            series = manifest.series.get(key)
            try:
                return self._read(series, symbol, columns)
            except (FileNotFoundError, DataDefectError):
                if self._store.manifest().number == manifest.number:  # nobody changed it meanwhile: it is damaged
                    raise
        raise DataError(f"the store {self._store.path} changes faster than it can be read", hint="try again")

    def _read(self, series: Series | None, symbol: str, columns: Sequence[str]) -> pd.DataFrame:
        import pandas as pd

        found = []
        for segment in series.segments() if series is not None else ():
            wanted = [c for c in columns if c in segment.columns]
            if symbol not in segment.symbols or not wanted:
                continue
            rows = read_segment(self._store.path, segment, wanted)
            mine = rows.codes == rows.symbols.index(symbol)
            index = pd.DatetimeIndex(rows.seconds[mine].astype("datetime64[s]").astype("datetime64[ns]"))
            found.append(pd.DataFrame({c: rows.columns[c][mine] for c in wanted}, index=index))
        if not found:
            return pd.DataFrame(index=pd.DatetimeIndex([], tz="UTC", name="timestamp"))
        whole = pd.concat(found).sort_index().tz_localize("UTC").rename_axis("timestamp")
        there = [c for c in columns if c in whole.columns]
        return whole[there].dropna(how="all")

    def write(
        self, venue: str, bar: str, symbol: str, frame: pd.DataFrame, provenance: Mapping[str, str | int]
    ) -> None:
        """See `Sink.write`."""
        key = (venue, bar)
        frames = self._waiting.setdefault(key, {})
        frames[symbol] = frame if symbol not in frames else frame.combine_first(frames[symbol])
        exchange, picked = str(provenance["exchange"]), str(provenance["picked"])
        source = exchange if picked == "named" else f"{exchange}, {picked}"
        given = Provenance("fetched", source, str(provenance["group"]), self._clock.now())
        self._given.setdefault(key, {}).update(dict.fromkeys(map(str, frame.columns), given))
        self._rows += len(frame)
        if self._rows >= MOST_ROWS or self._clock.monotonic() - self._since >= MOST_SECONDS:
            self.flush()

    def flush(self) -> None:
        """See `Sink.flush`."""
        for (venue, bar), frames in self._waiting.items():
            plain = {s: _without_zone(f) for s, f in frames.items()}
            self._store.append(venue, bar, plain, self._given[venue, bar])
        self._waiting, self._given, self._rows = {}, {}, 0
        self._since = self._clock.monotonic()


def _without_zone(frame: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    plain: pd.DataFrame = frame.set_axis(pd.DatetimeIndex(frame.index).tz_convert("UTC").tz_localize(None))
    return plain
