"""What the dialog before a pipeline action says: changes, gates not met, live figures, what cannot be undone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from midas_tui.formats import distance_bar, pad
from midas_tui.modals.ask import Question
from midas_tui.screens.card_figures import blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_tui.runtime_protocol import Preview, RuntimePort, TodaysFigure
    from midas_tui.store import Store
    from midas_tui.theme import Glyphs

# What the engine looks at on today's data before it asks.
LOOKED_AT = ("promote", "book", "redeploy")
_VERBS = {"book": "promote to the book:"}

Words = list[tuple[str, str]]


# Cells of the bar on each side of the gate: each is one standard error, or a quarter of the gate.
SIDE_CELLS = 4
# Nearer than this many standard errors a figure could lie on the other side of its gate by chance.
DECIDED = 1.645


def gate_distance(f: TodaysFigure) -> tuple[float, str]:
    """How far a figure lies beyond its gate, below zero where it is short: cells of its bar, and words.

    In standard errors where it has one, else as a share of the gate; NaN where neither is known.

    Example:
        >>> from midas_engine.promoter.preview import TodaysFigure
        >>> gate_distance(TodaysFigure("a", "rank_ic", 0.01, 0.005, ">=", 0.02, False))
        (-2.0, '-2.0 se')
        >>> gate_distance(TodaysFigure("a", "turnover", 0.2, math.nan, "<=", 0.8, True))
        (3.0, '25% of it')
        >>> gate_distance(TodaysFigure("a", "bars", 5580.0, math.nan, ">=", 300.0, True))
        (70.4, '19x')
    """
    if not math.isfinite(f.value):
        return (math.nan, "") if math.isnan(f.value) else (math.copysign(SIDE_CELLS, 1.0 if f.passed else -1.0), "")
    beyond = (f.value - f.threshold) * (-1.0 if f.comparison.startswith("<") else 1.0)
    if math.isfinite(f.error) and f.error > 0.0:
        return beyond / f.error, f"{beyond / f.error:+.1f} se"
    if f.threshold <= 0.0:
        return math.nan, ""
    share = f.value / f.threshold
    return round(SIDE_CELLS * beyond / f.threshold, 2), f"{share:.2g}x" if share >= 2.0 else f"{share:.0%} of it"


def short_figure(value: float) -> str:
    """A figure of a gate in a few cells.

    Example:
        >>> short_figure(1820.0), short_figure(0.01234), short_figure(float("inf")), short_figure(float("nan"))
        ('1,820', '0.0123', 'no end', 'unknown')
    """
    if math.isnan(value):
        return "unknown"
    if math.isinf(value):
        return "no end" if value > 0.0 else "-inf"
    return f"{value:,.0f}" if abs(value) >= 1000.0 else f"{value:.3g}"


def _without_folder(data: str) -> str:
    """What was looked at, a file by its name.

    Example:
        >>> _without_folder("/data/perps/market.parquet: 2025-01-01 to 2025-09-13"), _without_folder("sample: 2026")
        ('market.parquet: 2025-01-01 to 2025-09-13', 'sample: 2026')
    """
    name, colon, days = data.partition(": ")
    return f"{name.rpartition('/')[2]}{colon}{days}"


def _gate_words(gate: str) -> str:
    words = ({"ic": "IC", "ir": "IR", "oos": "later"}.get(word, word) for word in gate.split("_"))
    return " ".join(words)


class PipelineQuestions:
    """Words previews for the operator.

    Args:
        store: Live figures and records.
        glyphs: Signs for passed and failed.
    """

    def __init__(self, store: Store, glyphs: Glyphs) -> None:
        self._store = store
        self._glyphs = glyphs

    def question(
        self, action: str, names: Sequence[str], previews: Sequence[Preview], runtime: RuntimePort
    ) -> Question:
        """The dialog for one action on one feature or several; `previews` in the order of `names`."""
        body: Words = []
        for name, preview in zip(names, previews, strict=True):
            if len(names) > 1:
                body.append((name, "accent"))
            body += [(f"not met: {gate}", "warn") for gate in preview.unmet]
            body += self._todays_words(preview)
            body += [(f"{verb:<7}{path}", "") for verb, path in preview.changes]
            body += self._live_words(name, runtime)
            body.append((f"same as: {preview.command}", "muted"))
        kill = action == "kill"
        if not all(p.undoable for p in previews):
            body.append(("final: cannot be undone; a running monitor calls on_kill at once, else the next one", "crit"))
            body.append(("to bring it back later: redeploy it, as a new promotion with a reason", "muted"))
        needs = any(p.needs_reason for p in previews)
        against = action in LOOKED_AT and any(p.unmet for p in previews)
        if against:
            body.insert(0, ("something is against it: without a reason of yours it is refused", "crit"))
        if action == "book":
            body.insert(0, ("one look at the sealed part, charged to the lifetime's budget whatever it finds", "warn"))
        verb = _VERBS.get(action, action)
        confirm = verb.rstrip(":").capitalize()
        return Question(
            title=f"{verb} {names[0]}" if len(names) == 1 else f"{verb} {len(names)} features",
            body=body,
            confirm=f"{confirm} all the same" if against else confirm,
            reason_label="reason" if needs else "",
            reason_required=needs,
            typed_name=names[0] if kill else "",
            danger=kill or against,
            command="\n".join(preview.command for preview in previews),
        )

    def _todays_words(self, preview: Preview) -> Words:
        """The research figures on today's data: value, error, gate; those that fail first."""
        words = [(line, "") for line in (preview.worth, *preview.effects) if line]
        if preview.figures:
            met, every = sum(f.passed for f in preview.figures), len(preview.figures)
            words.insert(0, (f"{met} of {every} gates are met on today's data", "ok" if met == every else "crit"))
            words.append((f"today, {_without_folder(preview.data)}:", "muted"))
            words.append((self._legend(preview.figures), "muted"))
        label = max((len(_gate_words(f.gate)) for f in preview.figures), default=0)
        for f in sorted(preview.figures, key=lambda f: f.passed):
            error = f" ±{f.error:.2g}" if math.isfinite(f.error) else ""
            cells, distance = gate_distance(f)
            bar = distance_bar(cells, SIDE_CELLS, self._glyphs)
            gate = pad(_gate_words(f.gate), label)
            value, needs = short_figure(f.value) + error, f"{f.comparison} {f.threshold:.3g}"
            line = f"{self._sign(f)} {gate} {value:<14} {bar} {distance:>9} {needs}"
            words.append((line, "" if f.passed else "crit"))
        return words

    def _sign(self, f: TodaysFigure) -> str:
        """Met, met within its error, not met, unknown: told apart without colour."""
        if math.isnan(f.value):
            return self._glyphs.stale
        if not f.passed:
            return self._glyphs.killed
        beyond, _ = gate_distance(f)
        near = math.isfinite(f.error) and f.error > 0.0 and beyond < DECIDED
        return self._glyphs.warning if near else self._glyphs.mark

    def _legend(self, figures: Sequence[TodaysFigure]) -> str:
        """What the signs that stand there mean."""
        g, there = self._glyphs, {self._sign(f) for f in figures}
        told = ((g.killed, "not met"), (g.stale, "unknown"), (g.warning, "met, within its error"), (g.mark, "met"))
        return ", ".join(f"{sign} {word}" for sign, word in told if sign in there) + "; the bar: how far past its gate"

    def _live_words(self, name: str, runtime: RuntimePort) -> Words:
        m = self._store.metrics.get(name)
        record = self._store.record(name)
        words: Words = []
        if m is not None:
            words.append(
                (f"live: {m.status}, ic 5d {m.ic_5d.value:+.3f} ±{m.ic_5d.se:.3f}, {m.pnl_1d_bps:+.1f} bps/d", "muted")
            )
        elif record is not None and record.metrics:
            for title, lines in blocks(record.metrics):
                figures = ", ".join(f"{label} {value}" for label, value, _ in lines)
                words.append((f"saved, {title}: {figures}", "muted"))
        forward = runtime.queries.forward(name) if self._store.is_shadow(name) else None
        if forward is not None:
            kind = "forward" if forward.forward else "in hindsight"
            words.append((f"shadow: {forward.score:+.4f}, t {forward.t:+.1f} over {forward.bars} bars {kind}", "muted"))
        return words
