"""What fills the places of the prompts: first what never changes, then what holds for a session, then what is new.

The order is what providers can keep between calls: the language is the same in every prompt of every session, the
session block in every prompt of one.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from midas_engine.proposer.patterns import fitting
from midas_engine.proposer.prompts import learnings_text, operators_text, quoted, within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.proposer.protocol import ResearchContext

MAX_LANGUAGE = 30_000
MAX_SKILL = 12_000
MAX_FEATURES = 6_000
MAX_RESULTS = 8_000
MAX_MEMORY = 4_000
MAX_ARCHIVE = 3_000
MAX_THRESHOLDS = 4_000
MAX_COLUMNS = 6_000
_KINDS = {"elites": "best of its kind", "near": "near miss", "failures": "failed"}

LANGUAGE = """The language, complete. Nothing outside it exists:

{dsl}

Rules:
- Windows and shifts are positive whole numbers, in bars. There is no way to look ahead.
- High values expect higher returns.
- A name is a lower-case slug such as `funding_carry_72h`: letters, digits, underscores, at most 80 characters.
- A feature may have a `gate`, an expression that says on which bars it acts, with `hold`, the bars it then holds."""

SESSION = """This session, the same in all its prompts:

The market: {market}
Regime of interest: {regime}
What is predicted: returns over the next {horizons}.
Costs: {costs}
Every figure you are shown is of the research part. A later part is sealed: you never see it.

Columns of this data, and no others:
{columns}

Limits: {limits}

Gates that a feature must pass:

{thresholds}

Features that are deployed or wait already. A new one must add something to them, and its rank correlation with each
must stay below the limit above:

{existing_features}

What is known about such features, as far as these columns go:

{skills}"""


def _across(context: ResearchContext) -> str:
    """What operators across symbols are good for where features are scored in time."""
    if context.cross:
        return ""
    if context.relative:
        return "; few symbols: of the cs_ operators use cs_demean, which takes out what the symbols share"
    return "; one symbol, so no cs_ operators"


def context_values(context: ResearchContext) -> dict[str, str]:
    """The places that every prompt shares."""
    limits = context.limits
    values = {
        "goal": quoted(context.goal, "goal"),
        "market": f"{context.market}; scored "
        + (
            "as a cross-section: symbols against one another" if context.cross else "in time: each symbol with its past"
        ),
        "regime": context.regime or "any",
        "horizons": context.horizons,
        "costs": context.costs or "not said",
        "columns": _columns(context),
        "operators": operators_text(),
        "limits": (
            f"depth {limits.depth}, {limits.nodes} nodes, windows up to {limits.window_bars} bars, "
            f"{limits.text_bytes} bytes of text" + _across(context)
        ),
        "thresholds": json.dumps(context.thresholds, indent=1)[:MAX_THRESHOLDS],
        "existing_features": within((f"{n}: {e}" for n, e in context.existing.items()), MAX_FEATURES) or "none",
        "results": within((r.line for r in context.results[-200:]), MAX_RESULTS) or "nothing yet",
        "learnings": learnings_text(context.learnings),
        "memory": within(context.memory, MAX_MEMORY, newest=False) or "nothing yet",
        "archive": _archive(context),
        "skills": fitting(context.skills.get("factor-patterns", ""), context.columns, cross=context.cross)[:MAX_SKILL],
        "dsl": context.skills.get("midas-dsl", operators_text())[:MAX_LANGUAGE],
        "progress": _progress(context),
        "plan": _plan(context),
    }
    values["language"] = LANGUAGE.format(dsl=values["dsl"])
    return values | {"session": SESSION.format(**values)}


def constant_parts(filled: str, values: Mapping[str, str]) -> tuple[int, ...]:
    """Where the constant parts of a filled prompt end: after the language, and after the session block."""
    ends = []
    at = 0
    for name in ("language", "session"):
        text = values.get(name, "")
        if not text or not filled.startswith(text, at):
            break
        at += len(text)
        ends.append(at)
        at += len(filled) - at - len(filled[at:].lstrip("\n"))
    return tuple(ends)


def _columns(context: ResearchContext) -> str:
    # Those that fill a prompt are no use in it: an expression of another one is scored all the same.
    names = ", ".join(within(context.columns, MAX_COLUMNS, newest=False).split("\n"))
    if not context.column_notes:
        return names
    return names + "\n" + within((f"- {name}: {note}" for name, note in context.column_notes.items()), MAX_COLUMNS)


def _archive(context: ResearchContext) -> str:
    """Two elites, two near misses that differ, three failures; what was screened or judged on this very data."""
    shown = context.screen.archive.examples() if context.screen is not None else {}
    lines = [f"{_KINDS[kind]}: {line}" for kind, lines in shown.items() for line in lines]
    return within(lines, MAX_ARCHIVE, newest=False) or "nothing yet"


def _progress(context: ResearchContext) -> str:
    tried = len(context.results)
    told = f"Iteration {context.iteration}"
    told += f" of {context.iterations}" if context.iterations else ""
    told += f"; {tried} tried"
    if context.planned_trials:
        told += f" of at most {context.planned_trials}"
    line = next((r.line_t for r in reversed(context.results) if math.isfinite(r.line_t)), math.nan)
    if math.isfinite(line):
        told += f". A feature must reach t {line:.2f}: that line is drawn for the whole session from its start"
    return told + ". Each try is charged once and for good; a repeat is answered from the record."


def _plan(context: ResearchContext) -> str:
    if context.current_plan is None:
        return "none yet"
    plan = context.current_plan
    avoid = f"\navoid: {'; '.join(plan.avoid)}" if plan.avoid else ""
    return f"{plan.hypothesis}\n{plan.approach}{avoid}"[:8_000]
