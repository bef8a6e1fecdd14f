"""Prometheus text of how the service is (extra `metrics`). What is not known is NaN, or not there; never zero."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from midas_engine.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from midas_engine.service.vitals import Vital

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def check_extra() -> None:
    """Refuse metrics without the extra.

    Raises:
        SettingsError: prometheus-client is not installed.
    """
    try:
        import prometheus_client  # noqa: F401
    except ImportError:
        raise SettingsError("metrics need prometheus-client", hint="pip install 'midas-alpha[metrics]'") from None


def rendered(vital: Vital) -> bytes:
    """`vital` as Prometheus reads it.

    Raises:
        SettingsError: The extra is missing.
    """
    check_extra()
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(vital))
    return generate_latest(registry)


class _Collector:
    def __init__(self, vital: Vital) -> None:
        self._vital = vital

    def collect(self) -> Iterator[Any]:
        """The families, one after another."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        v = self._vital

        def gauge(name: str, what: str, value: float) -> Any:
            return GaugeMetricFamily(f"midas_{name}", what, value=value)

        def by(name: str, what: str, label: str, values: Any) -> Any:
            family = GaugeMetricFamily(f"midas_{name}", what, labels=[label])
            for key, value in (values or {}).items():
                family.add_metric([key], value)
            return family

        yield CounterMetricFamily("midas_bars_seen", "Bars processed since the start.", value=v.bars)
        yield gauge("healthy", "1 when bars come and nothing is wrong.", float(v.healthy))
        yield gauge("last_bar_age_seconds", "Seconds since the newest bar closed.", v.age_seconds)
        yield gauge("start_time_seconds", "When the service began, Unix time.", v.since.timestamp())
        yield by("features", "Features by state.", "state", v.features)
        yield by("alerts", "Running alerts by severity.", "severity", v.alerts)
        pending = math.nan if v.kills_pending is None else float(v.kills_pending)
        yield gauge("kills_pending", "Kills that no callback and not every far side has acknowledged.", pending)
        yield gauge("loop_lag_seconds", "Longest hold of the event loop within a minute.", v.lag_seconds)
        yield gauge("journal_bytes", "Size of the journal with its log.", v.journal_bytes)
        yield gauge("disk_free_bytes", "What the base's disk has left.", v.disk_free_bytes)
        yield by("unwritten", "1 for what the disk refuses now.", "what", dict.fromkeys(v.unwritten, 1.0))
