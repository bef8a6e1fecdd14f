"""A session, or a recording at speed, beside somebody at the keys, for `bench_tui.py`: a key to its paint."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from midas_tui.app import MidasApp
    from midas_tui.widgets.line_table import LineTable

    Terminals = Callable[..., AbstractAsyncContextManager[MidasApp]]

# Of a session's tree before keys are pressed: its line, a plan, two expressions.
ROWS = 4
LONGEST_SECONDS = 5.0


async def timed_keys(app: MidasApp, table: LineTable, end: float) -> list[tuple[float, float]]:
    """Each key: seconds to the frame that moved the cursor, of them the loop's thread computing; the quickest first.

    They come at moments of their own, in a frame as well. One whose row has moved under the cursor meanwhile moves
    nothing, and is left out.
    """
    from textual import events

    loop, rng = asyncio.get_running_loop(), random.Random(1)
    painted: list[tuple[float, float, str | None]] = []
    taken: list[tuple[float, float]] = []
    display, computing = app._display, time.pthread_getcpuclockid(threading.get_ident())

    def noted(page: Any, frame: Any) -> None:
        display(page, frame)
        if frame is not None:
            painted.append((time.perf_counter(), time.clock_gettime(computing), table.cursor_key))

    def press() -> None:
        while (due := time.perf_counter() + rng.uniform(0.05, 0.15)) < end:
            time.sleep(max(0.0, due - time.perf_counter()))
            painted.clear()
            old, up = table.cursor_key, table.cursor_row > 0 and len(taken) % 2
            began, cpu = time.perf_counter(), time.clock_gettime(computing)
            loop.call_soon_threadsafe(app.post_message, events.Key("k" if up else "j", None))
            seen: list[tuple[float, float]] = []
            while not seen and time.perf_counter() < began + LONGEST_SECONDS:
                time.sleep(0.001)
                seen = [(at, used) for at, used, cursor in tuple(painted) if cursor != old]
            taken.extend((at - began, used - cpu) for at, used in seen[:1])

    app._display = noted  # type: ignore[method-assign]
    await asyncio.to_thread(press)
    return sorted(taken)


async def key_to_paint(terminal: Terminals, seconds: float) -> tuple[int, list[tuple[float, float]]]:
    """Rows at the end, and seconds of each key: 100 words and 20 verdicts a second, 300 rows."""
    from helpers_tui import NOW, ScriptedRuntime, searched
    from midas_engine.events import CandidateScored, ExpressionProposed, TokensStreamed
    from midas_tui.widgets.line_table import LineTable

    runtime = ScriptedRuntime()
    async with terminal(runtime, "discovery") as app:
        for event in searched("s1"):
            runtime.bus.publish(event)
        table = app.screen.query_one("#tree", LineTable)
        tried = 0

        def verdict() -> None:
            nonlocal tried
            tried += 1
            name, text = f"carry_{tried}", f"cs_rank(ts_mean(funding_rate, {tried + 1}))"
            origin = f"carry_{tried - 1}" if tried % 3 else ""
            at: dict[str, Any] = {"at": NOW, "session_id": "s1", "iteration": 2, "name": name, "expression": text}
            runtime.bus.publish(ExpressionProposed(**at, refined_from=origin))
            runtime.bus.publish(
                CandidateScored(**at, accepted=False, composite=0.4, rank_ic=0.01, score_t=(tried % 40) / 10.0,
                                line_t=2.9, trials=500, why="trading_cost: loses 2 bps a bar")
            )  # fmt: skip

        for _ in range(300):
            verdict()
        app.shell.bridge.pump()
        table.move_to("s1/150")
        await asyncio.sleep(0.5)
        end, turn = time.perf_counter() + seconds, 0
        pressing = asyncio.create_task(timed_keys(app, table, end))
        while time.perf_counter() < end:
            runtime.bus.publish(TokensStreamed(at=NOW, session_id="s1", iteration=2, phase="plan", text=f"word{turn} "))
            if turn % 5 == 0:
                verdict()
            turn += 1
            await asyncio.sleep(0.01)
        taken = await pressing
        return len(table.keys), taken


async def beside_an_engine(terminal: Terminals, kb: str, seconds: float) -> tuple[int, list[tuple[float, float]]]:
    """Expressions tried, and seconds of each key: a real session on the sample, without a model."""
    from midas_engine.runtime import Runtime
    from midas_engine.settings import load_settings
    from midas_tui.widgets.line_table import LineTable

    runtime = Runtime(load_settings(file=None, environ={}, flags={"kb": kb, "data": "sample"}))
    async with terminal(runtime, "discovery") as app:
        await runtime.sessions.start("short-term reversal after volume shocks", "local", iterations=20)
        table = app.screen.query_one("#tree", LineTable)
        while len(table.keys) < ROWS:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        taken = await timed_keys(app, table, time.perf_counter() + seconds)
        return sum(view.tried for view in app.store.sessions.values()), taken


async def beside_a_recording(
    terminal: Terminals, kb: str, seconds: float
) -> tuple[float, list[tuple[float, float]], list[float]]:
    """The synthetic recording in Live at 256 bars a second: bars shown a second, keys, and what each frame computed."""
    from midas_engine.runtime import Runtime
    from midas_engine.settings import load_settings
    from midas_tui.widgets.line_table import LineTable

    settings = load_settings(file=None, environ={}, flags={"kb": kb})
    runtime = Runtime(settings, replay="synthetic", speed=256.0, play=True)
    async with terminal(runtime, "live") as app:
        replay: Any = runtime.replay
        shown = 0
        table = app.screen.query_one("#features", LineTable)
        draw, frames = app.screen._on_timer_update, []

        def timed() -> None:
            began = time.thread_time()
            draw()
            frames.append(time.thread_time() - began)

        app.screen._update_timer._callback = timed
        before, end = replay.position, time.perf_counter() + seconds
        pressing = asyncio.create_task(timed_keys(app, table, end))
        while not pressing.done():
            await asyncio.sleep(0.05)
            shown, before = shown + max(0, replay.position - before), replay.position
            if not replay.playing:  # again from the beginning
                await replay.restart()
                replay.play()
                before = replay.position
        return shown / seconds, await pressing, frames
