"""A session's events as text for a person, line by line and piece by piece as they come."""

from __future__ import annotations

from functools import singledispatchmethod

import click

from midas_engine import events as ev
from midas_engine.cli.output import clean, clean_block, paint
from midas_engine.text import number


class Narrator:
    """Writes events to standard output.

    Args:
        quiet: Write nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._inside = False  # a streamed line is not ended yet

    def tell(self, event: ev.Event) -> None:
        """Write what a person should see of `event`; events without a line of their own are passed over."""
        if not self._quiet:
            self._tell(event)

    def _line(self, text: str = "") -> None:
        if self._inside:
            click.echo()
            self._inside = False
        click.echo(text)  # colours go when this is no terminal

    @singledispatchmethod
    def _tell(self, event: ev.Event) -> None:
        pass

    @_tell.register
    def _(self, event: ev.TokensStreamed) -> None:
        text = clean_block(event.text)
        click.echo(text, nl=False)
        self._inside = not text.endswith("\n") if text else self._inside

    @_tell.register
    def _(self, event: ev.SessionStarted) -> None:
        budget = f"{event.max_iterations} x {event.candidates_per_iter}"
        model = f" {clean(event.model)}" if event.model else ""
        self._line(f"Session {event.session_id}: {clean(event.goal)}")
        self._line(f"researcher {clean(event.researcher)}{model}, {budget} candidates")
        if event.destination:
            self._line(f"asks {clean(event.destination)}")

    @_tell.register
    def _(self, event: ev.PhaseStarted) -> None:
        self._line()
        self._line(paint(f"-- {event.iteration}. {event.phase}", "cyan"))

    @_tell.register
    def _(self, event: ev.PlanMade) -> None:
        self._line(f"hypothesis: {clean(event.hypothesis)}")

    @_tell.register
    def _(self, event: ev.ExpressionProposed) -> None:
        origin = f"  (from {clean(event.refined_from)})" if event.refined_from else ""
        self._line(f"  {clean(event.name)}: {clean(event.expression)}{origin}")

    @_tell.register
    def _(self, event: ev.ExpressionRefused) -> None:
        self._line(f"  {paint('not scored', 'yellow')}  {clean(event.expression)[:100]}: {clean(event.reason)}")

    @_tell.register
    def _(self, event: ev.CandidateScored) -> None:
        word = paint("accepted", "green") if event.accepted else paint("refused", "red")
        failed = [row.agent for row in event.agents if not row.passed]
        why = f"; refused by {', '.join(failed)}" if failed and not event.accepted else ""
        if not failed and not event.accepted and not event.repeated:
            why = "; passed the research part, not confirmed later"
        known = ", tried before" if event.repeated else ""
        self._line(
            f"  {word}  {clean(event.name)}: rank IC {number(event.rank_ic, 4, sign=True)}, "
            f"t {number(event.score_t, 2)} against {number(event.line_t, 2)} (trial {event.trials}{known}){why}"
        )

    @_tell.register
    def _(self, event: ev.CandidateAccepted) -> None:
        self._line(f"  {paint('saved', 'green')}  {clean(event.name)} -> {clean(event.path)}")

    @_tell.register
    def _(self, event: ev.ModelCalled) -> None:
        cost = f", ${event.cost_usd:.4f}" if event.cost_usd == event.cost_usd else ""
        self._line(f"  [{clean(event.model)}: {event.tokens_in} + {event.tokens_out} tokens{cost}]")

    @_tell.register
    def _(self, event: ev.AlertRaised) -> None:
        alert = event.alert
        colour = {"critical": "red", "warning": "yellow"}.get(str(alert.severity), "white")
        self._line(
            f"{event.at:%Y-%m-%d %H:%M}  {paint(str(alert.severity), colour)}  {clean(alert.feature)}: "
            f"{clean(alert.message)}"
        )

    @_tell.register
    def _(self, event: ev.DiagnosisFinished) -> None:
        if event.result is not None:
            cause = clean(event.result.cause).replace("_", " ")
            self._line(f"{event.at:%Y-%m-%d %H:%M}  diagnosis  {clean(event.feature)}: {cause}")

    @_tell.register
    def _(self, event: ev.KillProposed) -> None:
        self._line(
            f"{event.at:%Y-%m-%d %H:%M}  {paint('kill proposed', 'red')}  {clean(event.feature)}: {clean(event.reason)}"
        )

    @_tell.register
    def _(self, event: ev.ShadowProposal) -> None:
        told = paint(f"{event.action} proposed", "green" if event.action == "promote" else "red")
        self._line(f"{event.at:%Y-%m-%d %H:%M}  {told}  {clean(event.feature)}: {clean(event.reason)}")

    @_tell.register
    def _(self, event: ev.FaultReported) -> None:
        self._line(f"  {paint('warning', 'yellow')}  {clean(event.where)}: {clean(event.message)}")

    @_tell.register
    def _(self, event: ev.SessionEnded) -> None:
        accepted = ", ".join(map(clean, event.accepted)) or "none"
        self._line()
        self._line(f"Session {event.result}: {event.tried} tried, accepted: {accepted}")
        if event.reason:
            self._line(f"  {clean(event.reason)}")
        if event.learning_path:
            self._line(f"  learning: {clean(event.learning_path)}")
