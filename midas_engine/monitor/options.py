"""`MonitorOptions`: everything an `OnlineMonitor` may be given besides its features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from midas_engine.errors import MonitorError
from midas_engine.evaluator.context.layout import MODES
from midas_engine.monitor.figures.engine import EngineConfig
from midas_engine.settings import CostSettings, MonitorSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from midas_engine.bus import EventBus
    from midas_engine.clock import Clock
    from midas_engine.monitor.diagnosis.agent import DiagnoseAgent
    from midas_engine.monitor.protocols import DocumentStore, Retirer, StateStore
    from midas_engine.stats.sequential import Reference


class MonitorKeywords(TypedDict, total=False):
    """The keywords of `OnlineMonitor`, for type checkers; the fields of `MonitorOptions`."""

    references: Mapping[str, Reference | float] | None
    symbols: int | Sequence[str] | None
    mode: str
    bar_seconds: int
    costs: CostSettings | None
    settings: MonitorSettings | None
    alert_thresholds: Mapping[str, Any] | None
    on_kill: Callable[[str], Any] | None
    kb: DocumentStore | None
    journal: StateStore | None
    promoter: Retirer | None
    diagnostics: DiagnoseAgent | None
    bus: EventBus | None
    clock: Clock | None
    expressions: Mapping[str, str] | None
    daily_reports: bool
    strict: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorOptions:
    """The keywords of `OnlineMonitor`, with what holds where one is not given.

    Attributes:
        references: What each feature promised (a `Reference`, or its expected score as a number).
        symbols: The symbols' names, in the order of the arrays, or how many there are; None learns it from the first
            bar. With names, values and returns may also come as ``{symbol: number}``; one that is missing is NaN.
        mode: How features are scored, as `evaluation.mode`: time, cross-section, or auto, which takes the
            cross-section where there are ten symbols.
        bar_seconds: Size of a bar.
        costs: What a trade costs; None takes the defaults.
        settings: Run lengths, kill policy, callbacks; None takes the defaults.
        alert_thresholds: Partial overrides of the alert thresholds.
        on_kill: Called with a feature's name after its kill is on disk.
        kb: Where learnings and reports are written; None keeps them in memory.
        journal: Where state is kept over a restart; None: nowhere.
        promoter: Archives a killed feature.
        diagnostics: Explains critical alarms; None: nobody.
        bus: Where events are published.
        clock: Engine time; None takes the wall's.
        expressions: Formula of each feature, for diagnoses.
        daily_reports: Write the report of each UTC day when its last bar is in.
        strict: Raise MonitorError on a bar that cannot be read. False counts it, publishes `BarRefused` and goes on.
    """

    references: Mapping[str, Reference | float] | None = None
    symbols: int | Sequence[str] | None = None
    mode: str = "auto"
    bar_seconds: int = 3600
    costs: CostSettings | None = None
    settings: MonitorSettings | None = None
    alert_thresholds: Mapping[str, Any] | None = None
    on_kill: Callable[[str], Any] | None = None
    kb: DocumentStore | None = None
    journal: StateStore | None = None
    promoter: Retirer | None = None
    diagnostics: DiagnoseAgent | None = None
    bus: EventBus | None = None
    clock: Clock | None = None
    expressions: Mapping[str, str] | None = None
    daily_reports: bool = False
    strict: bool = False

    @property
    def engine(self) -> EngineConfig:
        """What the figures are computed with."""
        settings = self.settings or MonitorSettings()
        if self.mode not in MODES:
            raise MonitorError(f"no mode {self.mode!r}", hint="one of " + ", ".join(MODES))
        return EngineConfig(
            bar_seconds=self.bar_seconds,
            one_way_bps=(self.costs or CostSettings()).one_way_bps,
            expected_slippage_bps=settings.expected_slippage_bps,
            arl0_bars=settings.arl0_bars(self.bar_seconds),
            cross=None if self.mode == MODES[0] else self.mode == MODES[2],
        )
