"""What memory recalls, tried before anything is searched: the same idea at the windows of this market."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.dsl.expression import parse
from midas_engine.dsl.nodes import columns_of
from midas_engine.dsl.nominal import nominal_size
from midas_engine.dsl.spelling import spelled
from midas_engine.errors import MidasError
from midas_engine.proposer.protocol import Proposal
from midas_engine.proposer.screened import signed
from midas_engine.search.archive import Archive
from midas_engine.search.evolve import Search, SearchSpace, elite_of
from midas_engine.search.windows import ladder, neighbours, window_places

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.dsl.nodes import Node
    from midas_engine.proposer.protocol import OnText, ResearchContext, Screening
    from midas_engine.proposer.recall import Recalled
    from midas_engine.search.archive import Elite
    from midas_engine.search.measure import Figures

CLAIM_TRIES = 3
"""Data sets on which a claim without evidence is tested before it takes its chance among the others."""
MOST_FORMS = 4
"""Forms that a session recalls at most."""
MOST_SHARE = 0.6
"""Of the level for families goes at most to what is recalled: what is searched afterwards needs some of it."""
SHOWS_T = 4.0
"""A |t| on the screening slice from which a recalled form is climbed: some dozen windows of noise do not reach it."""
CLIMB = 0.1
"""Of the evaluations that a search may take: climbing what is near must stay far cheaper than searching."""
PASSES, FAILURES = 0.5, 1.5
"""A lesson's form before any data set: one in four. What a base claims was found once."""


async def recalled(
    context: ResearchContext, screen: Screening, seed: int, name: Callable[[str], str], on_text: OnText
) -> list[Proposal]:
    """What holds of the forms that memory recalls, strongest first; all of them are one family, tested once.

    Args:
        context: The session.
        screen: Scores trees.
        seed: Of the draws.
        name: Gives a free name.
        on_text: Told what was tried.
    """
    chosen = _drawn(context, seed)
    if not chosen:
        return []
    forms = "form" if len(chosen) == 1 else "forms"
    on_text(f"memory recalls {len(chosen)} {forms}: {'; '.join(form.text for form in chosen)}\n")
    told: dict[str, str] = {}
    climbed = Archive()
    silent: list[str] = []
    for form in chosen:
        past = f"passed on {form.worked} of {form.tried} data sets"
        every = await _at_its_windows(parse(form.text).ast, screen, context.limits.window_bars)
        if all(figures.refused for figures in every):
            silent.append(form.text)
            on_text(f"{form.text} has no figures here: {every[0].refused}\n")
        for figures in every:
            if not figures.refused:
                elite = elite_of(figures, parse(figures.text).ast, screen.horizon, "model")
                climbed.add(elite)
                told[signed(elite)] = past
    for elite in await _climbed(context, screen, seed, climbed):
        told.setdefault(signed(elite), "changed from what memory recalled")
    for elite in climbed:
        screen.archive.add(elite)
    found = []
    # The level goes where the chance is: what held on every data set so far needs less to be believed than a claim.
    share = min(MOST_SHARE, max(_chance(form) for form in chosen))
    for finalist in await screen.check(list(told), share, len(chosen), silent):
        if finalist.p <= screen.tested:
            why = f"{told[finalist.text]}; here t {finalist.t:+.1f} on bars that it was not fitted on"
            columns = columns_of(parse(finalist.text).ast)
            found.append(Proposal(name("recalled_" + "_".join(columns)), finalist.text, why))
    await screen.keep()
    return found[: screen.slots]


def _drawn(context: ResearchContext, seed: int) -> list[Recalled]:
    """Forms by Thompson draws of their chance: what worked often comes first, what never did is asked now and then."""
    rng = np.random.default_rng([seed, 21])
    claims: list[Recalled] = []
    draws: list[tuple[float, Recalled]] = []
    for form in context.recall.forms:
        if context.snapshot in form.snapshots or not _fits(form.text, context):
            continue
        if not form.worked and form.tried < CLAIM_TRIES:
            claims.append(form)
        draws.append((float(rng.beta(PASSES + form.worked, FAILURES + max(0, form.tried - form.worked))), form))
    draws.sort(key=lambda drawn: -drawn[0])
    places = max(1, round(MOST_FORMS * context.recall.factor))
    # A claim without evidence is tested before it is believed or forgotten, one a lesson, in half of the places.
    first = list({form.lesson: form for form in reversed(claims)}.values())[::-1][: max(1, places // 2)]
    chosen = [*first, *(form for _, form in draws if form not in first)]
    return chosen[:places]


def _chance(form: Recalled) -> float:
    """That it holds here, by the data sets it was tried on."""
    return (PASSES + form.worked) / (PASSES + FAILURES + form.tried)


def _fits(text: str, context: ResearchContext) -> bool:
    """Whether it can be asked here: what is refused for saying which symbol is the large one would wait for ever."""
    try:
        parsed = parse(text, columns=context.columns, limits=context.limits)
    except MidasError:
        return False
    return not (context.cross and nominal_size(parsed))


async def _climbed(context: ResearchContext, screen: Screening, seed: int, archive: Archive) -> list[Elite]:
    """What a short climb makes of the recalled forms: a lesson of another market is near, and seldom exact."""
    if all(abs(elite.t) < SHOWS_T for elite in archive):
        return []  # nothing of it is here
    space = SearchSpace(context.columns, context.cross, screen.horizon, context.limits)
    search = Search(space, seed, archive, budget=max(1, round(screen.budget * CLIMB)), climbs=True)
    while not search.done:
        batch = await asyncio.to_thread(search.ask)
        if not batch:
            break
        await asyncio.to_thread(search.tell, await screen.figures(batch))
    return search.finalists(MOST_FORMS)


async def _at_its_windows(node: Node, screen: Screening, longest: int) -> list[Figures]:
    """The form as it was, and at the windows that say most here: one window after another, then their neighbours."""
    (first,) = await screen.figures([spelled(node)])
    best, asked = (first, node), {first.text: first}
    for step in (ladder, neighbours):
        for place in range(window_places(node)):
            fresh = {spelled(n): n for n in step(best[1], place, longest)}
            for figures in await screen.figures([text for text in fresh if text not in asked]):
                asked[figures.text] = figures
                if not figures.refused and (best[0].refused or abs(figures.strength) > abs(best[0].strength)):
                    best = (figures, fresh[figures.text])
    return [first] if best[0] is first else [best[0], first]
