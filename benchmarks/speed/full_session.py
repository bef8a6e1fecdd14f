"""A discovery session that fills the terminal, for `bench_tui.py`: how long a key takes to the next frame."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from midas_tui.app import MidasApp


async def key_to_paint(
    terminal: Callable[..., AbstractAsyncContextManager[MidasApp]], seconds: float
) -> tuple[int, list[float]]:
    """Rows at the end, and seconds from each key to its frame, sorted: 100 words and 20 verdicts a second, 300 rows."""
    from textual import events

    from helpers_tui import NOW, ScriptedRuntime, searched
    from midas_engine.events import CandidateScored, ExpressionProposed, TokensStreamed
    from midas_tui.widgets.line_table import LineTable

    runtime = ScriptedRuntime()
    async with terminal(runtime, "discovery") as app:
        for event in searched("s1"):
            runtime.bus.publish(event)
        painted: list[tuple[float, str | None]] = []
        display = app._display

        def noted(page: Any, frame: Any) -> None:
            display(page, frame)
            if frame is not None:
                painted.append((time.perf_counter(), table.cursor_key))

        table = app.screen.query_one("#tree", LineTable)
        app._display = noted  # type: ignore[method-assign]
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
        loop, taken = asyncio.get_running_loop(), list[float]()
        end, turn = time.perf_counter() + seconds, 0

        def press() -> None:
            """Keys at moments of their own, in the middle of a frame as well."""
            rng = random.Random(1)
            while (due := time.perf_counter() + rng.uniform(0.05, 0.15)) < end:
                time.sleep(max(0.0, due - time.perf_counter()))
                painted.clear()
                old = table.cursor_key
                loop.call_soon_threadsafe(app.post_message, events.Key("k" if len(taken) % 2 else "j", None))
                while not (seen := [at for at, cursor in tuple(painted) if cursor != old]):
                    time.sleep(0.001)
                taken.append(seen[0] - due)

        pressing = asyncio.create_task(asyncio.to_thread(press))
        while time.perf_counter() < end:
            runtime.bus.publish(TokensStreamed(at=NOW, session_id="s1", iteration=2, phase="plan", text=f"word{turn} "))
            if turn % 5 == 0:
                verdict()
            turn += 1
            await asyncio.sleep(0.01)
        await pressing
        return len(table.keys), sorted(taken)
