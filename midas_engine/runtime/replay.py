"""Replay: a recorded panel driven through the online loop, at any speed, to any bar, both ways.

Replay is a data source, not a screen. Going forward runs the same code as live. Going back
restores the nearest earlier checkpoint and runs forward from there, so that every bar shows what
it showed the first time; `digest` proves it.
"""

from __future__ import annotations

import asyncio
import bisect
import hashlib
import json
import zlib
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from midas_engine.events import Event, ReplayMoved, to_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from midas_engine.clock import Clock, ManualClock

CHECKPOINT_BARS = 48
# What all places to go back to may take, packed. Beyond it every second one goes: a jump then runs twice as far.
CHECKPOINT_BYTES = 16_000_000
# A jump of at most this many bars shows each of them; a longer one shows only where it lands.
STEPS_SHOWN = 24
# Seconds a burst of bars may hold the event loop before it lets others run.
BURST_SECONDS = 0.012
# Seconds in turn for bars and for others, where a recording plays faster than the machine can: a key passes several
# hands on its way to a frame, and would wait for a bar at each.
TURN_SECONDS = 0.006
SPEEDS: tuple[float, ...] = (0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256)


class ReplayStage(Protocol):
    """What a replay drives: one recorded bar at a time, with a state that can be put back."""

    def run_bar(self, index: int, *, shown: bool) -> list[Event]:
        """Process bar `index`; the events it caused, in order (alerts only when not `shown`)."""
        ...

    def state(self) -> bytes:
        """Everything needed to go on from here."""
        ...

    def restore(self, state: bytes) -> None:
        """Go back to what `state` held."""
        ...


