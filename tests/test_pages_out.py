"""What leaves as a document: a sentence first, figures with error and gate in groups, plots that say why, one look."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from helpers_tui import alert, metrics
from midas_engine.errors import DataError
from midas_engine.events import FaultReported
from midas_engine.journal import Journal
from midas_engine.kb import KnowledgeBase
from midas_engine.markdown_page import page, write_page
from midas_engine.models import Estimate, FeatureRecord, FeatureState, Severity
from midas_engine.monitor.daily.brief import Brief, Sentence, brief_since
from midas_engine.monitor.daily.facts import DayFacts
from midas_engine.monitor.daily.report import render
from midas_engine.monitor.daily.words import CAPTIONS, first_sentences, listed, right_and_losing
from midas_engine.monitor.days import Day
from midas_engine.monitor.kill.records import KillRecord
from midas_engine.promoter import FeaturePromoter
from tests.helpers_cli import call_midas

if TYPE_CHECKING:
    from pathlib import Path

DAY = date(2026, 1, 2)
PNG = b"\x89PNG"


def facts(**changes: Any) -> DayFacts:
    """Two features, one of which predicts and loses."""
    ledger = Day(bars=24, regimes={"HIGH": 24}, profit={"carry": (3.0, 2.0), "fast": (1.0, -9.0)})
    watched = (metrics("carry", datetime(2026, 1, 2, 23, tzinfo=UTC)), metrics("fast", ic_30d=Estimate(0.04, 0.009)))
    return replace(DayFacts(DAY, ledger, watched, (), earlier=(1.0, -1.0, 2.0, -2.0, 0.0)), **changes)


# -- the daily report ----------------------------------------------------------------------------


def test_a_day_begins_with_what_happened_who_is_healthy_and_what_was_earned() -> None:
    said = first_sentences(facts())
    assert said.startswith("No alert was raised and nothing was killed.")
    assert "2 of 2 healthy" in said
    assert "made -7.0 bps after costs, +4.0 before; an unusual day: the 5 days before made +0.0 ± 1.6 each" in said
    assert "trading took more than they earned; most by carry (+2.0), least by fast (-9.0)." in said
    assert said.endswith("24 bars came, none is missing.")
    assert render(facts()).splitlines()[:3] == ["# Midas daily report, 2026-01-02 (UTC)", "", f"**{said}**"]


def test_the_loudest_comes_first() -> None:
    fell = KillRecord("fast", "it turned", "operator", "2026-01-02T15:00:00+00:00")
    ledger = facts().ledger
    ledger.alerts = {
        "a": alert("carry", severity=Severity.WARNING, message="slippage is 1.7x"),
        "b": alert("fast", message="the test says it died", id="b"),
    }
    said = first_sentences(facts(kills=(fell,), ledger=ledger))
    assert said.startswith("fast was killed. 1 critical alert and 1 warning; the loudest, ")
    assert "fast: the test says it died." in said
    ledger.alerts = {str(k): alert("carry", id=str(k), incident="one") for k in range(3)}
    assert first_sentences(facts(ledger=ledger)).startswith("3 critical alerts of 1 cause; the first, ")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ledger": Day()}, "No bar of this day was seen: nothing is known of it."),
        ({"metrics": ()}, "Nothing is watched."),
        ({"earlier": (1.0,)}, "too few days before it to say what is ordinary"),
        ({"earlier": (90.0, -90.0, 50.0, -50.0, 0.0)}, "within what days vary"),
        ({"ledger": Day(bars=23, missing=1)}, "What was earned is unknown. 23 bars came, 1 is missing."),
        (
            {"metrics": (metrics("x", status="stale"), metrics("y", status="critical"))},
            "none of 2 healthy, 1 critical, 1",
        ),
    ],
)
def test_what_is_not_known_is_said(changes: dict[str, Any], said: str) -> None:
    assert said in first_sentences(facts(**changes))


def test_who_predicts_and_loses_is_named_with_the_reason() -> None:
    (line,) = right_and_losing(facts())
    assert line == "fast: 30-day IC +0.040 ± 0.009, -9.0 bps, trading took more than it earned"
    against = facts(ledger=Day(bars=24, profit={"fast": (-5.0, -9.0)}))
    assert right_and_losing(against)[0].endswith("the day's large moves went against its ranks")
    unsure = facts(
        metrics=(metrics("fast", ic_30d=Estimate(0.01, 0.009)), metrics("new", ic_30d=Estimate(float("nan"))))
    )
    assert right_and_losing(unsure) == []
    assert "A positive IC that lost money on the day:\n\n- fast: " in render(facts())


def test_figures_stand_in_groups_with_error_gate_and_unit() -> None:
    text = render(facts(), ["2026-01-02-ic.png"])
    features = text.split("## Features")[1].split("## Alerts")[0]
    assert "| rank IC 30 d ± s.e. | promised score a bar | way to the alarm | notices a death in, days |" in features
    assert "| +0.035 ± 0.009 | +0.0128 | 57% | 42 | 1.0 |" in features
    assert "| carry | +3.0 | +2.0 | 1.0 |" in text.split("## What each earned")[1]
    heads = [line for line in text.splitlines() if line.startswith("| feature")]
    assert not re.search(r"[a-z]_[a-z]|ln S|n/a", "".join(heads))
    assert f"![ic](2026-01-02-ic.png)\n\n*{CAPTIONS['ic']}*" in text
    blind = metrics("new", expected_score=None, days_to_detect_drop=float("nan"), false_alarms_per_year=float("nan"))
    assert "| none promised | unknown | unknown | unknown |" in render(facts(metrics=(blind,)))


def test_names_are_listed_up_to_three() -> None:
    assert [listed("ab"[:n]) for n in (1, 2)] == ["a", "a and b"]
    assert listed("abc") == "a, b and c"
    assert listed("abcde") == "a, b, c and 2 more"


# -- the brief -----------------------------------------------------------------------------------


def test_a_brief_begins_with_all_of_it_in_one_sentence() -> None:
    begins = datetime(2026, 1, 1, 12, tzinfo=UTC)
    told = (
        Sentence("2 kill(s): a, b.", {"kills": 2}, "critical", group="Stopped", short="2 killed (a, b)", needs=1),
        Sentence("x | y", {"n": 1}, "warning", group="Faults", short="1 fault(s) survived"),
        Sentence("1 promoted: c.", {"promote": 1}, group="Pipeline", short="1 promoted"),
        Sentence("1 demoted: d.", {"demote": 1}, group="Pipeline", short="1 demoted"),
    )
    brief = Brief(begins, begins + timedelta(hours=12), told)
    first = "Since 2026-01-01 12:00 UTC: 2 killed (a, b); 1 fault(s) survived; 1 promoted; 1 demoted; 1 needs you."
    assert brief.text.splitlines()[:4] == [first, "", "Stopped", "- 2 kill(s): a, b."]
    assert brief.text.count("Pipeline") == 1
    assert f"\n\n**{first}**\n\n## Stopped\n" in brief.markdown
    assert "nothing needs you" in replace(brief, sentences=told[2:]).headline
    assert Brief(begins, begins, ()).headline.endswith("nothing changed that is on record.")


def test_a_brief_is_written_as_a_page(tmp_path: Path, capsys: Any) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    promoter = FeaturePromoter(kb)
    promoter.save_candidate(FeatureRecord("carry", "close", FeatureState.CANDIDATE))
    promoter.promote("carry", "test", force=True)
    promoter.kill("carry", "it <b>fell</b>")
    promoter.close()
    with Journal(kb.journal_path) as journal:
        now = kb.clock.now()
        journal.record_event(FaultReported(at=now, where="feed", message="it is down", severity="warning"))
        found = brief_since(kb, journal, now - timedelta(hours=1), kb.clock.now())
    assert found.headline.endswith(
        ": 1 killed (carry); 1 fault(s) survived; 1 saved as candidates; 1 promoted; 1 needs you."
    )
    for name in ("brief.html", "brief.md"):
        out = tmp_path / name
        done = call_midas(capsys, "report", "--since", "1h", "--kb", str(kb.path), "--out", str(out))
        assert done.code == 0, done.err
        assert "1 killed (carry)" in done.out.splitlines()[0]
        assert "1 killed (carry)" in out.read_text()
    assert "<b>fell" not in (tmp_path / "brief.html").read_text()
    nowhere = call_midas(
        capsys, "report", "--since", "1h", "--kb", str(kb.path), "--out", str(tmp_path / "no" / "brief.html")
    )
    assert (nowhere.code != 0, "cannot be written" in nowhere.err) == (True, True)


# -- the page ------------------------------------------------------------------------------------


def test_a_report_becomes_a_page_with_everything_inside() -> None:
    text = page(
        "# A & B\n\n**First | of all.**\n\n## Table\n\n| name | v, bps | when |\n| --- | --- | --- |\n"
        "| a \\| b | +1.5 ± 0.2 | 2026-01-02 |\n| c | unknown | 2026-01-03 |\n\n![ic](x.png)\n\n*Why it matters.*\n\n"
        "![gone](y.png)\n\n* one\n  and on\n* two\n\n```\n<script>\n```\n\n`a_b` and 2 * 3 * 4\nlast line\n",
        {"x.png": PNG},
    )
    for part in (
        "<title>A &amp; B</title>", "<p class=first><b>First | of all.</b></p>", "<th class=n>v, bps</th>",
        "<td>a | b</td>",
        "<td class=n>+1.5 ± 0.2</td><td>2026-01-02</td>", "<figcaption>Why it matters.</figcaption>",
        "gone: the picture is not here.", "<li>one and on</li><li>two</li>", "<pre>&lt;script&gt;</pre>",
        "<p><code>a_b</code> and 2 * 3 * 4 last line</p>",
    ):  # fmt: skip
        assert part in text
    assert text.count("<figure>") == 2
    assert text.count("class=plots") == 1
    for needed in ("prefers-color-scheme: dark", "@media print"):
        assert needed in text


@pytest.mark.parametrize(
    "bad", ["<img src=x onerror=alert(1)>", "&lt;script&gt;x", '"><script>', "![a](javascript:x)", "**", "`", "| <i> |"]
)
def test_foreign_text_is_text(bad: str) -> None:
    text = page(f"# {bad}\n\n{bad}\n\n- {bad}\n\n![{bad}](x.png)\n\n*{bad}*\n", {"x.png": PNG})
    body = text.partition("<body>")[2]
    assert not re.search(r"<(script|i|img src=x)\b", body)
    assert "href" not in body
    assert body.count('src="') == body.count('src="data:image/png;base64,')


def test_an_empty_or_broken_report_is_a_page_all_the_same(tmp_path: Path) -> None:
    for text in ("", "\n", "```\nnever closed", "|", "| a |", "*", "**", "![", "# ", "\ud800"):
        assert page(text, {}).endswith("</html>\n")
    write_page("# A\n\n![ic](x.png)\n", {"x.png": PNG}, tmp_path / "a.md")
    assert (tmp_path / "x.png").read_bytes() == PNG
    with pytest.raises(DataError, match="cannot be written"):
        write_page("# A", {}, tmp_path)
