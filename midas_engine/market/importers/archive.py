"""A venue's public archive on disk: zips in folders by market, kind and symbol, with checksum files beside them."""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePath
from typing import TYPE_CHECKING

from midas_engine.errors import DataFormatError

if TYPE_CHECKING:
    from pathlib import Path

CHECKSUM = ".CHECKSUM"
_SHA256 = re.compile(rb"\s*\\?([0-9A-Fa-f]{64})\b")
_MOST_BYTES = 4096
# Folders of an archive that hold no bars, and may hold gigabytes.
_NO_BARS = {
    "trades": "trades",
    "aggTrades": "trades",
    "bookTicker": "quotes",
    "bookDepth": "order books",
    "liquidationSnapshot": "liquidations",
    "BVOLIndex": "an index of options",
    "EOHSummary": "a summary of options",
}
_KINDS = {"um": "linear futures", "cm": "inverse futures"}
_PLACES = {"spot": "spot"} | dict.fromkeys(("futures", "perp", "perps", "perpetual", "perpetuals", "swap"), "futures")
_PERIODS = ("daily", "monthly")


def market_of(path: str) -> str:
    """Which market the folders of an archive say a file is of; empty where they do not say.

    Example:
        >>> market_of("data/futures/um/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2024-01.zip")
        'linear futures'
        >>> market_of("data/spot/daily/klines/BTCUSDT/1h/x.zip"), market_of("perps/BTCUSDT-1h.csv")
        ('spot', 'futures')
    """
    parts = PurePath(path).parts[:-1]
    for before, kind, period in zip(("", *parts), parts, parts[1:], strict=False):
        if period in _PERIODS and (kind == "spot" or (before == "futures" and kind in _KINDS)):
            return _KINDS.get(kind, "spot")
    # a person's own folders say it in a word
    return next((_PLACES[part.lower()] for part in reversed(parts) if part.lower() in _PLACES), "")


def refuse_no_bars(path: Path) -> None:
    """Set a file aside by the folder of the archive it lies in, before it is unpacked.

    Raises:
        DataFormatError: It holds trades, quotes or books.
    """
    parts = path.parts[:-1]
    for period, kind in zip(parts, parts[1:], strict=False):
        if period in _PERIODS and kind in _NO_BARS:
            raise DataFormatError(f"{path.name} holds {_NO_BARS[kind]}", hint="Midas reads bars: aggregate them first")


def verify(path: Path, data: bytes) -> None:
    """Hold a file against the checksum that lies beside it, where one does.

    Raises:
        DataFormatError: They differ, or the file beside it holds no checksum.
    """
    beside = path.with_name(path.name + CHECKSUM)
    try:
        with beside.open("rb") as stream:
            said = _SHA256.match(stream.read(_MOST_BYTES))
    except FileNotFoundError:
        return
    except OSError as error:
        raise DataFormatError(f"{beside.name} cannot be read: {error.strerror}") from error
    if said is None:
        raise DataFormatError(f"{beside.name} holds no SHA-256 checksum", hint="download it again, or remove it")
    found, wanted = hashlib.sha256(data).hexdigest(), said[1].decode().lower()
    if found != wanted:
        raise DataFormatError(
            f"{path.name} is not what its checksum says: {found[:12]}... where {wanted[:12]}... belongs",
            hint="it was cut, damaged or changed: download both again",
        )


def without_file(folder: Path) -> list[str]:
    """Names of archives whose checksum lies below `folder` and who do not."""
    found = sorted(p for p in folder.rglob(f"*{CHECKSUM}") if p.is_file())
    return [p.name.removesuffix(CHECKSUM) for p in found if not p.with_name(p.name.removesuffix(CHECKSUM)).exists()]
