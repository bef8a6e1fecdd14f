"""Diagnoses and kills of a recording: what the monitor would have said and done, at once, without disk or model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.events import AlertRaised, DiagnosisFinished, DiagnosisStarted, FeatureMoved, KillProposed
from midas_engine.monitor.diagnosis.agent import LOCAL, deserves_diagnosis
from midas_engine.monitor.diagnosis.classify import classify
from midas_engine.monitor.diagnosis.explain import assemble, local_draft, make_brief
from midas_engine.monitor.diagnosis.snapshot import take_snapshot
from midas_engine.monitor.kill.switch import KillRecord

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from midas_engine.events import Event
    from midas_engine.models import Alert
    from midas_engine.monitor.fleet import Fleet


def follow_up(
    fleet: Fleet, events: Iterable[Event], at: datetime, expressions: Mapping[str, str], columns: Collection[str] = ()
) -> list[Event]:
    """What follows from a recorded bar's events: diagnoses of new critical episodes, kills of the condemned.

    A recording is nobody's money, so what the e-detector condemns is stopped at once, whatever the kill policy.
    """
    found: list[Event] = []
    for event in events:
        if isinstance(event, AlertRaised) and deserves_diagnosis(event.alert):
            found += _diagnose(fleet, event.alert, at, expressions, columns)
        elif isinstance(event, KillProposed):
            found += _kill(fleet, event)
    return found


def _diagnose(
    fleet: Fleet, alert: Alert, at: datetime, expressions: Mapping[str, str], columns: Collection[str]
) -> list[Event]:
    snapshot = take_snapshot(fleet, alert.feature, at, alert=alert, expression=expressions.get(alert.feature, ""))
    finding = classify(snapshot)
    draft = local_draft(make_brief(snapshot, finding, columns=columns))
    result = assemble(snapshot, finding, draft, LOCAL, columns=columns)
    noted = fleet.alerts.attach_diagnosis(alert.id, f"{result.cause} ({result.confidence:.0%})", at)
    fleet.days.diagnosed(at, alert.feature, result.cause, "")
    return [
        DiagnosisStarted(at=at, feature=alert.feature, alert_id=alert.id),
        *noted,
        DiagnosisFinished(at=at, feature=alert.feature, alert_id=alert.id, result=result),
    ]


def _kill(fleet: Fleet, event: KillProposed) -> list[Event]:
    name = event.feature
    if name in fleet.kills.killed:
        return []
    fleet.kills.records[name] = KillRecord(name, event.reason, "detector", event.at.isoformat(), told=True)
    fleet.kill_wanted.pop(name, None)
    fleet.apply_live()
    return [
        FeatureMoved(
            at=event.at, feature=name, action="kill", before="deployed", after="archived", reason=event.reason,
            actor="detector",
        )
    ]  # fmt: skip
