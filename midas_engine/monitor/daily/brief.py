"""The brief: what changed in a base since a given time, each sentence with the figures it rests on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from midas_engine.durations import duration
from midas_engine.errors import MonitorError, SettingsError
from midas_engine.events import AlertRaised, AlertResolved, FaultReported, ShadowProposal
from midas_engine.kb.kill_file import acknowledged, unanswered
from midas_engine.models import AlertStatus, Severity
from midas_engine.monitor.daily.saved import saved_fleets
from midas_engine.text import markdown_cell, number

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from midas_engine.journal import Action, Journal
    from midas_engine.kb import KnowledgeBase
    from midas_engine.models import Alert
    from midas_engine.monitor.days import Day
    from midas_engine.monitor.fleet import Fleet

    Seen = tuple[dict[str, Day], dict[str, Alert]]
    Answers = Mapping[str, Mapping[str, str]]

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_NAMED = 4
FEED_RULE = "feed"
"""The rule of the alert that no bar came, in the journal: its watchdog stands outside the monitor."""
_DONE = {"kill": "killed", "promote": "promoted", "shadow": "put into shadow", "demote": "demoted", "undo": "undone"}
_DONE |= {"reject": "rejected", "pause": "paused", "resume": "resumed", "redeploy": "redeployed", "redo": "redone"}
_DONE |= {"rollback": "rolled back", "save": "saved as candidates", "book": "promoted for the book"}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One thing that changed, in words, with its figures; `severity` says how loud it is.

    Attributes:
        setting: It is of whole days, and true whether anything happened or not.
        group: What it is about; sentences of one group stand together.
        short: A few words of it for the headline.
        needs: How many things in it wait for a person.
    """

    text: str
    figures: dict[str, Any] = field(default_factory=dict)
    severity: str = "info"
    setting: bool = False
    group: str = "Else"
    short: str = ""
    needs: int = 0


@dataclass(frozen=True, slots=True)
class Brief:
    """What changed between two instants, the loudest first."""

    since: datetime
    until: datetime
    sentences: tuple[Sentence, ...]

    @property
    def happened(self) -> bool:
        """Whether anything is told of beside the days themselves."""
        return not all(s.setting for s in self.sentences)

    @property
    def headline(self) -> str:
        """All of it in one sentence, the loudest first."""
        head = f"Since {self.since:%Y-%m-%d %H:%M} UTC"
        if not self.sentences:
            return f"{head} nothing changed that is on record."
        waiting = sum(s.needs for s in self.sentences)
        needs = f"{waiting} {'needs' if waiting == 1 else 'need'} you" if waiting else "nothing needs you"
        return f"{head}: {'; '.join([*(s.short for s in self.sentences if s.short), needs])}."

    @property
    def groups(self) -> dict[str, list[Sentence]]:
        """The sentences by what they are about, the loudest group first."""
        found: dict[str, list[Sentence]] = {}
        for sentence in self.sentences:
            found.setdefault(sentence.group, []).append(sentence)
        return found

    @property
    def text(self) -> str:
        """As lines, for a person."""
        lines = [self.headline]
        for group, sentences in self.groups.items():
            lines += ["", group, *(f"- {s.text}" for s in sentences)]
        return "\n".join(lines)

    @property
    def markdown(self) -> str:
        """As a document."""
        lines = [f"# Midas brief, {self.since:%Y-%m-%d %H:%M} to {self.until:%Y-%m-%d %H:%M} (UTC)", ""]
        lines += [f"**{markdown_cell(self.headline)}**"]
        for group, sentences in self.groups.items():
            lines += ["", f"## {group}", "", *(f"- {markdown_cell(s.text)}" for s in sentences)]
        return "\n".join(lines) + "\n"


def read_since(text: str, now: datetime) -> datetime:
    """An instant from ISO text (UTC where no zone is given) or from a duration back from `now`.

    Raises:
        MonitorError: It is neither, or lies ahead.

    Example:
        >>> read_since("12h", datetime(2026, 1, 2, tzinfo=UTC)).isoformat()
        '2026-01-01T12:00:00+00:00'
    """
    try:
        count, unit = duration(text)
        found = now - timedelta(seconds=count * _SECONDS[unit])
    except (SettingsError, KeyError, OverflowError):
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            hint = "write 12h, 3d, 2026-01-15, or 2026-01-15T18:00"
            raise MonitorError(f"{text!r} is no time", hint=hint) from None
        found = found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    if found > now:
        raise MonitorError(f"{text!r} lies ahead of {now:%Y-%m-%d %H:%M} UTC", hint="give a time that has passed")
    return found


