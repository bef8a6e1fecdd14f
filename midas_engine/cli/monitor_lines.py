"""Events of the online loop as lines: for a person, or one JSON document each."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from functools import singledispatchmethod
from typing import TYPE_CHECKING

import click

from midas_engine import events as ev
from midas_engine.cli.output import clean, paint
from midas_engine.monitor.alerts.incidents import incidents
from midas_engine.runtime.feed_watchdog import RULE as FEED_RULE
from midas_engine.text import number

if TYPE_CHECKING:
    from datetime import datetime

    from midas_engine.models import Alert

_COLOURS = {"critical": "red", "warning": "yellow", "info": "cyan"}


class Watchman:
    """Writes events to standard output. Telling never stops who watches: what cannot be written is told and passed by.

    Args:
        as_json: One JSON document a line, every event; else lines for a person, of what a person should see.
        figures: A person is told the figures of every bar, too.
    """

    def __init__(self, *, as_json: bool = False, figures: bool = False) -> None:
        self._as_json, self._figures = as_json, figures
        self._day = ""
        self._refused = ""
        self.unwritten = 0
        self._waiting: list[ev.AlertRaised | ev.AlertResolved] = []
        self._watched = 0

    def tell(self, event: ev.Event) -> None:
        """Write `event`; alerts wait for the end of their bar, since those of one incident are one line.

        Raises:
            BrokenPipeError: Nobody reads any more.
        """
        if not self._as_json:
            # an outage is told at once: the bar whose end it would wait for does not come
            if isinstance(event, ev.AlertRaised | ev.AlertResolved) and event.alert.rule != FEED_RULE:
                self._waiting.append(event)
                return
            if isinstance(event, ev.BarProcessed):
                self._watched = event.features
            if not isinstance(event, ev.AlertUpdated | ev.FeatureTicked):
                self.flush()
        self._tell_one(event)

    def flush(self) -> None:
        """Write the alerts that wait."""
        waiting, self._waiting = self._waiting, []
        groups: dict[tuple[type, datetime], list[ev.AlertRaised | ev.AlertResolved]] = {}
        for event in waiting:
            groups.setdefault((type(event), event.at), []).append(event)
        for alike in groups.values():
            for alert in incidents([event.alert for event in alike], self._watched):
                self._tell_one(dataclasses.replace(alike[0], alert=alert))

    def _tell_one(self, event: ev.Event) -> None:
        try:
            self._attempt(event)
        except BrokenPipeError:
            raise
        except Exception as error:
            self._could_not(event, error)
        else:
            self._refused = ""

    def _attempt(self, event: ev.Event) -> None:
        if self._as_json:
            self._write(json.dumps(ev.to_dict(event), ensure_ascii=True, allow_nan=False))
        else:
            self._tell(event)

    def _could_not(self, event: ev.Event, error: Exception) -> None:
        """One fault beside the events, where it can be written; on standard error once a stretch where it cannot."""
        self.unwritten += 1
        what = f"{type(event).__name__} could not be written: {type(error).__name__}: {error}"[:300]
        try:
            if isinstance(error, OSError):
                raise error  # nothing can be written to this output now
            self._attempt(ev.FaultReported(at=event.at, where="output", message=what, severity="warning"))
        except BrokenPipeError:
            raise
        except Exception:
            if self._refused != str(error):
                self._refused = str(error)
                with contextlib.suppress(Exception):
                    click.echo(f"warning: {clean(what)}", err=True)

    def _write(self, text: str) -> None:
        click.echo(text)  # takes the colours off where the output is no terminal; writes and flushes

    def _line(self, event: ev.Event, mark: str, colour: str, text: str) -> None:
        self._write(f"{event.at:%Y-%m-%d %H:%M}  {paint(f'{mark:<9}', colour)} {text}")

    @singledispatchmethod
    def _tell(self, event: ev.Event) -> None:
        pass

    @_tell.register
    def _(self, event: ev.RuntimeChanged) -> None:
        if event.progress != event.progress:  # steps, not their progress
            self._line(event, event.phase, "cyan", clean(event.detail))

    @_tell.register
    def _(self, event: ev.FeatureTicked) -> None:
        if self._figures:
            m = event.metrics
            figures = (("IC 1d", m.ic_1d.value), ("5d", m.ic_5d.value), ("30d", m.ic_30d.value), ("score", m.score))
            shown = ", ".join(f"{name} {number(value, 3, sign=True)}" for name, value in figures)
            self._line(event, str(m.status), "cyan", f"{m.bars} bars, {shown}, turnover {number(m.turnover, 2)}")

    @_tell.register
    def _(self, event: ev.BarProcessed) -> None:
        day = f"{event.bar_at:%Y-%m-%d}"
        if day != self._day:  # one sign of life a day; alerts speak for themselves
            self._day = day
            regime = f", {clean(event.regime)}" if event.regime else ""
            self._line(
                event,
                "bar",
                "cyan",
                f"{event.features} features on {event.symbols} symbols{regime}, "
                f"{event.warnings} warnings and {event.criticals} criticals open",
            )

    @_tell.register
    def _(self, event: ev.BarRefused) -> None:
        which = "a bar" if event.bar_at is None else f"bar {event.bar_at:%Y-%m-%d %H:%M}"
        self._line(event, "refused", "yellow", f"{which}: {clean(event.reason)}")

    @_tell.register
    def _(self, event: ev.FeedGapped) -> None:
        first = f"{event.first_missing:%Y-%m-%d %H:%M}"
        self._line(event, "gap", "yellow", f"{event.missing_bars} bars missing from {first}")

    @_tell.register
    def _(self, event: ev.AlertRaised) -> None:
        self._alert(event, event.alert, str(event.alert.severity))

    @_tell.register
    def _(self, event: ev.AlertChanged) -> None:
        self._alert(event, event.alert, event.action)

    @_tell.register
    def _(self, event: ev.AlertResolved) -> None:
        self._alert(event, event.alert, "resolved")

    def _alert(self, event: ev.Event, alert: Alert, mark: str) -> None:
        gate = f" (gate {number(alert.threshold, 3)})" if alert.threshold == alert.threshold else ""
        value = f" {number(alert.value, 3)}" if alert.value == alert.value else ""
        what = f"{clean(alert.feature)} {alert.alert_type}{value}{gate}"
        detail = f": {clean(alert.message)}" if alert.message else ""
        self._line(event, mark, _COLOURS.get(mark, "green"), what + detail)

    @_tell.register
    def _(self, event: ev.DiagnosisFinished) -> None:
        text = event.error or (event.result.root_cause if event.result is not None else "")
        self._line(event, "diagnosis", "cyan", f"{clean(event.feature)}: {clean(text)}")

    @_tell.register
    def _(self, event: ev.KillProposed) -> None:
        self._line(event, "kill?", "red", f"{clean(event.feature)}: {clean(event.reason)}")

    @_tell.register
    def _(self, event: ev.ShadowProposal) -> None:
        colour = "green" if event.action == "promote" else "red"
        self._line(event, f"{event.action}?", colour, f"{clean(event.feature)}: {clean(event.reason)}")

    @_tell.register
    def _(self, event: ev.KillCallbackFailed) -> None:
        self._line(event, "callback", "red", f"{clean(event.feature)}: {clean(event.error)} (try {event.attempt})")

    @_tell.register
    def _(self, event: ev.FeatureMoved) -> None:
        why = f": {clean(event.reason)}" if event.reason else ""
        who = f" by {clean(event.actor)}" if event.actor else ""
        what = f"{clean(event.feature)} {event.before} -> {event.after}{who}{why}"
        self._line(event, event.action, "red" if event.action == "kill" else "cyan", what)

    @_tell.register
    def _(self, event: ev.ReportWritten) -> None:
        self._line(event, "report", "cyan", clean(event.path))

    @_tell.register
    def _(self, event: ev.FaultReported) -> None:
        hint = f" ({clean(event.hint)})" if event.hint else ""
        self._line(
            event,
            "fault",
            _COLOURS.get(event.severity, "yellow"),
            f"{clean(event.where)}: {clean(event.message)}{hint}",
        )
