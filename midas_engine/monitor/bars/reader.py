"""One bar as a caller hands it over, read whole or refused whole: a bar that is half understood is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import MonitorError
from midas_engine.monitor.bars.complaints import Complaint
from midas_engine.monitor.bars.inputs import count_symbols, labels_of, read_returns, read_time, read_values
from midas_engine.monitor.figures.fills import read_fills

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GivenBar:
    """A bar as the caller gave it: see `OnlineMonitor.process_update`."""

    moment: Any
    values: Any
    returns: Any
    fills: Any
    regime: Any
    context: Any


@dataclass(frozen=True, slots=True)
class ReadBar:
    """A bar that was understood.

    Attributes:
        at: Its time, UTC.
        symbols: How many symbols it has.
        values: [F, S].
        returns: [S]; None when none were given.
        fills: Realised and expected slippage of each feature, bps, [F] each.
        regime: Label; empty when there is none.
        context: What a diagnosis may want to know.
        complaints: What of it was left aside.
    """

    at: datetime
    symbols: int
    values: Floats
    returns: Floats | None
    fills: tuple[Floats, Floats]
    regime: str
    context: dict[str, Any]
    complaints: list[Complaint] = field(default_factory=list)

    def packed(self, index: int, names: Sequence[str], *, own: bool) -> tuple[dict[str, Any], dict[str, Floats]]:
        """The bar as it is written ahead and handed to the fleet.

        Args:
            index: Its number.
            names: The symbols, where they are known.
            own: The returns are its own, not those that follow it.
        """
        label = self.returns
        if own and label is None:
            label = np.full(self.symbols, np.nan)
        meta: dict[str, Any] = {"index": index, "regime": self.regime, "own": own, "labelled": label is not None}
        if names:
            meta["symbols"] = list(names)
        returns = label if label is not None else np.zeros(0)
        return meta, {"values": self.values, "returns": returns, "fills": np.array(self.fills)}


class BarReader:
    """Reads bars; remembers the names of the symbols.

    Names that are declared give arrays their order, and mappings and Series are put in it. Without them the first
    mapping teaches the names, and arrays beside it are read in its order, which is said.

    Args:
        names: The symbols, in the order of the arrays; None: not known.
    """

    def __init__(self, names: Sequence[str] | None = None) -> None:
        self.declared = tuple(str(name) for name in names) if names is not None else ()
        if len(set(self.declared)) != len(self.declared):
            raise MonitorError("a symbol is named twice")
        self.order = {name: place for place, name in enumerate(self.declared)}

    @property
    def names(self) -> tuple[str, ...]:
        """The symbols' names in their order; empty: not known."""
        return tuple(self.order)

    def remember(self, names: Sequence[str]) -> None:
        """Take the names that an earlier run learned."""
        if not self.order:
            self.order = {str(name): place for place, name in enumerate(names)}

    def read(
        self,
        given: GivenBar,
        features: Sequence[str],
        rows: Mapping[str, int],
        *,
        symbols: int | None,
        expected_bps: float,
    ) -> ReadBar:
        """The bar, clean.

        Args:
            given: What the caller handed over.
            features: Names that are watched.
            rows: Their places.
            symbols: How many symbols a bar has; None: this is the first.
            expected_bps: Slippage that is expected where the fills do not say.

        Raises:
            MonitorError: Something in it is not what it should be; says what, and what is expected. Nothing of the
                reader has changed.
        """
        at = read_time(given.moment)
        try:
            return self._read(at, given, features, rows, symbols, expected_bps)
        except MonitorError:
            raise
        except Exception as error:  # a foreign object's own methods may raise anything
            raise MonitorError(f"the bar cannot be read: {type(error).__name__}: {error}") from error

    def _read(
        self,
        at: datetime,
        given: GivenBar,
        features: Sequence[str],
        rows: Mapping[str, int],
        symbols: int | None,
        expected_bps: float,
    ) -> ReadBar:
        values = given.values
        if not isinstance(values, Mapping):
            raise MonitorError(
                f"feature_values came as {type(values).__name__}",
                hint="give {feature: number}, or {feature: array over symbols}",
            )
        unknown = [name for name in values if name not in rows]
        if unknown and len(unknown) == len(values):
            raise MonitorError(
                f"none of its features is watched: {', '.join(map(str, unknown[:3]))}",
                hint="watched: " + ", ".join(list(features)[:8]),
            )
        order = self.order or self._learned(given, features)
        if symbols is not None and len(order) != symbols:
            order = {}
        if symbols is None:
            symbols = len(order) if order else count_symbols({n: values.get(n) for n in features}, given.returns)
        returns = given.returns
        clean = read_values(values, features, symbols, order or None)
        label = None if returns is None else read_returns(returns, symbols, order or None)
        try:
            realised, expected, problems = read_fills(given.fills, features, expected_bps, rows)
        except Exception as error:  # the bar is good without them
            realised, expected = np.full(len(features), np.nan), np.full(len(features), np.nan)
            problems = [f"{type(error).__name__}: {error}"]
        complaints = [Complaint(f"fills: {text}", f"fills: {text}", _FILLS_HINT) for text in problems]
        complaints += self._strangers(order, values, returns, features)
        regime, context = given.regime, given.context
        label_text = "" if regime is None or regime != regime else str(regime)
        if context is not None and not isinstance(context, Mapping):
            complaints.append(Complaint("context", f"market_context came as {type(context).__name__} and was ignored"))
            context = None
        self.order = order
        return ReadBar(at, symbols, clean, label, (realised, expected), label_text, dict(context or {}), complaints)

    def _learned(self, given: GivenBar, features: Sequence[str]) -> dict[str, int]:
        """The symbols of a first mapping, in its order; empty: everything comes by position."""
        for value in (*(given.values.get(name) for name in features), given.returns):
            if isinstance(value, Mapping) and value:
                return {label: place for place, label in enumerate(labels_of(value) or ())}
        return {}

    def _strangers(
        self, order: Mapping[str, int], values: Mapping[str, Any], returns: Any, features: Sequence[str]
    ) -> list[Complaint]:
        """What was read by an order that nobody declared, and symbols that are not watched."""
        if not order:
            return []
        told: list[Complaint] = []
        strange: dict[str, None] = {}
        for name, value in (*((n, values.get(n)) for n in features), ("forward_return", returns)):
            labels = labels_of(value)
            if labels is None and not self.declared and np.size(value) > 1:
                text = f"{name} came by position, and is read in the order {', '.join(list(order)[:8])}"
                told = [Complaint("order", text, "give symbols=[names] to the monitor to fix the order")]
            strange |= dict.fromkeys(label for label in labels or () if label not in order)
        if strange:
            text = f"{', '.join(list(strange)[:3])}: no symbol of the monitor; what came for it was left aside"
            hint = "start a monitor with the new symbols"
            told.append(Complaint(f"symbols {sorted(strange)[:3]}", text, hint))
        return told


_FILLS_HINT = 'give {"slippage_bps": 3.2}, {feature: {"slippage_bps": 3.2}} or {feature: 3.2}'


def too_early(at: datetime, now: datetime, bar_seconds: int) -> bool:
    """The time of a bar lies more than a bar ahead of the clock."""
    return at - now > timedelta(seconds=bar_seconds)
