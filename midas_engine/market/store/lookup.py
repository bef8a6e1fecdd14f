"""Which series and which symbols an address means, from the manifest alone."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from midas_engine.errors import DataFormatError, UnknownNameError
from midas_engine.market.store.address import bar_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from midas_engine.market.store.address import StoreAddress
    from midas_engine.market.store.manifest import Manifest, Series

_HOUR = 3600


def find_series(manifest: Manifest, address: StoreAddress, folder: Path) -> Series:
    """The series that an address names: of its bar length, else the only one, else the hourly one.

    Raises:
        DataFormatError: There is none, or several and none is hourly.
    """
    of_venue = {s.bar_seconds: s for s in manifest.series.values() if s.venue == address.venue and s.months}
    if not of_venue:
        there = ", ".join(sorted(k for k, s in manifest.series.items() if s.months)) or "nothing yet"
        raise DataFormatError(
            f"the store {folder} has no bars of {address.venue}",
            hint=f"it holds {there}; `midas data import PATH --venue {address.venue}` adds some",
        )
    lengths = ", ".join(bar_name(n) for n in sorted(of_venue))
    if address.bar_seconds is not None:
        if address.bar_seconds not in of_venue:
            raise DataFormatError(
                f"the store has no bars of {address.venue} of {bar_name(address.bar_seconds)}",
                hint=f"there are bars of {lengths}",
            )
        return of_venue[address.bar_seconds]
    if len(of_venue) > 1 and _HOUR not in of_venue:
        raise DataFormatError(
            f"the store has bars of {address.venue} of {lengths}", hint=f"say which: store:{address.venue}@BAR"
        )
    return of_venue[_HOUR if _HOUR in of_venue else next(iter(of_venue))]


def chosen_symbols(series: Series, wanted: Sequence[str]) -> tuple[str, ...]:
    """The wanted symbols as the store writes them; all when none is named.

    Raises:
        UnknownNameError: One is not there.
    """
    there = series.symbols
    folded: dict[str, list[str]] = {}
    for name in there:
        folded.setdefault(name.casefold(), []).append(name)
    out = []
    for name in wanted:
        near = [name] if name in there else folded.get(name.casefold(), [])
        if len(near) != 1:
            shown = ", ".join(there[:8]) + (f" and {len(there) - 8} more" if len(there) > 8 else "")
            raise UnknownNameError(f"no symbol {name!r} in {series.key} of the store", hint=f"there are: {shown}")
        out.append(near[0])
    return tuple(out) or there


def snapshot_of(series: Series, names: Sequence[str]) -> str:
    """What stands for the content of a panel of these symbols; nothing of the data is read for it."""
    return hashlib.blake2b(json.dumps([series.mark, list(names)]).encode(), digest_size=8).hexdigest()
