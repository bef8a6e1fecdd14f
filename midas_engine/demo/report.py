"""The demo's report: what was planted, what was found, what died and when it was noticed."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from midas_engine.demo.world import GOAL, likeness
from midas_engine.sentence import share_of_gate
from midas_engine.text import markdown_cell, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from midas_engine.demo.monitoring import Story
    from midas_engine.demo.result import DemoResult
    from midas_engine.demo.world import World
    from midas_engine.market.synthetic import PlantedFeature
    from midas_engine.models import FeatureMetrics, FeatureRecord
    from midas_engine.settings import Settings

_FIGURE_MARK = re.compile(r" ?\[F\d+\]")


def render(result: DemoResult, world: World, settings: Settings) -> str:
    """The report as Markdown. It holds no wall-clock time: the same seed gives the same bytes."""
    parts = [
        "# Midas demo report\n",
        f"**{first_sentences(result, world)}**\n",
        "One discovery session and one monitoring session on a synthetic market whose truth is known.",
        "Nothing in the sessions knows the truth; this page compares afterwards.\n",
        f"Repeat it: `midas demo --seed {settings.seed}`. The same seed gives the same page (local researcher).\n",
        *_market(world),
        *_discovery(result, world, settings),
        *_life(result, world),
        *_closing(result),
    ]
    return "\n".join(parts)


def first_sentences(result: DemoResult, world: World) -> str:
    """What was found of what was planted, what died and when it was noticed, and how often it was wrong."""
    story, tried = result.story, len(result.scored)
    parts = [f"{len(result.found)} of {tried} expressions were accepted" if tried else "no expression could be scored"]
    if result.found:
        values = [world.values(record.expression) for record in result.found]
        alike = [(max(likeness(v, world.values(f.expression)) for v in values), f.name) for f in world.planted]
        nearest, name = max(alike)
        parts[0] += f", the best of them {nearest:+.2f} correlated with the planted {name}"
    delays = [(f.name, _called_after(story, world, f)) for f in world.mortal()]
    told = [f"{name} after {days:.1f} days" for name, days in delays if days is not None]
    missed = [name for name, days in delays if days is None]
    if told:
        parts.append(f"{len(told)} of {len(delays)} planted deaths were noticed, {' and '.join(told)}")
    if missed:
        parts.append(f"the death of {' and '.join(missed)} was not noticed")
    false, years = _false_alarms(story, world)
    parts.append(f"{false} of the healthy features were called dead in {years:.2f} feature-years")
    return "; ".join(parts) + "."


def _called_after(story: Story, world: World, feature: PlantedFeature) -> float | None:
    """Days from a planted change to the call; None where it was not called."""
    changed = feature.changes_at or 0
    bars = [m.bar - changed for m in story.moments if m.feature == feature.name and m.called and m.bar >= changed]
    return min(bars) * world.panel.hours_per_bar / 24 if bars else None


# -- the market ----------------------------------------------------------------------------------


def _market(world: World) -> Iterator[str]:
    panel = world.panel
    yield "## The market\n"
    yield (
        f"{panel.S} perpetuals, {panel.T} hourly bars from {_day(world, 0)}. Bars before {_day(world, world.searched)} "
        "are searched, the rest is lived through.\n"
    )
    rows = [[f.name, f"`{f.expression}`", f"{f.ic:.2f}", _fate(world, f)] for f in world.planted]
    yield _table(("planted signal", "expression", "IC", "what becomes of it"), rows)
    first, last = world.market.truth.slippage_shock
    yield f"Execution costs three times the usual from {_day(world, first)} for {last - first} bars.\n"


def _fate(world: World, feature: PlantedFeature) -> str:
    if feature.changes_at is None:
        return "stays"
    return f"{'dies' if feature.kind == 'decays' else 'turns its sign'} on {_day(world, feature.changes_at)}"


# -- discovery -----------------------------------------------------------------------------------


def _discovery(result: DemoResult, world: World, settings: Settings) -> Iterator[str]:
    learning = result.learning
    yield "## Discovery\n"
    tried = len(result.scored)
    researcher = markdown_cell(learning.provenance)
    yield f"Goal: {markdown_cell(GOAL)}. Researcher: {researcher}. Expressions tried: {tried}.\n"
    saved = {record.expression for record in result.found}
    rows = []
    for e in result.scored:
        refused = [_words(a.agent) for a in e.agents if not a.passed]
        verdict = "repeat" if e.repeated else "accepted" if e.expression in saved else ", ".join(refused)
        rows.append([e.name, f"`{e.expression}`", f"{e.rank_ic:+.4f}", f"{e.score_t:+.2f}", verdict or "not confirmed"])
    yield _table(("name", "expression", "rank IC", "t", "refused by"), rows)
    if result.scored:
        line = result.scored[-1]
        yield f"Line of acceptance: t = {line.line_t:.2f}, 5 % over the {line.trials} trials the session could make.\n"
    if not result.found:
        yield "Nothing was accepted.\n"
    for record in result.found:
        yield from _candidate(record, world)
    for title, text in (("Pattern", learning.pattern_identified), ("Failed", learning.what_failed)):
        if text:
            yield f"{title}: {markdown_cell(text)}\n"


def _candidate(record: FeatureRecord, world: World) -> Iterator[str]:
    yield f"### {record.name}\n"
    yield f"`{record.expression}`\n"
    yield candidate_figures(record)
    promise = record.expected_score
    if promise is not None:
        yield f"Promised score for live bars, shrunk by 0.7: {promise:+.4f}.\n"
    values = world.values(record.expression)
    alike = [f"{f.name} {likeness(values, world.values(f.expression)):+.2f}" for f in world.planted]
    yield f"Rank correlation with what was planted: {', '.join(alike)}.\n"


def candidate_figures(record: FeatureRecord) -> str:
    """The figures of its parts, each with its standard error, as a table."""
    m = record.metrics
    rows = [
        [part, _with_error(m.get(f"{prefix}rank_ic"), m.get(f"{prefix}rank_ic_se"), 4),
         _number(m.get(f"{prefix}score_t"), 2, sign=True),
         _with_error(m.get(f"{prefix}net_bps"), m.get(f"{prefix}net_se"), 2), str(m.get(f"{prefix}bars_scored", ""))]
        for part, prefix in (("research", ""), ("sealed", "sealed_"))
        if f"{prefix}score_t" in m
    ]  # fmt: skip
    return _table(("part", "rank IC ± s.e.", "t", "after costs ± s.e., bps a bar", "bars"), rows)


# -- life ----------------------------------------------------------------------------------------


def _life(result: DemoResult, world: World) -> Iterator[str]:
    story = result.story
    found = {record.name for record in result.found}
    yield "## Monitoring\n"
    yield (
        f"{story.bars} bars, one at a time. The monitor watches what the session found and the planted signals that "
        "will die, as an older book would hold them. It is not told when.\n"
    )
    rows = [
        [
            m.feature,
            "found" if m.feature in found else "planted",
            m.status,
            "-" if m.expected_score is None else f"{m.expected_score:+.4f}",
            f"{_number(m.ic_30d.value, 3, sign=True)} ± {_number(m.ic_30d.se, 3)}",
            _evidence(m),
            _number(m.slippage_ratio, 2),
            _number(m.days_to_detect_drop, 1),
            _number(m.false_alarms_per_year, 2),
        ]
        for m in story.metrics
    ]
    head = ("feature", "origin", "state at the end", "promised score", "IC 30 d ± s.e.", "way to the alarm",
            "slippage over expected", "days to notice death",
            "false alarms a year")  # fmt: skip
    yield _table(head, rows)
    yield from _happened(story, world)
    yield "### Was it noticed?\n"
    yield _table(("planted change", "on", "called", "after", "killed", "after"), _noticed(story, world))
    false, years = _false_alarms(story, world)
    yield f"Calls on features that were healthy: {false} in {years:.2f} feature-years; one a year is promised.\n"
    if story.told:
        yield f"The `on_kill` callback was called for: {', '.join(story.told)}.\n"
    if story.diagnoses:
        yield "### Diagnoses\n"
        rows = [
            [d.feature, _words(d.cause), f"{d.confidence:.0%}", unnumbered(markdown_cell(d.root_cause))]
            for d in story.diagnoses
        ]
        yield _table(("feature", "cause", "chance", "explanation"), rows)
        yield "The figures of each, with where they come from, stand in `knowledge/learnings/online` of the base.\n"


def _happened(story: Story, world: World) -> Iterator[str]:
    yield "### What happened\n"
    loud = [m for m in story.moments if m.alert is None or m.called or m.alert.alert_type == "execution_slippage"]
    rows = [
        [_hour(world, m.bar), m.feature, "**killed**" if m.alert is None else str(m.alert.severity),
         "the detector proposed it, the operator confirmed" if m.alert is None else markdown_cell(m.alert.message)]
        for m in loud
    ]  # fmt: skip
    yield _table(("bar (UTC)", "feature", "what", ""), rows) if rows else "Neither a test nor the costs spoke.\n"
    counts: dict[tuple[str, str], int] = {}
    for m in story.moments:
        if m.alert is not None and m not in loud:
            kind = (m.alert.alert_type, str(m.alert.severity))
            counts[kind] = counts.get(kind, 0) + 1
    if counts:
        told = ", ".join(f"{n} {_words(kind)} ({severity})" for (kind, severity), n in sorted(counts.items()))
        yield (
            f"Beside these the original's threshold rules spoke: {told}. They are shown; a ratio of two\n"
            "noisy correlations has no false-alarm rate, so that none of them starts a diagnosis or a kill.\n"
        )


def _noticed(story: Story, world: World) -> list[list[str]]:
    rows = []
    for planted in world.mortal():
        changed = planted.changes_at or 0
        after = [m for m in story.moments if m.feature == planted.name and m.bar >= changed]
        row = [f"{planted.name} {'dies' if planted.kind == 'decays' else 'turns'}", _day(world, changed)]
        for moment in (next((m for m in after if m.called), None), next((m for m in after if m.killed), None)):
            if moment is None:
                row += ["no", ""]
            else:
                days = (moment.bar - changed) * world.panel.hours_per_bar / 24
                row += [_hour(world, moment.bar), f"{days:.1f} days"]
        rows.append(row)
    return rows


def _false_alarms(story: Story, world: World) -> tuple[int, float]:
    """Calls on features that were healthy, and over how many feature-years."""
    changes = {f.name: f.changes_at or world.panel.T for f in world.mortal()}
    healthy_until = {m.feature: changes.get(m.feature, world.panel.T) for m in story.metrics}
    false = [m for m in story.moments if m.called and m.bar < healthy_until.get(m.feature, 0)]
    bars = sum(until - world.searched for until in healthy_until.values())
    years = bars * world.panel.hours_per_bar / (24 * 365)
    return len(false), years


def _closing(result: DemoResult) -> Iterator[str]:
    yield "## What was written\n"
    yield (
        "The candidates, the learnings, the daily report of the first kill and the diagnoses lie in the knowledge\n"
        "base (`./midas-kb` unless `--kb` names another). A candidate is yours to promote:\n"
    )
    name = result.found[0].name if result.found else "NAME"
    yield f"```sh\nmidas status\nmidas promote {name}\nmidas undo\n```\n"
    yield "A made-up market shows that the machinery works, not that a market pays. For real data: `midas discover`.\n"


# -- text ----------------------------------------------------------------------------------------


def _words(name: str) -> str:
    return name.replace("_", " ")


def _evidence(m: FeatureMetrics) -> str:
    share = share_of_gate(m)
    return "n/a" if math.isnan(share) else f"{share:.0%}"


def unnumbered(text: str) -> str:
    """An explanation without the numbers of its figures ("[F12]"): their list stands in the diagnosis, not here.

    Example:
        >>> unnumbered("slippage is 2.09 x [F12]; age of the break is 130 bars [F3].")
        'slippage is 2.09 x; age of the break is 130 bars.'
    """
    return _FIGURE_MARK.sub("", text)


def _with_error(value: object, error: object, digits: int) -> str:
    told = _number(value, digits, sign=True)
    return told if told == "n/a" else f"{told} ± {_number(error, digits)}"


def _day(world: World, bar: int) -> str:
    return f"{world.opens(min(bar, world.panel.T - 1)):%Y-%m-%d}"


def _hour(world: World, bar: int) -> str:
    return f"{world.opens(bar):%Y-%m-%d %H:%M}"


def _number(value: object, digits: int, *, sign: bool = False) -> str:
    return number(value, digits, sign=sign, unknown="n/a")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
