"""decay_detector: the monitor's own tests as one small object, for anyone's streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import MonitorError
from midas_engine.monitor.bars.inputs import LARGEST
from midas_engine.monitor.state.codec import pack, prefixed, under, unpack
from midas_engine.stats.causal_score import CausalScorer
from midas_engine.stats.sequential import Reference, SequentialBank
from midas_engine.stats.sequential_reference import expected_reference, measure_score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

KINDS = ("critical", "kill")


def decay_detector(
    expected_ic: float,
    history_values: Any = None,
    history_returns: Any = None,
    *,
    arl0: float = 8760,
    kind: str = "critical",
) -> DecayDetector:
    """A detector of decay for one feature.

    Args:
        expected_ic: The IC the feature is expected to have with the next one-bar return, positive.
        history_values: Past values [T] (or [T, S] for a panel), oldest first; value t is known at the close of bar t.
        history_returns: The one-bar return that follows each of them, in the same shape. With a history the
            reference score and its noise are measured there; without one they are those of a typical market.
        arl0: Bars between false alarms of a healthy feature.
        kind: "critical" tests whether it lost its edge, "kill" whether it is certainly below half of it.

    Raises:
        MonitorError: An IC that is not in (0, 1), histories of different shapes, an unknown kind.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> detector = decay_detector(0.15)
        >>> value = rng.normal(size=5000)
        >>> returns = 0.01 * (-0.15 * value + rng.normal(size=5000))  # the sign has flipped
        >>> alarms = [t for t in range(5000) if detector.update(value[t], returns[t])]
        >>> alarms[0] < 500
        True
    """
    if kind not in KINDS:
        raise MonitorError(f"unknown kind of detector {kind!r}", hint="use 'critical' or 'kill'")
    if (history_values is None) != (history_returns is None):
        raise MonitorError("a history needs values and returns")
    scorer, measured = None, None
    if history_values is not None:
        values, returns = _matrix(history_values), _matrix(history_returns)
        if values.shape != returns.shape:
            raise MonitorError(f"history values {values.shape} and returns {returns.shape} must have one shape")
        scorer = CausalScorer(1, values.shape[1])
        u, w = np.empty(len(values)), np.empty(len(values))
        for t in range(len(values)):
            scorer.update(values[t : t + 1], returns[t])
            u[t], w[t] = scorer.u[0], scorer.w[0]
        measured = measure_score(u, w)
    reference = expected_reference(expected_ic, measured, cautious=kind == "kill")
    return DecayDetector(reference, arl0=arl0, kind=kind, scorer=scorer)


class DecayDetector:
    """One feature's detector; O(1) state, O(1) per bar. Build it with `decay_detector`.

    Attributes:
        kind: "critical" or "kill".
        alarms: How often it has fired.
    """

    def __init__(
        self, reference: Reference, *, arl0: float = 8760, kind: str = "critical", scorer: CausalScorer | None = None
    ) -> None:
        self.kind = kind
        self.reference = reference
        self.alarms = 0
        self._bank = SequentialBank([reference], arl0=arl0)
        self._scorer = scorer

    def update(self, value: Any, forward_return: Any) -> bool:
        """Take one bar; True when the detector fires on it (it then starts again).

        Args:
            value: The feature at the close of a bar, a number, or [S] for a panel.
            forward_return: The one-bar return that followed, in the same shape. NaN on either side: no score.
        """
        values = np.array(value, np.float64).reshape(1, -1)
        returns = np.array(forward_return, np.float64).reshape(-1)
        values[~(np.abs(values) <= LARGEST)] = np.nan
        returns[~(np.abs(returns) <= LARGEST)] = np.nan
        if self._scorer is None:
            self._scorer = CausalScorer(1, values.shape[1])
        if values.shape[1] != self._scorer.symbols or len(returns) != self._scorer.symbols:
            raise MonitorError(f"a bar of {values.shape[1]} values came to a detector of {self._scorer.symbols}")
        self._scorer.update(values, returns)
        self._bank.update(self._scorer.u, self._scorer.w)
        fired = bool((self._bank.decay_fired if self.kind == "critical" else self._bank.kill_fired)[0])
        self.alarms += fired
        return fired

    @property
    def log_s(self) -> float:
        """Ln of the statistic; it fires at `threshold`."""
        logs = self._bank.decay_log_s if self.kind == "critical" else self._bank.kill_log_e
        return float(logs[0])

    @property
    def threshold(self) -> float:
        """Where it fires, in the unit of `log_s`."""
        return self._bank.threshold

    def state(self) -> bytes:
        """Everything a restart needs, as one npz."""
        symbols = self._scorer.symbols if self._scorer is not None else 0
        meta = {"kind": self.kind, "alarms": self.alarms, "symbols": symbols, "arl0": self._bank.arl0}
        scorer = prefixed("scorer", self._scorer.arrays()) if self._scorer is not None else {}
        return pack(meta, {**prefixed("bank", self._bank.arrays()), **scorer})

    def restore(self, blob: bytes) -> None:
        """Go on from `state`; MonitorError when it is damaged or of another kind."""
        meta, arrays = unpack(blob)
        if meta.get("kind") != self.kind or meta.get("arl0") != self._bank.arl0:
            raise MonitorError("the saved state is of another detector")
        self._bank.load(under("bank", arrays))
        self.reference = self._bank.reference(0)
        self.alarms = int(meta["alarms"])
        self._scorer = None
        if meta["symbols"]:
            self._scorer = CausalScorer(1, int(meta["symbols"]))
            self._scorer.load(under("scorer", arrays))


def _matrix(given: Any) -> Floats:
    array = np.array(given, np.float64)
    if array.ndim not in (1, 2) or not array.size:
        raise MonitorError(f"a history of shape {array.shape} cannot be read", hint="give [T] or [T, S]")
    array[~(np.abs(array) <= LARGEST)] = np.nan
    return np.ascontiguousarray(array if array.ndim == 2 else array[:, None])
