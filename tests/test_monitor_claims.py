"""Claims against figures, and recordings that diagnose and kill at once."""

from __future__ import annotations

from midas_engine.events import (
    AlertRaised,
    AlertUpdated,
    DiagnosisFinished,
    DiagnosisStarted,
    FeatureMoved,
    KillProposed,
)
from midas_engine.models import Figure
from midas_engine.monitor.diagnosis.claims import check_claims, split_claims
from midas_engine.monitor.diagnosis.recorded import follow_up
from tests.helpers_diagnosis import make_fleet


def test_claims_are_cut_into_sentences_and_judged() -> None:
    figures = [Figure("F3", "coverage", 0.913, "share"), Figure("F22", "score", -0.0124, "", "error 0.0051")]
    good = ["coverage is 91.3 % [F3]", "it scored -0.0124, error 0.0051 [F22]", "it scored 0.012 below zero [F22]"]
    bad = ["coverage is 99 % [F3]", "it scored 0.5 [F22]", "all is well", "see [F4]"]
    assert check_claims(good, figures) == (tuple(good), ())
    kept, marked = check_claims(bad, figures)
    assert kept == ()
    assert len(marked) == len(bad)
    assert split_claims("One [F1].  Two [F2]!\nThree") == ["One [F1].", "Two [F2]!", "Three"]


def test_thousands_may_stand_apart_in_a_claim() -> None:
    figures = [Figure("F9", "net", -1234.4, "bps")]
    good = (
        "it lost 1,234 bps [F9]",
        "it made -1,234.4 bps [F9]",
        "it lost 1234 bps [F9]",
        "in 2025, 1,234 bps went [F9]",
    )
    assert check_claims(good, figures) == (good, ())
    for wrong in ("it lost 1,235 bps [F9]", "it lost 234 bps [F9]", "it lost 12,341 bps [F9]"):
        assert check_claims([wrong], figures)[0] == ()


def test_a_recording_diagnoses_and_kills_at_once() -> None:
    fleet = make_fleet()
    at = fleet.last_bar
    alert = next(e.alert for (_, rule), e in fleet.alerts.episodes.items() if rule == "detector")
    raised = AlertRaised(at=alert.raised_at, alert=alert)
    proposal = KillProposed(at=at, feature="a", source="detector", reason="below its floor")
    events = follow_up(fleet, [raised, proposal, proposal], at, {"a": "close"})
    assert [type(e) for e in events] == [DiagnosisStarted, AlertUpdated, DiagnosisFinished, FeatureMoved]
    assert fleet.status(0) == "killed"
    assert events[1].alert.diagnosis.startswith("true_decay")
