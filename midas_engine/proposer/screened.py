"""Proposals out of the archive search: screened by the thousand, checked once, judged like any other."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from midas_engine.errors import MidasError, SessionInterruptedError
from midas_engine.proposer.families import FAMILIES
from midas_engine.proposer.protocol import Proposal
from midas_engine.proposer.rewrites import negated
from midas_engine.search.evolve import Search, SearchSpace
from midas_engine.text import p_text

if TYPE_CHECKING:
    from midas_engine.proposer.protocol import OnText, ResearchContext, Screening
    from midas_engine.search.archive import Elite

FINALISTS = 12


async def screened(
    context: ResearchContext, screen: Screening, seed: int, name: Callable[[str], str], on_text: OnText
) -> list[Proposal]:
    """What a search of the screening slice brings through the family's test, strongest first.

    Args:
        context: The session.
        screen: Scores trees and keeps the archive.
        seed: Same seed, data and archive, same search.
        name: Gives a free name.
        on_text: Told what was begun.
    """
    space = SearchSpace(context.columns, context.cross, screen.horizon, context.limits)
    search = Search(space, seed, screen.archive, _classics(context), screen.budget)
    on_text(f"screening up to {screen.budget:,} raw expressions; {len(screen.archive)} elites of this data are known\n")
    while not search.done:
        batch = await asyncio.to_thread(search.ask)
        if not batch:
            break
        await asyncio.to_thread(search.tell, await screen.figures(batch))
    screen.archive.rounds += 1
    elites = {signed(elite): elite for elite in search.finalists(FINALISTS)}
    found: list[Proposal] = []
    # By strength, not by t: a part of what is there, accepted before the whole, has the whole refused as its like.
    place = {text: i for i, text in enumerate(elites)}
    for finalist in sorted(await screen.check(list(elites)), key=lambda f: place[f.text]):
        elite = elites[finalist.text]
        if finalist.p > screen.tested:
            told = f"t {finalist.t:+.1f} on bars it was not picked on, p {p_text(finalist.p)}"
            screen.archive.update(dataclasses.replace(elite, fate="the check slice", figure=told))
        elif len(found) < screen.slots:
            why = (
                f"screened t {abs(elite.t):.1f}, on bars it was not picked on {finalist.t:+.1f} "
                f"(p {p_text(finalist.p)} for the whole family)"
            )
            found.append(Proposal(name("screened_" + "_".join(elite.columns)), finalist.text, why))
    await screen.keep()
    return found


def signed(elite: Elite) -> str:
    """Its expression, turned where low values go before high returns."""
    return elite.text if elite.t >= 0.0 else negated(elite.text)


def _classics(context: ResearchContext) -> list[str]:
    """Each family's cores with a window of a day: what the model's island starts from without a model."""
    known = set(context.columns)
    return [
        t.core.format(a=min(24, context.limits.window_bars), b=min(72, context.limits.window_bars))
        for templates in FAMILIES.values()
        for t in templates
        if set(t.needs) <= known
    ]


Step = Callable[["ResearchContext", "Screening", int, Callable[[str], str], "OnText"], Awaitable[list[Proposal]]]
"""A way to propose by screening: `screened` or `recalled`."""


async def tried(
    step: Step, context: ResearchContext, seed: int, name: Callable[[str], str], on_text: OnText
) -> list[Proposal]:
    """What a step brings, where there is a screen; one that breaks is said and costs the session nothing else."""
    if context.screen is None or context.screen.budget == 0:
        return []
    try:
        return await step(context, context.screen, seed, name, on_text)
    except SessionInterruptedError:
        raise  # nobody computes, or nothing fits: that says nothing of what would have been found
    except MidasError as error:
        on_text(f"(screening ended: {error.message})\n")
        await context.screen.check([])  # what was scored until then is charged all the same
        return []
