"""A feature's card: what it is, what it was judged on, what became of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from textual.content import Content

from midas_tui.formats import clock_time, days, number
from midas_tui.sanitise import clean
from midas_tui.screens.card_figures import agents, blocks, rest, three
from midas_tui.theme import role_of

if TYPE_CHECKING:
    from midas_engine.models import FeatureMetrics, FeatureRecord
    from midas_tui.runtime_protocol import ForwardRecord

MOST_FIGURES = 60
HISTORY = 12
_LABEL = 17
_WIDE_LABEL = 26


class CardWriter:
    """Rows of label and value that wrap under the value, never under the label."""

    def __init__(self, width: int, label: int = _LABEL) -> None:
        self._label = label
        self._room = max(16, width - label - 1)
        self._parts: list[tuple[str, str] | str] = []

    def title(self, text: str, role: str = "accent") -> None:
        """A line of its own."""
        self._parts.append((f"{clean(text, newlines=False)}\n", f"${role}" if role else ""))

    def gap(self) -> None:
        """An empty line."""
        self._parts.append("\n")

    def row(self, label: str, value: str, role: str = "") -> None:
        """One figure."""
        label = clean(label, newlines=False)
        if len(label) > self._label:  # never cut: two labels that begin alike would be one
            self._parts.append((f"{label}\n", "$muted"))
            label = ""
        for place, piece in enumerate(wrapped(clean(value, newlines=False), self._room)):
            self._parts.append((f"{label if place == 0 else '':<{self._label}} ", "$muted"))
            self._parts.append((f"{piece}\n", f"${role}" if role else ""))

    def content(self) -> Content:
        """All of it."""
        return Content.assemble(*self._parts)


def wrapped(text: str, width: int) -> list[str]:
    """`text` in pieces of at most `width` characters, cut at spaces, commas and brackets where there are any.

    Example:
        >>> wrapped("trading_cost,diversification", 16)
        ['trading_cost,', 'diversification']
    """
    pieces: list[str] = []
    while len(text) > width:
        cut = max(text.rfind(" ", 1, width + 1), text.rfind(",", 1, width) + 1)
        cut = cut if cut > width // 3 else text.rfind("(", 1, width) + 1
        cut = cut if cut > width // 3 else width
        pieces.append(text[:cut].rstrip(" "))
        text = text[cut:].lstrip(" ")
    return [*pieces, text]


PROPOSAL_ROLES = {"promote": "ok", "reject": "crit"}


def card_content(
    r: FeatureRecord,
    live: FeatureMetrics | None = None,
    forward: ForwardRecord | None = None,
    *,
    width: int = 64,
    whole: bool = False,
) -> Content:
    """One feature, `width` cells wide; every figure of it where `whole`."""
    card = CardWriter(width, _WIDE_LABEL if whole and width >= 2 * _WIDE_LABEL else _LABEL)
    if r.damaged:
        card.row("damaged", r.damaged, "crit")
    for piece in wrapped(clean(r.expression, newlines=False), width):
        card.title(piece)
    if r.hypothesis:
        for piece in wrapped(clean(r.hypothesis, newlines=False), width):
            card.title(piece, "")
    card.gap()
    marks = [(r.role == "book", ", for the book"), (r.paused, ", paused"), (r.killed, ", killed: final")]
    state = r.state.value + "".join(word for on, word in marks if on)
    card.row("state", f"{state} since {clock_time(r.changed_at)}", "crit" if r.killed else "")
    if r.reason:
        card.row("reason", r.reason)
    if r.version > 1 or r.lineage:
        card.row("version", f"{r.version}" + (f", from {' > '.join(r.lineage)}" if r.lineage else ""))
    if r.gate:
        card.row("event gate", f"{r.gate}, held {r.hold_bars} bars")
    promised = "uncalibrated: promote measures it" if r.expected_score is None else f"{r.expected_score:+.5f}"
    card.row("promised score", promised, "muted" if r.expected_score is None else "")
    if r.breadth:
        card.row("promised breadth", f"{r.breadth:.1f}")
    if r.session_id:
        card.row("session", r.session_id)
    if live is not None:
        _live(card, live, forward, shadow=r.state.value == "shadow")
    _figures(card, r.metrics, whole=whole)
    if r.history:
        card.gap()
        card.title("history")
        for entry in r.history[-HISTORY:]:
            words = [clock_of(v) for v in entry.values() if v not in (None, "")]
            for place, piece in enumerate(wrapped(clean("  ".join(words), newlines=False), width - 2)):
                card.title(("  " if place else "") + piece, "")
    return card.content()


def _live(card: CardWriter, m: FeatureMetrics, forward: ForwardRecord | None, *, shadow: bool) -> None:
    card.gap()
    card.title("live")
    card.row("status", m.status, role_of(m.status))
    card.row("score now", number(m.score, 5))
    card.row("would notice", f"a drop in {days(m.days_to_detect_drop)}, a flip in {days(m.days_to_detect_flip)}")
    card.row("false alarms", f"{number(m.false_alarms_per_year, 1, signed=False)} a year")
    if forward is not None:
        kind = "forward" if forward.forward else "in hindsight"
        label = "shadow record" if shadow else "record"
        card.row(label, f"score {forward.score:+.4f} ±{forward.se:.4f}, t {forward.t:+.1f}")
        card.row(
            "", f"{forward.bars:,} bars {kind} since {clock_time(forward.since)}, {number(forward.pnl_bps, 1)} bps"
        )
        if forward.graduation:
            label = f"{forward.proposed} proposed" if forward.proposed else "graduates"
            card.row(label, forward.graduation, PROPOSAL_ROLES.get(forward.proposed, ""))
    elif shadow:
        card.row("shadow record", "no bar since it went into shadow", "muted")


def _figures(card: CardWriter, metrics: dict[str, Any], *, whole: bool) -> None:
    for title, lines in blocks(metrics):
        card.gap()
        card.title(title)
        for label, value, role in lines:
            card.row(label, value, role)
    for label, value, role in agents(metrics):
        card.gap()
        card.row(label, value, role)
    others = [*rest(metrics)][:MOST_FIGURES]
    if others and not whole:
        card.row("", f"enter shows {len(others)} more figures", "muted")
    elif others:
        card.gap()
        card.title("everything else")
        for label, value, role in others:
            card.row(label, value, role)
    gates = metrics.get("gates")
    for gate in gates if isinstance(gates, list) else ():
        if isinstance(gate, dict):
            held = bool(gate.get("passed"))
            text = f"{_short(gate.get('value'))} {gate.get('comparison', '')} {_short(gate.get('threshold'))}"
            card.row(str(gate.get("name", "gate")), f"{text}: {'met' if held else 'missed'}", "ok" if held else "warn")


def _short(value: object) -> str:
    return three(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def clock_of(value: object) -> str:
    """A value of a history entry; times without their seconds and zone."""
    text = str(value)
    return text[:16].replace("T", " ") if len(text) > 18 and text[4:5] == "-" and text[10:11] in "T " else text


def figure(record: FeatureRecord, key: str) -> float:
    """A saved figure as a number; NaN when it is none."""
    value: Any = record.metrics.get(key, math.nan)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
