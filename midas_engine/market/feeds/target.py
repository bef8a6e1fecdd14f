"""The live target: which columns a feature may use that is to run there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.errors import SettingsError
from midas_engine.market.feeds.open import FORMS, is_live, split_grace
from midas_engine.market.venues.client import BAR_SECONDS
from midas_engine.market.venues.live_columns import venue_columns

if TYPE_CHECKING:
    from collections.abc import Iterable


def target_columns(target: str) -> tuple[str, ...]:
    """Every column that bars of `target` have.

    Args:
        target: live:EXCHANGE[:SYMBOLS][@BAR], or follow:PATH, whose file says what it has.

    Raises:
        SettingsError: It names no live source.
        DataError: The file cannot be read.

    Example:
        >>> "open_interest" in target_columns("live:binance@1h"), "open_interest" in target_columns("live:binance@1m")
        (True, False)
    """
    hint = f"write {FORMS}"
    if not is_live(target):
        raise SettingsError(f"target = {target!r} names no live source", hint=hint)
    source, _ = split_grace(target)
    kind, _, rest = source.partition(":")
    if kind == "follow":
        from midas_engine.market.sources import load_panel

        return load_panel(rest).columns
    names, _, bar = rest.partition("@")
    venue = names.partition(":")[0].strip().lower()
    if not venue or (bar or "1h") not in BAR_SECONDS:
        raise SettingsError(f"target = {target!r} names no live source", hint=hint)
    return venue_columns(venue, bar or "1h")


def not_there(target: str, columns: Iterable[str]) -> tuple[str, ...]:
    """Those of `columns` that bars of the target lack; none where no target is set."""
    if not target:
        return ()
    there = set(target_columns(target))
    return tuple(c for c in columns if c not in there)


def refusal(target: str, lacking: Iterable[str]) -> str:
    """Why a feature cannot run at the target, in words."""
    return f"{target} gives no {', '.join(lacking)}: it could not be computed there"
