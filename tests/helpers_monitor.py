"""Streams, stores and clocks for the monitor's tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from midas_engine.clock import ManualClock

START = datetime(2025, 1, 1, tzinfo=UTC)


class MemoryStore:
    """A journal's states in memory; `broken` makes every write fail."""

    def __init__(self) -> None:
        self.states: dict[str, bytes] = {}
        self.broken = False
        self.writes: list[str] = []

    def put_state(self, key: str, blob: bytes, *, durable: bool = False) -> None:
        if self.broken:
            raise OSError(28, "No space left on device")
        self.writes.append(key)
        self.states[key] = blob

    def get_state(self, key: str) -> bytes | None:
        return self.states.get(key)


class MemoryBase:
    """A knowledge base in memory."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.learnings: list[Any] = []

    def save_text(self, relpath: str, text: str) -> Path:
        self.texts[relpath] = text
        return Path(relpath)

    def save_learning(self, document: Any) -> Path:
        self.learnings.append(document)
        return Path(f"knowledge/learnings/online/{len(self.learnings)}.md")


def clock_at(bars: int = 0) -> ManualClock:
    """A clock that stands `bars` hours after the start."""
    return ManualClock(START + timedelta(hours=bars))


def bar_time(index: int) -> datetime:
    """Open time of hourly bar `index`."""
    return START + timedelta(hours=index)


def ar1(rng: np.random.Generator, bars: int, phi: float) -> np.ndarray:
    """A unit-variance AR(1) series."""
    noise = rng.normal(size=bars) * np.sqrt(1 - phi * phi)
    out = np.empty(bars)
    out[0] = rng.normal()
    for t in range(1, bars):
        out[t] = phi * out[t - 1] + noise[t]
    return out


def linked(rng: np.random.Generator, feature: np.ndarray, ic: np.ndarray | float, sd: float = 0.01) -> np.ndarray:
    """Returns that follow `feature` with conditional correlation `ic`, Student-t(4) noise."""
    noise = rng.standard_t(4, size=feature.shape) / np.sqrt(2)
    strength = np.broadcast_to(np.asarray(ic, float), feature.shape)
    return sd * (strength * feature + np.sqrt(1 - strength**2) * noise)
