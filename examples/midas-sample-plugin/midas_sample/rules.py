"""An alert rule: the IC of the month is clearly negative."""

import numpy as np

from midas_engine.monitor.alerts.rules import Rule

TURNED = Rule(
    name="turned",
    alert_type="ic_decay",
    figure="ic_30d",
    unit="IC",
    grade=lambda c, t: (c["ic_30d"] < -2.0 * c["ic_30d_se"]).astype(np.int8),
    threshold=lambda t, level: 0.0,
    text="the IC of the last 30 days is {value:.3f}: more than two errors below zero",
)
