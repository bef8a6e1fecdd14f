"""`midas bank`: a family judged on the command line, its bad lines, its charge, and what it refuses."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from midas_engine.banks import Charge, judge_bank
from midas_engine.banks.keeping import keep_accepted
from midas_engine.banks.reading import SHIPPED, parse_bank, read_bank
from midas_engine.cli.app import app
from midas_engine.errors import DataFormatError, EvaluationError, MidasError
from midas_engine.evaluator import TrialLedger
from midas_engine.market import load_panel
from midas_engine.market.synthetic import SyntheticMarket
from midas_engine.models import FeatureState
from midas_engine.settings import Settings, load_settings
from midas_engine.stats.step_down import step_down
from midas_engine.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

BANK = """# my own
# Source: a notebook
rev: -returns(close, 1)
again: -1 * returns(close, 1)
broken: close +
Bad Name: close
missing: -delta(wombat, 3)
-delta(close, 4)
vol: cs_group_demean(-ts_std(returns, 24), sector)
future: delay(close, -1)
"""


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    path = tmp_path / "mine.txt"
    path.write_text(BANK, encoding="utf-8")
    return path


def run(*args: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["bank", *args])
    if isinstance(done.exception, MidasError):
        return done.exception.exit_code, "", str(done.exception)
    return done.exit_code, done.stdout, done.stderr


def test_a_family_is_judged_charged_once_and_its_bad_lines_are_named(bank: Path, tmp_path: Path) -> None:
    kb = str(tmp_path / "kb")
    code, out, _ = run(str(bank), "--kb", kb, "--data", "synthetic", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["source"] == ["my own", "Source: a notebook"]
    assert {row["name"] for row in found["rows"]} == {"rev", "line_8", "vol"}
    assert {line["number"]: line["name"] for line in found["left_out"]} == {
        4: "again", 5: "broken", 6: "Bad Name", 7: "missing", 10: "future",
    }  # fmt: skip
    assert found["trials"] == found["charged"] == found["scored"] == 3
    volume = next(row for row in found["rows"] if row["name"] == "vol")
    assert volume["missing_labels"] == ["sector"]
    assert "cs_demean" in volume["expression"]
    order = [row["adjusted_p"] for row in found["rows"]]
    assert order == sorted(order)
    assert all(row["adjusted_p"] >= row["score_p"] - 0.02 for row in found["rows"])
    assert all(row["net_bps"]["se"] > 0 for row in found["rows"])

    code, out, _ = run(str(bank), "--kb", kb, "--data", "synthetic", "--top", "1")
    assert code == 0
    assert "0 new trials" in out
    assert "... and 2 more" in out
    assert "line 5" in out
    assert "column 8" in out


@pytest.mark.parametrize(
    ("name", "said"),
    [("wq10", "did you mean 'wq101'?"), ("", "folder"), ("empty.txt", "no line but comments"), ("raw.txt", "UTF-8")],
)
def test_what_is_no_bank_is_refused(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("# nothing\n\n", encoding="utf-8")
    (tmp_path / "raw.txt").write_bytes(b"\xff\xfe\x00")
    path = name if name == "wq10" else str(tmp_path / name)
    code, _, err = run(path, "--kb", str(tmp_path / "kb"))
    assert code == DataFormatError.exit_code
    assert said in err
    assert not (tmp_path / "kb").exists()


def test_a_bank_takes_no_look_at_the_sealed_part() -> None:
    panel, settings = load_panel("synthetic"), Settings()
    with pytest.raises(EvaluationError, match="sealed"):
        judge_bank(parse_bank("a: -returns(close, 1)", "x"), panel, settings, part="sealed")


def test_what_every_agent_accepts_is_kept_after_its_sealed_look(tmp_path: Path) -> None:
    market = SyntheticMarket(3, bars=5000, ics=(0.12, 0.12, 0.12))
    free = {f"costs.{name}": 0 for name in ("fee_bps", "half_spread_bps", "slippage_bps")}
    settings = load_settings(flags={"kb": str(tmp_path / "kb"), "evaluation.workers": 0, **free})
    noise = "".join(f"noise_{n}: ts_rank(volume, {n + 5})\n" for n in range(8))
    bank = parse_bank(noise + "".join(f"{f.name}: {f.expression}\n" for f in market.truth.features), "planted")
    workspace = Workspace(settings)
    try:
        with TrialLedger(workspace.kb.journal_path, clock=workspace.clock) as ledger:
            result = judge_bank(bank, market.panel(), settings, charge=Charge(ledger, "bank"))
            kept = keep_accepted(result, market.panel(), workspace)
            assert len(ledger.looks()) == len(result.accepted) == 1
            assert result.rows[0].worth == result.effective
            worths = [row.worth for row in result.rows if row.adjusted_p == row.adjusted_p]
            assert worths == sorted(worths, reverse=True), "each step's line is drawn for those that are left"
            assert ledger.counted() == len(bank.entries), "the session pays for nothing a second time"
        assert kept == ("funding_carry",)
        (record,) = workspace.kb.features()
        assert record.state is FeatureState.CANDIDATE
        assert record.metrics["trials"] == math.ceil(result.accepted[0].worth), "the line of its own step"
        assert "adjusted p" in record.hypothesis
    finally:
        workspace.close()


def test_a_name_or_a_file_is_asked_for() -> None:
    code, _, err = run()
    assert code == 2
    assert "--list" in err


def test_the_shipped_banks_are_listed_with_their_source() -> None:
    code, out, _ = run("--list", "--json")
    assert code == 0
    listed = {row["name"]: row for row in json.loads(out)}
    assert listed["wq101"]["expressions"] == 101
    assert all(any(line.startswith("Source") for line in row["source"]) for row in listed.values())


def test_lines_may_end_as_they_do_elsewhere() -> None:
    found = parse_bank("\ufeff# head\r\nname : close / delay(close, 2)\r\n\r\n", "x")
    assert [(e.number, e.name, e.expression) for e in found.entries] == [(2, "name", "close / delay(close, 2)")]
    with pytest.raises(DataFormatError, match="at most"):
        parse_bank("close\n" * 1001, "x")


@pytest.mark.parametrize("name", SHIPPED)
def test_no_line_of_a_shipped_bank_is_bad(name: str) -> None:
    assert read_bank(name).bad == ()


def test_strangers_pay_bonferroni_and_relatives_less() -> None:
    rng = np.random.default_rng(5)
    strangers = rng.normal(size=(3000, 40))
    relatives = strangers * 0.2 + rng.normal(size=(3000, 1))
    p = np.full(40, 0.5)
    p[7] = 0.05 / 40
    far, near = (step_down(u, p, 24, seed=1) for u in (strangers, relatives))
    assert 0.03 < far.p[7] < 0.07
    assert near.p[7] < 0.6 * far.p[7]
    assert 30 < far.effective < 55
    assert near.effective < 25


def test_a_rejected_member_leaves_the_comparison() -> None:
    u = np.random.default_rng(6).normal(size=(3000, 10))
    p = np.array([1e-6] * 8 + [0.02, np.nan])
    found = step_down(u, p, 24, seed=1)
    assert found.p[8] < 0.03, "the last of nine is compared with itself alone"
    assert np.isnan(found.p[9])
    assert (np.diff(np.sort(found.p[:9])) >= 0).all()


def test_a_family_of_noise_survives_no_more_often_than_promised() -> None:
    rng = np.random.default_rng(7)
    from scipy.special import ndtr

    hits = 0
    for world in range(200):
        u = rng.normal(size=(600, 12)) + rng.normal(size=(600, 1))
        t = u.mean(axis=0) / u.std(axis=0, ddof=1) * np.sqrt(600)
        hits += bool((step_down(u, ndtr(-t), 8, resamples=400, seed=world).p <= 0.05).any())
    assert hits <= 19, "5 % of 200 and three errors"