def brief_since(
    kb: KnowledgeBase,
    journal: Journal | None,
    since: datetime,
    until: datetime,
    seen: Seen | None = None,
    answers: Answers | None = None,
) -> Brief:
    """What is on record of the time between two instants. Blocking: call it in a thread.

    Args:
        kb: Its kill file is read.
        journal: Its actions, sessions, faults and the monitor's saved days; None: there is none.
        since: Aware, UTC.
        until: As `since`.
        seen: The monitor's days and alerts, from `seen_by` where it runs in this process; None reads the saved ones.
        answers: How the newest order about each feature stands at each far side; None: there is none.
    """
    found = [*_kills(kb, since, until, answers or {})]
    if journal is not None:
        actions = [a for a in journal.actions() if since <= a.at <= until]
        days, alerts = seen or seen_by(saved_fleets(journal), since, until)
        gone = set(kb.kill_file.read().kills)
        found += [*_moves(actions), *_alerts(alerts, gone), *_proposals(journal, since, until)]
        found += [*_silences(journal, since, until), *_bars(days)]
        found += [*_sessions(journal, since, until), *_faults(journal, since, until)]
    order = {"critical": 0, "warning": 1, "info": 2}
    return Brief(since, until, tuple(sorted(found, key=lambda s: order.get(s.severity, 2))))


def _listed(names: Iterable[str]) -> str:
    names = list(dict.fromkeys(names))
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _kills(kb: KnowledgeBase, since: datetime, until: datetime, answers: Answers) -> list[Sentence]:
    state = kb.kill_file.read()
    fell = [k for k in state.kills.values() if since <= datetime.fromisoformat(k.at) <= until]
    found = []
    if state.damage:
        text = f"The kill file is damaged: {state.damage}."
        short = "the kill file is damaged"
        found.append(Sentence(text, {"damage": state.damage}, "critical", group="Stopped", short=short, needs=1))
    if fell:
        sides = {k.feature: answers.get(k.feature, {}) for k in fell}
        done = [f for f in sides if acknowledged(f, answers)]
        missing = [k.feature for k in unanswered(fell, answers)]
        late = {f"{side} ({state})" for f in missing for side, state in sides[f].items() if state != "acknowledged"}
        ids, untold = {k.feature: k.id for k in fell}, len(missing)
        text = f"{len(fell)} kill(s): {_listed(ids)}; the first because: {fell[0].reason or 'no reason was given'}."
        if done:
            text += f" {len(done)} of them: acknowledged by {_listed(sorted({s for f in done for s in sides[f]}))}."
        if untold:
            nobody = "nobody outside has taken it, neither a far side nor a callback"
            text += f" {untold} of them: {f'not acknowledged by {_listed(sorted(late))}' if late else nobody}."
        figures = {"kills": len(fell), "ids": ids, "acknowledged": len(done), "not_acknowledged": untold}
        short = f"{len(fell)} killed ({_listed(ids)})"
        found.append(Sentence(text, figures, "critical", group="Stopped", short=short, needs=untold))
    return found


def _moves(actions: Sequence[Action]) -> list[Sentence]:
    by_action: dict[str, list[str]] = {}
    for action in actions:
        if action.action != "kill":  # told from the kill file, which has those of other processes at once
            by_action.setdefault(action.action, []).append(action.feature)
    return [
        Sentence(
            f"{len(names)} {_DONE.get(action, action)}: {_listed(names)}.",
            {action: len(names), "features": names},
            group="Pipeline",
            short=f"{len(names)} {_DONE.get(action, action)}",
        )
        for action, names in by_action.items()
    ]


def seen_by(fleets: Iterable[Fleet], since: datetime, until: datetime) -> Seen:
    """The days from that of `since` on, of the monitor that saw most of each, and the alerts raised in the time."""
    days: dict[str, Day] = {}
    alerts: dict[str, Alert] = {}
    for fleet in fleets:
        for name in fleet.days.days:
            day = fleet.days.of(datetime.fromisoformat(name).date())
            if name >= since.date().isoformat() and (name not in days or day.bars > days[name].bars):
                days[name] = day
            alerts |= {a.id: a for a in day.alerts.values() if since <= a.raised_at <= until}
    return days, alerts


def _alerts(alerts: dict[str, Alert], gone: Collection[str]) -> list[Sentence]:
    """What was raised; what was raised about a feature that is `gone` since runs no more."""
    found = []
    for severity in (Severity.CRITICAL, Severity.WARNING):
        loud = [a for a in alerts.values() if (a.worst or a.severity) is severity]
        if not loud:
            continue
        running = [a for a in loud if a.active and a.feature not in gone]
        kinds = Counter(a.alert_type for a in loud)
        incidents = len({a.incident or a.id for a in loud})
        what = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in kinds.most_common())
        text = f"{len(loud)} {severity.value} alert(s) in {incidents} incident(s): {what}; {len(running)} still run"
        text += f" ({_listed(a.feature for a in running)})." if running else "."
        newest = max(loud, key=lambda a: (a.raised_at, a.id))
        text += f" The newest: {newest.feature}: {newest.message}."
        figures = {"alerts": len(loud), "incidents": incidents, "running": len(running), "ids": [a.id for a in loud]}
        open_ = sum(a.status is AlertStatus.OPEN for a in running) if severity is Severity.CRITICAL else 0
        short = f"{len(loud)} {severity.value}, {len(running)} of them still {'runs' if len(running) == 1 else 'run'}"
        found.append(Sentence(text, figures, severity.value, group="Alarms", short=short, needs=open_))
    return found


