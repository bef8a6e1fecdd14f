"""Settings that have another name or unit today: read, converted, and said once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

SHARES = ("evaluation.confirmation_share", "evaluation.holdout_share")
_SHARE_DEFAULTS = {SHARES[0]: 0.2, SHARES[1]: 0.15}
_LEAST_SHARE = 0.05
_IN_BARS = {
    "evaluation.embargo_bars": "evaluation.embargo",
    "dsl.lookback_bars": "dsl.lookback",
    "dsl.total_lookback_bars": "dsl.total_lookback",
    "monitor.arl0_bars": "monitor.arl0",
}
FORMER = (*SHARES, *_IN_BARS)
"""Keys that settings files, the environment and flags of before may still hold."""

_LOG = logging.getLogger("midas.settings")
_SAID: set[str] = set()


def as_now(values: Mapping[str, Any], origin: str, *, tell: bool = True) -> dict[str, Any]:
    """`values` with every former key as what it is today; a key of today beside it wins.

    Args:
        values: Dotted keys of one layer.
        origin: Where they stood.
        tell: Say what was converted, once a process and place.

    Example:
        >>> as_now({"evaluation.holdout_share": 0.1, "evaluation.embargo_bars": 24}, "midas.toml", tell=False)
        {'evaluation.sealed_share': 0.3, 'evaluation.embargo': '24b'}
    """
    now = {key: value for key, value in values.items() if key not in FORMER}
    for new, (old, value) in _converted(values).items():
        if new not in values:
            now[new] = value
        if tell:
            fate = f"is read as {new} = {value}" if new not in values else f"is not used beside {new}"
            _say(f"{' and '.join(old)} in {origin} {fate}; write {new} instead")
    return now


def _converted(values: Mapping[str, Any]) -> dict[str, tuple[list[str], Any]]:
    found: dict[str, tuple[list[str], Any]] = {}
    shares = [key for key in SHARES if key in values]
    if shares:
        total: Any = None
        try:
            # Together they were kept from the researcher; together they are the sealed part.
            total = round(sum(float(values.get(key, _SHARE_DEFAULTS[key])) for key in SHARES), 6)
            total = max(total, _LEAST_SHARE)
        except (TypeError, ValueError):
            total = values[shares[0]]  # refused by name where every value is checked
        found["evaluation.sealed_share"] = (shares, total)
    for old, new in _IN_BARS.items():
        if old in values:
            value = values[old]
            try:
                value = f"{int(value)}b"
            except (TypeError, ValueError):
                value = str(value)
            found[new] = ([old], value)
    return found


def _say(note: str) -> None:
    if note not in _SAID:
        _SAID.add(note)
        _LOG.warning(note)
