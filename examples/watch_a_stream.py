"""Watch a feature that dies: alerts, the sequential tests, and the callback that stops it.

python examples/watch_a_stream.py
"""

import asyncio

import numpy as np
import pandas as pd

from midas_engine.monitor import OnlineMonitor, Reference
from midas_engine.settings import MonitorSettings

BARS, DEATH = 900, 200


async def main() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=BARS)
    strength = np.where(np.arange(BARS) < DEATH, 0.3, -0.3)  # it turns against you at bar 200
    returns = 0.01 * (strength * values + rng.normal(size=BARS))
    monitor = OnlineMonitor(
        ["mine"],
        references={"mine": Reference(score=0.25, variance=1.0)},
        settings=MonitorSettings(kill_policy="auto"),
        on_kill=lambda name: print("stop trading", name),
    )
    for t, at in enumerate(pd.date_range("2025-01-01", periods=BARS, freq="h", tz="UTC")):
        await monitor.process_update(
            timestamp=at.to_pydatetime(), feature_values={"mine": values[t]}, forward_return=returns[t]
        )
    await monitor.close()


asyncio.run(main())
