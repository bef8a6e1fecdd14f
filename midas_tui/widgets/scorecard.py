"""The six verdicts on one expression."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from midas_tui.formats import number
from midas_tui.sanitise import clean
from midas_tui.theme import UNICODE, Glyphs

if TYPE_CHECKING:
    from midas_tui.store import TrialRow


class Scorecard(Static):
    """Expression, session line, six agents with their reasons, suggestions."""

    DEFAULT_CSS = "Scorecard { height: auto; padding: 0 1; }"

    def __init__(self, *, glyphs: Glyphs = UNICODE, id: str | None = None) -> None:
        super().__init__("", id=id, markup=False)
        self._glyphs = glyphs

    def show_trial(self, row: TrialRow | None) -> None:
        """Draw the verdicts on `row`."""
        if row is None:
            self.update(Content.styled("no expression chosen", "$muted"))
            return
        parts: list[tuple[str, str] | str] = [(f"{clean(row.name)}\n", "$accent"), f"{clean(row.expression)}\n"]
        if row.note:
            parts.append((f"{clean(row.note, newlines=False)}\n", "$muted"))
        scored = row.scored
        if scored is None:
            parts.append((f"\n{row.status}\n", "$warn" if row.status == "refused" else "$muted"))
        else:
            over = scored.score_t >= scored.line_t
            parts += [
                f"\nIC {number(scored.rank_ic)}   t ",
                (f"{scored.score_t:+.2f}", "$ok" if over else "$warn"),
                f" / line {scored.line_t:.2f} at {scored.trials} trials   composite {scored.composite:.2f}\n\n",
            ]
            for agent in scored.agents:
                sign, role = (self._glyphs.mark, "$ok") if agent.passed else (self._glyphs.killed, "$crit")
                parts += [
                    (f"{sign} ", role),
                    f"{agent.agent:<19}{agent.score:4.2f}  ",
                    (f"{clean(agent.summary, newlines=False)}\n", "$muted"),
                ]
            parts += [(f"- {clean(tip, newlines=False)}\n", "$accent") for tip in scored.suggestions]
        self.update(Content.assemble(*parts))