def _bars(days: dict[str, Day]) -> list[Sentence]:
    seen = {name: day for name, day in sorted(days.items()) if day.bars}
    if not seen:
        return []
    bars, missing = sum(d.bars for d in seen.values()), sum(d.missing for d in seen.values())
    gross, net = sum(d.gross_bps for d in seen.values()), sum(d.net_bps for d in seen.values())
    first, last = next(iter(seen)), next(reversed(seen))
    when = first if first == last else f"{first} to {last}"
    text = f"On the UTC days {when} the monitor saw {bars} bar(s) and missed {missing}; the features made "
    text += f"{number(net, 1, sign=True)} bps after costs ({number(gross, 1, sign=True)} before)"
    text += ": trading took more than they earned." if gross > 0.0 > net else "."
    short = f"{number(net, 1, sign=True)} bps after costs on {when}"
    short += f", {missing} bar(s) missing" if missing else ""
    figures = {"bars": bars, "missing": missing, "net_bps": net, "gross_bps": gross, "days": list(seen)}
    severity = "warning" if missing else "info"
    return [Sentence(text, figures, severity, setting=True, group="Money and bars", short=short)]


def _silences(journal: Journal, since: datetime, until: datetime) -> list[Sentence]:
    """When no bar came for two intervals: that is the feed's alert, which no day of a feature has."""
    told: dict[str, Alert] = {}
    for event in journal.events(AlertRaised, AlertResolved, since=since, until=until):
        if isinstance(event, AlertRaised | AlertResolved) and event.alert.rule == FEED_RULE:
            told[event.alert.id] = event.alert
    if not told:
        return []
    hours = {}
    for name, alert in told.items():
        began = alert.raised_at - timedelta(minutes=alert.value)
        hours[name] = ((alert.resolved_at or until) - began).total_seconds() / 3600
    longest, running = max(hours.values()), [a for a in told.values() if a.active]
    text = f"{len(told)} time(s) no bar came for two intervals and more, {number(longest, 1)} h at the longest"
    text += f"; none has come since {running[-1].raised_at:%Y-%m-%d %H:%M} UTC." if running else "."
    figures = {"silences": len(told), "running": len(running), "longest_hours": longest, "ids": list(told)}
    short = "no bar comes" if running else f"{len(told)} silence(s) of the feed"
    open_ = sum(a.status is AlertStatus.OPEN for a in running)
    severity = "critical" if running else "warning"
    return [Sentence(text, figures, severity, group="Alarms", short=short, needs=open_)]


def _proposals(journal: Journal, since: datetime, until: datetime) -> list[Sentence]:
    events = [e for e in journal.events(ShadowProposal, since=since, until=until) if isinstance(e, ShadowProposal)]
    return [
        Sentence(
            f"{e.feature} in shadow waits for you: {e.action}, for {e.reason}.",
            {"at": e.at.isoformat()},
            "warning",
            group="Shadow",
            short=f"{e.feature} in shadow: {e.action}?",
            needs=1,
        )
        for e in events
    ]


def _sessions(journal: Journal, since: datetime, until: datetime) -> list[Sentence]:
    rows = [row for row in journal.sessions() if since <= row.at <= until]
    calls, usd = journal.model_spend(since=since, until=until)
    if not rows and not calls:
        return []
    accepted = sum(len(row.body.get("accepted") or ()) for row in rows)
    text = (
        f"{len(rows)} discovery session(s) with {accepted} candidate(s) accepted; {calls} model call(s), {usd:.2f} USD."
    )
    ids = [row.key for row in rows]
    figures = {"sessions": ids, "accepted": accepted, "model_calls": calls, "model_usd": usd}
    short = f"{accepted} accepted in {len(rows)} session(s)" if rows else f"{usd:.2f} USD for models"
    return [Sentence(text, figures, group="Research", short=short)]


def _faults(journal: Journal, since: datetime, until: datetime) -> list[Sentence]:
    events = [e for e in journal.events(FaultReported, since=since, until=until) if isinstance(e, FaultReported)]
    found = []
    for severity in ("critical", "warning"):
        told = [e for e in events if e.severity == severity]
        if told:
            places = Counter(e.where for e in told)
            listed = ", ".join(f"{count} of {where}" for where, count in places.most_common(_NAMED))
            text = f"{len(told)} fault(s) were survived ({listed}); the last: {told[-1].message[:160]}"
            figures, short = {"faults": len(told), "by_part": dict(places)}, f"{len(told)} fault(s) survived"
            found.append(Sentence(text, figures, severity, group="Faults", short=short))
    return found
