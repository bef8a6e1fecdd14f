"""What the dialog before a pipeline action says: changes, gates not met, live figures, what cannot be undone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from midas_tui.formats import evidence_bar, pad
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


BAR_CELLS = 12


def gate_share(f: TodaysFigure) -> float:
    """How much of its gate a figure has: 1 meets it, whichever side is the good one; NaN where unknown.

    Example:
        >>> from midas_engine.promoter.preview import TodaysFigure
        >>> gate_share(TodaysFigure("a", "rank_ic", 0.01, 0.002, ">=", 0.02, False))
        0.5
    """
    if math.isnan(f.value):
        return math.nan
    if f.passed:
        return 1.0
    if f.comparison.startswith("<"):
        return max(0.0, min(0.99, f.threshold / f.value)) if f.value > 0.0 else 0.0
    return max(0.0, min(0.99, f.value / f.threshold)) if f.threshold > 0.0 else 0.0


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
        label = max((len(_gate_words(f.gate)) for f in preview.figures), default=0)
        for f in sorted(preview.figures, key=lambda f: f.passed):
            error = f" ±{f.error:.2g}" if math.isfinite(f.error) else ""
            value = short_figure(f.value)
            sign = self._glyphs.ok if f.passed else self._glyphs.killed
            bar = evidence_bar(gate_share(f), BAR_CELLS, self._glyphs)
            gate = pad(_gate_words(f.gate), label)
            line = f"{sign} {gate} {value + error:<16} {bar} {f.comparison} {f.threshold:.3g}"
            words.append((line, "" if f.passed else "crit"))
        return words

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
