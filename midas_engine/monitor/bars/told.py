"""What is told of every bar: newest figures, and the bar itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.events import BarProcessed, FeatureTicked

if TYPE_CHECKING:
    from datetime import datetime

    from midas_engine.bus import EventBus
    from midas_engine.monitor.fleet import Fleet

TICKS_PER_BAR = 256


def tell_bar(bus: EventBus, fleet: Fleet, at: datetime, regime: str, seconds: float) -> BarProcessed:
    """Publish what the bar of `at` brought; `seconds` is how long it took."""
    for metrics in fleet.ticks(at, TICKS_PER_BAR):
        bus.publish(FeatureTicked(at=at, metrics=metrics))
    warnings, criticals = fleet.count_alerts()
    done = BarProcessed(
        at=at,
        bar_at=at,
        regime=regime,
        features=len(fleet.names),
        warnings=warnings,
        criticals=criticals,
        seconds=seconds,
        symbols=fleet.stream.symbols,
    )
    bus.publish(done)
    return done
