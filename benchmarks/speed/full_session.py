"""A discovery session that fills the terminal, for `bench_tui.py`: how long a key takes to the next frame."""

from __future__ import annotations

import asyncio
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
        painted: list[float] = []
        display = app._display

        def noted(*args: Any) -> None:
            display(*args)
            painted.append(time.perf_counter())

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
        table = app.screen.query_one("#tree", LineTable)
        table.move_to("s1/150")
        await asyncio.sleep(0.5)
        taken: list[float] = []
        end, turn = time.perf_counter() + seconds, 0
        while time.perf_counter() < end:
            runtime.bus.publish(TokensStreamed(at=NOW, session_id="s1", iteration=2, phase="plan", text=f"word{turn} "))
            if turn % 5 == 0:
                verdict()
            turn += 1
            if turn % 10 == 0:
                old, began = table.cursor_key, time.perf_counter()
                app.post_message(events.Key("j" if turn % 20 else "k", None))
                while table.cursor_key == old:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
                moved = time.perf_counter()
                while not painted or painted[-1] < moved:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
                taken.append(painted[-1] - began)
            await asyncio.sleep(0.01)
        return len(table.keys), sorted(taken)