class ReplayControl:
    """Plays, steps and seeks a recorded run.

    Args:
        stage: What processes the bars.
        times: Open time of every bar, oldest first, UTC.
        start: Index of the first bar shown; earlier bars only warm the stage up.
        publish: Receives every event of every bar shown.
        clock: Replay time; set to each bar's close.
        pace: The clock that play waits on (wall time in the terminal, manual in tests).
        bar_seconds: Length of one bar.
    """

    def __init__(
        self,
        stage: ReplayStage,
        times: Sequence[datetime],
        *,
        start: int,
        publish: Callable[[Event], None],
        clock: ManualClock,
        pace: Clock,
        bar_seconds: int,
    ) -> None:
        self._stage = stage
        self._times = times
        self._start = start
        self._publish = publish
        self._clock = clock
        self._pace = pace
        self._bar_seconds = bar_seconds
        self._next = 0
        self._marks: list[int] = []
        self._states: dict[int, bytes] = {}
        self._apart = CHECKPOINT_BARS
        self._alert_bars: list[int] = []
        self._busy = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.speed = 1.0
        self.playing = False
        # Moves that did not show every bar between: who follows the events must look at the state anew.
        self.jumps = 0

    # -- what the screen reads ---------------------------------------------------------------

    @property
    def position(self) -> int:
        """How many shown bars have been played."""
        return max(0, self._next - self._start)

    @property
    def total(self) -> int:
        """How many bars can be shown."""
        return len(self._times) - self._start

    @property
    def bar_at(self) -> datetime:
        """Open time of the newest bar shown."""
        return self._times[max(0, min(self._next, len(self._times)) - 1)]

    @property
    def alert_bars(self) -> tuple[int, ...]:
        """Positions (1-based count of shown bars) at which an alert was raised, as far as scanned."""
        return tuple(i - self._start + 1 for i in self._alert_bars if i >= self._start)

    def mark_alerts(self, bars: Sequence[int]) -> None:
        """Tell where alerts lie (bar indices), from a scan made ahead of the screen."""
        self._alert_bars = sorted(set(self._alert_bars) | set(bars))

    # -- moving --------------------------------------------------------------------------------

    async def warm_up(self, progress: Callable[[float], None] | None = None) -> None:
        """Run the bars before the first shown one, silently."""
        async with self._busy:
            await self._run_until(self._start, shown=False, progress=progress)
            self._announce()

    async def step(self, bars: int = 1) -> None:
        """Show the next `bars` bars; negative goes back."""
        await self.seek(self.position + bars)

    async def seek(self, position: int) -> None:
        """Show the state after `position` shown bars (clamped to what exists)."""
        target = self._start + max(0, min(position, self.total))
        async with self._busy:
            jumped = target < self._next
            if jumped:
                self._rewind(target)
                # The position is told first: what follows replaces what the screen holds.
                self._announce(target)
            if target - self._next > 1:
                shown = target - self._next <= STEPS_SHOWN
                jumped = jumped or not shown
                await self._run_until(target - 1, shown=shown)
            await self._run_until(target, shown=True)
            self.jumps += jumped
            self._announce()

    async def seek_time(self, at: datetime) -> None:
        """Show the state at the last bar opened at or before `at`."""
        await self.seek(bisect.bisect_right(self._times, at) - self._start)

    async def next_alert(self) -> bool:
        """Go to the next bar that raised an alert; False when none is known ahead."""
        ahead = [p for p in self.alert_bars if p > self.position]
        if ahead:
            await self.seek(ahead[0])
        return bool(ahead)

    async def previous_alert(self) -> bool:
        """Go back to the previous bar that raised an alert; False when there is none."""
        behind = [p for p in self.alert_bars if p < self.position]
        if behind:
            await self.seek(behind[-1])
        return bool(behind)

    async def restart(self) -> None:
        """Back to the first shown bar."""
        await self.seek(0)

    # -- playing -------------------------------------------------------------------------------

    def play(self) -> None:
        """Start showing bars at `speed` bars per second."""
        if self._task is None or self._task.done():
            self.playing = True
            self._task = asyncio.get_running_loop().create_task(self._play(), name="replay")
            self._announce()

    async def pause(self) -> None:
        """Stop showing bars; returns when the running one is finished."""
        self.playing = False
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._announce()

    def set_speed(self, speed: float) -> None:
        """Bars per second; takes effect at the next bar."""
        self.speed = min(SPEEDS[-1], max(SPEEDS[0], speed))
        self._announce()

    def faster(self) -> None:
        """The next speed up."""
        self.set_speed(next((s for s in SPEEDS if s > self.speed), SPEEDS[-1]))

    def slower(self) -> None:
        """The next speed down."""
        self.set_speed(next((s for s in reversed(SPEEDS) if s < self.speed), SPEEDS[0]))

    async def _play(self) -> None:
        due = rested = self._pace.monotonic()
        while self._next < len(self._times):
            due += 1.0 / self.speed
            wait = due - (now := self._pace.monotonic())
            if wait > 0.0 or now - rested > TURN_SECONDS:
                await self._pace.sleep(wait if wait > 0.0 else TURN_SECONDS)
                rested = self._pace.monotonic()
            async with self._busy:
                await self._run_until(self._next + 1, shown=True)
                self._announce()
            # A machine that cannot keep up shows every bar later rather than skipping some.
            due = max(due, self._pace.monotonic() - 1.0)
        self.playing = False
        self._announce()

    async def _run_until(self, target: int, *, shown: bool, progress: Callable[[float], None] | None = None) -> None:
        began = self._pace.monotonic()
        while self._next < target:
            if self._next % self._apart == 0 and self._next not in self._states:
                # Places to go back to are half as large so, and what they cost is a hundredth of the bars between.
                self._states[self._next] = await asyncio.to_thread(zlib.compress, self._stage.state(), 1)
                bisect.insort(self._marks, self._next)
                self._thin_out()
            index = self._next
            events = self._stage.run_bar(index, shown=shown)
            self._next += 1
            if shown:
                self._clock.set(self._closed_at(index))
                for event in events:
                    self._publish(event)
            if self._pace.monotonic() - began > BURST_SECONDS:
                if progress is not None and target:
                    progress(self._next / target)
                await asyncio.sleep(0)
                began = self._pace.monotonic()
        if self._next:
            self._clock.set(self._closed_at(self._next - 1))

    def _thin_out(self) -> None:
        """Hold what is kept within its bound, however long the recording."""
        while len(self._marks) > 2 and sum(map(len, self._states.values())) > CHECKPOINT_BYTES:
            self._apart *= 2
            kept = [mark for mark in self._marks if mark % self._apart == 0 or mark == self._marks[0]]
            self._states = {mark: self._states[mark] for mark in kept}
            self._marks = kept

    def _rewind(self, target: int) -> None:
        # One bar short of the target, so that the last bar's events are produced again.
        mark = self._marks[max(0, bisect.bisect_right(self._marks, max(0, target - 1)) - 1)]
        self._stage.restore(zlib.decompress(self._states[mark]))
        self._next = mark

    def _closed_at(self, index: int) -> datetime:
        return datetime.fromtimestamp(self._times[index].timestamp() + self._bar_seconds, tz=self._times[index].tzinfo)

    @property
    def moved(self) -> ReplayMoved:
        """Where the replay stands."""
        return self._moved(self.position)

    def _announce(self, target: int | None = None) -> None:
        self._publish(self._moved(self.position if target is None else max(0, target - self._start)))

    def _moved(self, position: int) -> ReplayMoved:
        return ReplayMoved(
            at=self._clock.now(),
            position=position,
            total=self.total,
            speed=self.speed,
            playing=self.playing,
            bar_at=self.bar_at,
        )


def digest(events: Sequence[Event]) -> str:
    """A hash of what was shown, blind to speed and to how long a bar took."""
    seen = hashlib.sha256()
    for event in events:
        if isinstance(event, ReplayMoved):
            continue
        record = {k: v for k, v in to_dict(event).items() if k != "seconds"}
        seen.update(json.dumps(record, sort_keys=True).encode())
    return seen.hexdigest()[:16]
