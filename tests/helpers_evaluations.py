"""A session of many evaluations, with what each cost and how long the event loop was held."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine import events as ev
from midas_engine.dsl.expression import parse
from midas_engine.dsl.generate import random_expression
from midas_engine.errors import ExpressionError
from midas_engine.llm import Budget
from midas_engine.proposer import LocalResearcher
from tests.helpers_llm import block, candidates, learning, plan, scripted
from tests.helpers_loops import loop_of, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from midas_engine.proposer import LLMResearcher
    from midas_engine.settings import Settings

A_REPLY = 10
NO_REFINEMENT = block(name=None, expression=None)


@dataclass
class Held:
    """Seconds of every callback of the loop: of its thread's processor, and of the clock."""

    computed: list[float] = field(default_factory=list)
    passed: list[float] = field(default_factory=list)


@dataclass
class Many:
    """A session: the expressions scored, what each took of the clock and of this process, and the loop's callbacks."""

    scored: int = 0
    passed: list[float] = field(default_factory=list)
    computed: list[float] = field(default_factory=list)
    held: Held = field(default_factory=Held)

    def ends(self, taken: Sequence[float], share: float = 0.1) -> tuple[float, float]:
        """Median of the first and of the last tenth."""
        count = max(1, int(len(taken) * share))
        return statistics.median(taken[:count]), statistics.median(taken[-count:])


@contextmanager
def watched_loop() -> Iterator[Held]:
    """Times every callback of the loops of this thread."""
    found = Held()
    handle: Any = asyncio.events.Handle
    run = handle._run

    def timed(self: Any) -> None:
        computed, passed = time.thread_time(), time.perf_counter()
        run(self)
        found.computed.append(time.thread_time() - computed)
        found.passed.append(time.perf_counter() - passed)

    gc.collect()
    gc.freeze()  # what a thousand tests left behind is not looked through on this loop's time
    handle._run = timed
    try:
        yield found
    finally:
        handle._run = run
        gc.unfreeze()


def distinct(count: int, columns: Sequence[str], seed: int) -> list[str]:
    """That many random expressions that mean different things."""
    rng = np.random.default_rng(seed)
    found: dict[str, str] = {}
    while len(found) < count:
        text = random_expression(rng, columns)
        try:
            found.setdefault(parse(text, columns=columns).canonical, text)
        except ExpressionError:
            continue
    return list(found.values())


def _scripted(count: int, columns: Sequence[str], seed: int) -> LLMResearcher:
    """A model that writes `count` expressions and refines none."""
    texts = distinct(count, columns, seed)
    answers: list[str] = []
    for at in range(0, count, A_REPLY):
        batch = texts[at : at + A_REPLY]
        answers += [plan(), candidates(*batch, name=f"idea_{at}"), *[NO_REFINEMENT] * len(batch)]
    return scripted(*answers, learning(), budget=Budget(10 * len(answers), 1e6, 1e6))


async def many_evaluations(
    folder: Path, assessor: Any, count: int, *, seed: int = 3, settings: Settings | None = None, local: bool = False
) -> Many:
    """A session of `count` expressions at least: a scripted model's, or those of the local search and its changes."""
    researcher = LocalResearcher(seed) if local else _scripted(count, assessor.columns, seed)
    loop = loop_of(
        folder, researcher, settings=settings, max_iterations=-(-count // A_REPLY), candidates_per_iter=A_REPLY
    )  # fmt: skip
    verdict("research", True, t=1.0, ic=0.0)  # what a fake assessor builds once is no part of a session
    told = Many()
    with watched_loop() as told.held:
        clock, spent = time.perf_counter(), time.process_time()
        async for event in loop.stream("anything", assessor):
            if isinstance(event, ev.CandidateScored):
                now, used = time.perf_counter(), time.process_time()
                told.passed.append(now - clock)
                told.computed.append(used - spent)
                told.scored, clock, spent = told.scored + 1, now, used
    return told
