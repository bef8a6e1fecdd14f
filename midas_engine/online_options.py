"""`OnlineOptions`: what `Midas.build_online` may be given besides features, a kill callback and thresholds."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from midas_engine.events import AlertRaised

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from midas_engine.bus import EventBus
    from midas_engine.clock import Clock
    from midas_engine.events import Event
    from midas_engine.models import Alert


class OnlineKeywords(TypedDict, total=False):
    """The keywords of `Midas.build_online`, for type checkers; the fields of `OnlineOptions`."""

    symbols: int | Sequence[str] | None
    bar_seconds: int
    keep_state: bool
    diagnose: bool
    strict: bool
    bus: EventBus | None
    clock: Clock | None
    on_alert: Callable[[Alert], Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineOptions:
    """The keywords of `Midas.build_online`, with what holds where one is not given.

    Attributes:
        symbols: The symbols' names, or how many a bar has; None learns it from the first bar.
        bar_seconds: Size of a bar.
        keep_state: Go on where the last monitor of this base ended, after a crash too. False: start afresh, as for a
            backtest over bars that were seen before, and without a report for each of its days.
        diagnose: Explain critical episodes in the background, with the researcher of the settings.
        strict: Raise MonitorError on a bar that cannot be read; False publishes `BarRefused` and goes on.
        bus: Where events are published; None makes one: `monitor.bus`.
        clock: Engine time, where it is not the wall's.
        on_alert: Called with each alert as it is raised; what it raises itself is logged.
    """

    symbols: int | Sequence[str] | None = None
    bar_seconds: int = 3600
    keep_state: bool = True
    diagnose: bool = True
    strict: bool = False
    bus: EventBus | None = None
    clock: Clock | None = None
    on_alert: Callable[[Alert], Any] | None = None


def heard_alerts(on_alert: Callable[[Alert], Any]) -> Callable[[Event], None]:
    """What a bus is tapped with, so that `on_alert` hears of alerts and cannot stop them."""

    def heard(event: Event) -> None:
        if isinstance(event, AlertRaised):
            try:
                on_alert(event.alert)
            except Exception:
                logging.getLogger(__name__).exception("on_alert failed for %s", event.alert.feature)

    return heard
