"""The fleet: engine, bar stream and episodes of all live features, and what one bar does to them."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import MonitorError
from midas_engine.evaluator.context.layout import MODES, mode_name
from midas_engine.events import KillProposed
from midas_engine.models import Severity
from midas_engine.monitor.alerts.engine import FLEET
from midas_engine.monitor.alerts.incidents import incidents
from midas_engine.monitor.alerts.rules import DETECTOR, FLEET_RULES, all_rules
from midas_engine.monitor.bars.grid import Arrival, BarStream
from midas_engine.monitor.bars.input_screen import InputScreen
from midas_engine.monitor.days import DayLedger
from midas_engine.monitor.figures.engine import EngineConfig, MonitorEngine
from midas_engine.monitor.figures.metrics import feature_metrics
from midas_engine.monitor.figures.portfolio import PORTFOLIO
from midas_engine.monitor.shadow_evidence import ShadowEvidence
from midas_engine.monitor.shadow_record import MOST_LINES, shadow_lines
from midas_engine.monitor.state.codec import prefixed, under
from midas_engine.stats.sequential import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from midas_engine.events import Event
    from midas_engine.models import FeatureMetrics
    from midas_engine.monitor.alerts.engine import AlertEngine
    from midas_engine.monitor.bars.late_labels import Pair
    from midas_engine.monitor.kill.switch import KillSwitch
    from midas_engine.monitor.shadow_record import Line

    Floats = NDArray[np.float64]

_WARM_BARS = 72
_RECOVERED_SHARE = 0.5
_CALM = 1.0


class Fleet:
    """Everything about the live features that a restart must bring back.

    Built once the number of symbols is known. `arrive`, `score` and `judge` are the three steps of a bar; they do
    no input or output, so that a replay after a crash takes exactly the same way.
    """

    def __init__(
        self,
        names: Sequence[str],
        references: Mapping[str, Reference | float],
        config: EngineConfig,
        alerts: AlertEngine,
        kills: KillSwitch,
        policy: str,
    ) -> None:
        if len(set(names)) != len(names):
            raise MonitorError("a feature is named twice")
        self.names = list(names)
        self.references = {name: as_reference(given) for name, given in references.items()}
        self.config, self.alerts, self.kills, self.policy = config, alerts, kills, policy
        self.days = DayLedger(self.names)
        self.paused: set[str] = set()
        self.shadow: set[str] = set()
        # Whose figures are old, by why: shards are down, columns stay away.
        self.absent: dict[str, frozenset[str]] = {}
        self.forward = ShadowEvidence(len(self.names))
        self.lines: deque[Line] = deque(maxlen=MOST_LINES)  # of the shadow record, until they are written
        self.kill_wanted: dict[str, str] = {}
        self._engine: MonitorEngine | None = None
        self._stream: BarStream | None = None
        self._values: Floats | None = None
        self._inputs: InputScreen | None = None
        self._turn = self._missing = 0
        self._replaying: int | None = None
        self._decayed: list[str] = []
        self._doomed: list[str] = []

    # -- parts -----------------------------------------------------------------------------------

    @property
    def built(self) -> bool:
        """The number of symbols is known."""
        return self._engine is not None

    @property
    def engine(self) -> MonitorEngine:
        """The figures; MonitorError before the first bar."""
        if self._engine is None:
            raise MonitorError("no bar has come yet", hint="call process_update first, or give symbols=")
        return self._engine

    @property
    def stream(self) -> BarStream:
        """The bars; MonitorError before the first one."""
        if self._stream is None:
            raise MonitorError("no bar has come yet", hint="call process_update first, or give symbols=")
        return self._stream

    @property
    def values(self) -> Floats | None:
        """The newest bar's values, [F, S], in the order of `names`; None before the first bar."""
        return self._values

    def build(self, symbols: int) -> None:
        """Make the parts for bars of `symbols` symbols."""
        self._engine = MonitorEngine(self.names, symbols=symbols, references=self.references, config=self.config)
        self._stream = BarStream(len(self.names), symbols, self.config.bar_seconds, longest_gap=self._engine.long)
        self._inputs = InputScreen(symbols, self.config.bar_seconds, self._engine.day)
        self.apply_live()

    @property
    def inputs(self) -> InputScreen:
        """What is believed of the input; MonitorError before the first bar."""
        if self._inputs is None:
            raise MonitorError("no bar has come yet", hint="call process_update first, or give symbols=")
        return self._inputs

    @property
    def width_and_mode(self) -> tuple[int | None, str]:
        """How many symbols are watched and how they are scored; None and auto before the first bar."""
        return (self.engine.symbols, mode_name(self.engine.cross)) if self.built else (None, MODES[0])

    def prepare(self, symbols: int, names: Sequence[str] = ()) -> None:
        """Be ready for bars of `symbols` symbols, called `names` where that is known."""
        if not self.built:
            self.build(symbols)
        self.inputs.names = tuple(names) or self.inputs.names

    @property
    def killed(self) -> frozenset[str]:
        """Names that are killed; in a replay after a crash, those that were when its bar came."""
        return self.kills.killed if self._replaying is None else self.kills.killed_before(self._replaying)

    def apply_live(self) -> None:
        """Give the engine who trades: not the paused, not the killed, and the shadows beside the portfolio."""
        if self._engine is not None:
            out = self.killed | self.paused
            for name in self.names:
                self._engine.set_live(name, name not in out)
                self._engine.set_shadow(name, name in self.shadow)

    def forget_all(self, names: Sequence[str]) -> None:
        """Start anew with `names`, as if nothing had been seen; kills stand."""
        symbols = self._stream.symbols if self._stream is not None else None
        self.names, self.paused, self.shadow, self.kill_wanted = list(names), set(), set(), {}
        self.days, self._engine, self._stream, self._values = DayLedger(self.names), None, None, None
        self.forward = ShadowEvidence(len(self.names))
        self._decayed, self._doomed, self._replaying = [], [], None
        self.alerts.restore({"episodes": [], "streaks": {}, "resolved": []})
        if symbols is not None:
            self.build(symbols)

    @property
    def last_bar(self) -> datetime:
        """Open time of the newest bar; MonitorError before the first one."""
        if self.stream.last is None:
            raise MonitorError("no bar has come yet", hint="call process_update first")
        return self.stream.open_time(self.stream.last)

    def resize(self, names: Sequence[str], references: Mapping[str, Reference | float], at: datetime) -> list[Event]:
        """Watch exactly `names`; what stays keeps its history."""
        if len(set(names)) != len(names):
            raise MonitorError("a feature is named twice")
        old = list(self.names)
        self.references |= {name: as_reference(given) for name, given in references.items()}
        rows = [old.index(name) if name in old else -1 for name in names]
        self.names = list(names)
        self.alerts.select(rows)
        self.days.select(rows, names)
        self.forward.select(rows, names)
        if self._engine is not None:
            self._engine.resize(names, self.references)
            self.stream.select(rows)
        self._values = None
        self.apply_live()
        return [event for name in old if name not in names for event in self.alerts.forget(name, at)]

    # -- one bar ---------------------------------------------------------------------------------

    def arrive(self, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> Arrival:
        """Put a bar on the grid."""
        fills = (arrays["fills"][0], arrays["fills"][1])
        index, values, regime = int(meta["index"]), arrays["values"], str(meta["regime"])
        if meta["own"]:
            arrival = self.stream.close(index, values, arrays["returns"], fills, regime)
        else:
            returns = arrays["returns"] if meta["labelled"] else None
            arrival = self.stream.follow(index, values, returns, fills, regime)
        if arrival.new:
            self._values = arrays["values"]
            self.engine.observe(arrays["values"])
            self._missing = arrival.missing
        return arrival

    def score(self, pair: Pair) -> None:
        """Take one pair into every figure and detector."""
        engine = self.engine
        at = np.datetime64(self.stream.open_time(pair.index).replace(tzinfo=None), "ns")
        returns, fills = self.inputs.believe(pair, self.stream.open_time(pair.index))
        engine.update(at, pair.values, returns, regime=pair.regime, fills=fills)
        self.forward.take(at, engine.scorer.u, engine.shadow)
        self.lines.extend(shadow_lines(engine, self.shadow.intersection(self.names)))
        for row in np.flatnonzero(engine.bank.decay_fired):
            self._decayed.append(self.names[row])
        if engine.portfolio.fired:
            self._decayed.append(PORTFOLIO)
        for row in np.flatnonzero(engine.bank.kill_fired):
            self._doomed.append(self.names[row])

    def judge(self, at: datetime) -> list[Event]:
        """Rules, detectors and episodes after the pairs of a bar."""
        engine = self.engine
        columns = engine.columns()
        killed = self.killed
        decayed = [n for n in dict.fromkeys(self._decayed) if n not in killed]
        silent = float(engine.presence.missing.min()) if self.names else 0.0
        events = [*self.inputs.news(at, self.stream.index(at)), *self.alerts.stopped(killed, at)]
        events += self.alerts.update(
            at,
            self.names,
            columns,
            decayed=decayed,
            recovered=self._recovered(columns),
            level=engine.bank.threshold,
            active=engine.live > 0,
            fleet=self.inputs.figures(silent),
        )
        for name in dict.fromkeys(self._doomed):
            if name in killed or name in self.kill_wanted:
                continue
            floor = float(engine.bank.floor[engine.row(name)])
            reason = f"the e-detector says its score is below {floor:.4f}, the floor of its promise and its costs"
            self.kill_wanted[name] = reason
            events.append(KillProposed(at=at, feature=name, source="detector", reason=reason))
        events += self.forward.news(self.names, at)
        self._decayed, self._doomed = [], []
        self.days.bar(at, engine.regime, columns["pnl_bps"], columns["pnl_net_bps"], self._missing)
        self.days.note(at, events)
        return events

    def _recovered(self, columns: Mapping[str, Floats]) -> list[str]:
        # Thirty days of IC are mostly those before the break. The test began anew at its alarm: it must have lost
        # what it started with, and the last five days must not deny it.
        bank = self.engine.bank
        with np.errstate(invalid="ignore", divide="ignore"):
            calm = columns["decay_log_s"] <= np.log(bank.start) - _CALM
            back = calm & (columns["score"] >= _RECOVERED_SHARE * columns["reference"])
        names = [self.names[row] for row in np.flatnonzero(back)]
        return [*names, PORTFOLIO] if self.engine.portfolio.recovered else names

    def replay(self, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> list[Event]:
        """A bar written before a crash: the same steps, nothing published."""
        if not self.built:
            self.build(arrays["values"].shape[1])
        self.inputs.names = tuple(meta.get("symbols", self.inputs.names))
        if arrays["values"].shape != (len(self.names), self.stream.symbols):
            raise MonitorError("bars saved before the restart are of another set of features")
        self._replaying = int(meta["index"])
        self.apply_live()
        arrival = self.arrive(meta, arrays)
        if not arrival.new:
            return []
        for pair in arrival.pairs:
            self.score(pair)
        return self.judge(self.stream.open_time(int(meta["index"])))

    def to_kill(self) -> list[tuple[str, str]]:
        """Features the e-detector condemned and the policy lets it stop."""
        if self.policy != "auto":
            return []
        killed = self.kills.killed
        return [(name, reason) for name, reason in self.kill_wanted.items() if name not in killed]

    # -- what is shown ---------------------------------------------------------------------------

    def status(self, row: int) -> str:
        """Status of one feature; see `FeatureMetrics.status`."""
        name = self.names[row]
        if name in self.kills.killed:
            return "killed"
        if name in self.paused:
            return "paused"
        if any(name in names for names in self.absent.values()):
            return "stale"
        running = (self.alerts.episodes.get((name, rule.name)) for rule in (*all_rules(), DETECTOR))
        open_ = [episode.alert for episode in running if episode is not None]
        whole = [self.alerts.episodes.get((FLEET, rule.name)) for rule in FLEET_RULES]
        if any(episode is not None and episode.alert.severity is Severity.CRITICAL for episode in whole):
            return "stale"  # nothing is scored: what the figures say is old
        if any(a.alert_type == "stale_data" for a in open_):
            return "stale"
        if any(a.severity is Severity.CRITICAL for a in open_):
            return "critical"
        if any(a.severity is Severity.WARNING for a in open_):
            return "warning"
        if self.engine.bars < _WARM_BARS:
            return "warming"
        return "healthy" if np.isfinite(self.engine.bank.base[row]) else "uncalibrated"

    def metrics(self, name: str, at: datetime) -> FeatureMetrics:
        """Figures of one feature after the last bar."""
        row = self.engine.row(name)
        known = [v for v in self._values[row].tolist() if math.isfinite(v)] if self._values is not None else []
        value = sum(known) / len(known) if known else math.nan
        outlook = self.engine.outlook(row)
        return feature_metrics(self.engine, row, at, status=self.status(row), value=value, outlook=outlook)

    def ticks(self, at: datetime, most: int) -> Iterator[FeatureMetrics]:
        """Figures of the features the screen should hear of: all up to `most`, of a larger fleet a quarter of that.

        Those are half of features with alerts; the others come in turn.
        """
        if len(self.names) <= most:
            yield from (self.metrics(name, at) for name in self.names)
            return
        most //= 4
        known = self.engine.rows
        loud = list(dict.fromkeys(owner for owner, _ in self.alerts.episodes if owner in known))[: most // 2]
        yield from (self.metrics(name, at) for name in loud)
        for _ in range(most - len(loud)):
            self._turn = (self._turn + 1) % len(self.names)
            yield self.metrics(self.names[self._turn], at)

    def count_alerts(self) -> tuple[int, int]:
        """What runs, one incident being one: warnings and criticals."""
        running = (episode.alert for episode in self.alerts.episodes.values())
        levels = [alert.severity for alert in incidents(running)]
        return levels.count(Severity.WARNING), levels.count(Severity.CRITICAL)

    # -- restart ---------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[np.generic]]]:
        """Header and arrays for the snapshot; the arrays are the live ones, so pack them before the next bar."""
        meta: dict[str, Any] = {
            "names": self.names,
            "symbols": self.stream.symbols,
            "alerts": self.alerts.state(),
            "paused": sorted(self.paused),
            "shadow": sorted(self.shadow),
            "kill_wanted": self.kill_wanted,
            "days": self.days.state(),
        }
        meta["inputs"], screened = self.inputs.state()
        meta["engine"], arrays = self.engine.parts()
        meta["forward"], gathered = self.forward.state()
        return meta, {
            **prefixed("forward", gathered),
            **prefixed("engine", arrays),
            **prefixed("stream", self.stream.arrays()),
            **prefixed("inputs", screened),
        }

    def restore(self, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from `state`, with the features of then; `reconcile` brings those of now."""
        self.names = [str(name) for name in meta["names"]]
        self.build(int(meta["symbols"]))
        self.days = DayLedger(self.names)
        self.days.restore(meta["days"])
        self.engine.load(meta["engine"], under("engine", arrays))
        self.stream.load(under("stream", arrays))
        waiting = list(self.stream.pending.pairs.values())
        self._values = waiting[-1].values if waiting else None
        self.alerts.restore(meta["alerts"])
        self.paused, self.shadow = set(meta["paused"]), set(meta["shadow"])
        self.kill_wanted = dict(meta["kill_wanted"])
        self.inputs.restore(meta.get("inputs", {}), under("inputs", arrays))
        self.forward = ShadowEvidence(len(self.names))
        self.forward.restore(meta.get("forward", {}), under("forward", arrays))
        self.apply_live()

    def reconcile(self, names: Sequence[str], at: datetime) -> list[Event]:
        """After a restart: watch `names`, and take over promises that changed while the monitor was down."""
        self._replaying = None
        self.kill_wanted = {name: why for name, why in self.kill_wanted.items() if name not in self.kills.killed}
        self.apply_live()
        events = [] if names == self.names else self.resize(names, {}, at)
        if self.built:
            for row, name in enumerate(self.names):
                given, held = self.references.get(name), self.engine.bank.base[row]
                if given is not None and given.usable and not np.isclose(given.score, held):
                    self.engine.calibrate(name, given)
        return events


def as_reference(given: Reference | float) -> Reference:
    """A `Reference` from itself or from an expected score."""
    return given if isinstance(given, Reference) else Reference(float(given))
