"""How features are scored, in time or as a cross-section: one decision for the evaluator, the book and the live watch.

`cross_of` decides from the width of a history and the setting `evaluation.mode`. What is found keeps the mode it was
found in, because its promise is a score of that kind: a detector of the other kind would hold it to what it never
promised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.evaluator.context.layout import MODES, cross_of, live_symbols, mode_name, mode_words
from midas_engine.stats.causal_score import CROSS_MINIMUM

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from midas_engine.market.panel import Panel
    from midas_engine.models import FeatureRecord

KEPT = "mode"
"""Key of the mode among a feature's figures."""


def panel_is_cross(panel: Panel, mode: str = "auto") -> bool:
    """Whether a panel is scored as a cross-section: `cross_of` the whole of it.

    Raises:
        EvaluationError: There is no such mode, or the data is too narrow for it.
    """
    return cross_of(live_symbols(panel), panel.S, mode)


def kept_mode(extra: dict[str, Any]) -> dict[str, str]:
    """What a feature's figures keep of the mode that an evaluation's `extra` names.

    Example:
        >>> kept_mode({"mode": "time"}), kept_mode({"mode": "cross-section"})
        ({'mode': 'time'}, {})
    """
    return {KEPT: MODES[1]} if extra.get("mode") == MODES[1] else {}


def found_across(record: FeatureRecord, symbols: int) -> bool | None:
    """Whether a feature's promise is that of a cross-section, where `symbols` are watched; None: it has none to keep.

    A promise that was measured for the watch, not at a find, is of whatever mode the watch has.
    """
    if record.expected_score is None or not {KEPT, "measured_on"} & record.metrics.keys():
        return None
    return symbols >= CROSS_MINIMUM and record.metrics.get(KEPT) != MODES[1]


def watched_across(found: Iterable[bool | None], symbols: int, mode: str, panel: Panel | None = None) -> bool:
    """Whether what is watched is scored as a cross-section.

    The setting decides. Where it says auto, the mode in which the features were found does, as far as they agree; else
    the data.

    Args:
        found: `found_across` of what is watched.
        symbols: How many symbols are watched.
        mode: The setting `evaluation.mode`.
        panel: The data; None: the width alone.

    Raises:
        EvaluationError: The data is too narrow for the setting.
    """
    if mode == MODES[0]:
        known = {across for across in found if across is not None}
        if len(known) == 1:
            return known.pop()
        if panel is not None:
            return panel_is_cross(panel)
    return cross_of(np.array([symbols]), symbols, mode)


def monitor_mode(records: Iterable[FeatureRecord], symbols: int | None, mode: str) -> str:
    """The mode of a monitor that has no data of its own to ask: one of `MODES`.

    Args:
        records: What is watched.
        symbols: How many symbols are watched; None: the first bar will tell.
        mode: The setting `evaluation.mode`.

    Raises:
        EvaluationError: Too few symbols for the setting.
    """
    width = CROSS_MINIMUM if symbols is None else symbols
    cross = watched_across((found_across(record, width) for record in records), width, mode)
    return mode if symbols is None and cross else mode_name(cross)


def other_mode_words(names: Sequence[str], mode: str) -> str:
    """What is said of them.

    Example:
        >>> other_mode_words(("carry",), "cross-section")
        'carry was found in time and is watched as a cross-section: uncalibrated here'
    """
    were, are = ("were", "are") if len(names) > 1 else ("was", "is")
    cross = mode == MODES[2]
    found, watched = mode_words(not cross), mode_words(cross)
    return f"{', '.join(names)} {were} found {found} and {are} watched {watched}: uncalibrated here"
