"""What is known of the row under the cursor: a session's facts, a plan's hypothesis, or an expression's verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from midas_tui.expression_diff import difference
from midas_tui.formats import number
from midas_tui.sanitise import clean
from midas_tui.theme import UNICODE, Glyphs

if TYPE_CHECKING:
    from midas_engine.events import SessionStarted
    from midas_tui.session_tree import Node
    from midas_tui.session_view import SessionView, TrialRow

Parts = list[tuple[str, str] | str]


def told(node: Node | None, glyphs: Glyphs, none: str = "nothing chosen") -> Content:
    """Everything about a row of the tree; `none` where there is no row."""
    if node is None:
        return Content.styled(none, "$muted")
    if node.trial is not None:
        return Content.assemble(*_trial(node.session, node.trial, glyphs))
    if node.iteration:
        plan = node.session.plans.get(node.iteration, "the plan was not heard")
        return Content.assemble((f"plan {node.iteration}\n", "$accent"), f"{clean(plan)}\n")
    return Content.assemble(*_session(node.session))


def _session(view: SessionView) -> Parts:
    begun = view.started
    parts: Parts = [(f"{clean(view.goal or view.session_id)}\n", "$accent"), (f"{view.session_id}\n", "$muted")]
    role = {"success": "$ok", "error": "$crit", "running": "$accent"}.get(view.status, "")
    parts += [(f"\n{view.status}", role), f": {clean(view.reason)}\n" if view.reason else "\n"]
    facts = [("researcher", view.researcher)]
    if begun is not None:
        facts += [
            ("model", begun.model),
            ("asks", begun.destination),
            ("data", begun.data),
            ("regime", begun.regime),
            ("horizon", f"{begun.horizon} bar{'s' * (begun.horizon != 1)}" if begun.horizon else ""),
            ("plans", _plans(begun)),
            ("repeats", begun.replays),
        ]
    facts += [
        ("saved", ", ".join(view.accepted) or ("nothing yet" if view.running else "nothing")),
        ("learning", view.learning),
    ]
    for name, value in facts:
        if value:
            parts += [(f"{name:<11}", "$muted"), f"{clean(value, newlines=False)}\n"]
    return parts


def _plans(begun: SessionStarted) -> str:
    if not begun.max_iterations:
        return ""
    many = begun.candidates_per_iter
    return f"{begun.max_iterations}, each of {many} {'expression' if many == 1 else 'expressions'}"


def _trial(view: SessionView, row: TrialRow, glyphs: Glyphs) -> Parts:
    parts: Parts = [(f"{clean(row.name)}\n", "$accent")]
    role = {"accepted": "$ok", "refused": "$warn", "proposed": "$accent"}.get(row.status, "")
    parts.append((f"{clean(row.words)}\n\n", role))
    parent = view.trials.get(row.parent)
    parts += _compared(parent, row) if parent is not None else [f"{clean(row.expression)}\n"]
    if row.note:
        parts.append((f"{clean(row.note, newlines=False)}\n", "$muted"))
    return parts + _figures(row, glyphs)


def _compared(parent: TrialRow, row: TrialRow) -> Parts:
    """The parent's expression and its own, what changed in bold between the signs."""
    old, new = difference(clean(parent.expression), clean(row.expression))
    parts: Parts = [(f"from {clean(parent.name)}\n", "$muted")]
    for sign, pieces, role in (("- ", old, "$crit"), ("+ ", new, "$ok")):
        parts.append((sign, role))
        parts += [(text, f"{role} bold underline") if changed else (text, "") for text, changed in pieces]
        parts.append("\n")
    return parts


def _figures(row: TrialRow, glyphs: Glyphs) -> Parts:
    scored = row.scored
    if scored is None:
        return []
    over = scored.score_t >= scored.line_t
    parts: Parts = [
        f"\nIC {number(scored.rank_ic)}   t ",
        (f"{scored.score_t:+.2f}", "$ok" if over else "$warn"),
        f" / line {scored.line_t:.2f} at {scored.trials} trials  composite {scored.composite:.2f}\n",
    ]
    if row.looked is not None:
        look = row.looked
        fate = "held" if look.passed else f"did not hold ({', '.join(look.vetoes)})" if look.vetoes else "did not hold"
        again = ", answered from the ledger" if look.repeated else ""
        sealed = f"sealed look {look.number} {fate}: p had to reach {look.line:.2g}{again}\n"
        parts.append((sealed, "$ok" if look.passed else "$warn"))
    parts.append("\n")
    for agent in scored.agents:
        sign, role = (glyphs.mark, "$ok") if agent.passed else (glyphs.killed, "$crit")
        parts += [
            (f"{sign} ", role),
            f"{agent.agent.replace('_', ' '):<19}{agent.score:4.2f}  ",
            (f"{clean(agent.summary, newlines=False)}\n", "$muted"),
        ]
    return parts + [(f"- {clean(tip, newlines=False)}\n", "$accent") for tip in scored.suggestions]


class Scorecard(Static):
    """The detail of the row under the cursor."""

    DEFAULT_CSS = "Scorecard { height: auto; padding: 0 1; }"

    def __init__(self, *, glyphs: Glyphs = UNICODE, id: str | None = None) -> None:
        super().__init__("", id=id, markup=False)
        self._glyphs = glyphs
        self._shown: Content | None = None

    def show_node(self, node: Node | None, none: str) -> None:
        """Show a row of the tree; `none` where there is no row."""
        content = told(node, self._glyphs, none)
        if content != self._shown:  # an update redraws the whole pane
            self._shown = content
            self.update(content)
