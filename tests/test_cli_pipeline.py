"""The pipeline's verbs end to end, on a knowledge base on disk, through the same entry a user calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.cli.open_base import open_pipeline
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.settings import load_settings
from tests.helpers_cli import Ran, call_midas, run_midas
from tests.helpers_kb import MEASURED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# These features are made up: what today's data says is against them.
FORCED = ("--force", "--reason", "made for a test")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A base with two candidates, `carry` and `noise`."""
    path = tmp_path / "kb"
    with open_pipeline(load_settings(environ={}, flags={"kb": str(path)}), create=True) as promoter:
        for name, expression in (("carry", "cs_rank(-funding_rate)"), ("noise", "cs_rank(volume)")):
            metrics = MEASURED | {"rank_ic": 0.0312, "score_t": 4.25}
            promoter.save_candidate(FeatureRecord(name, expression, FeatureState.CANDIDATE, metrics=metrics))
    return path


@pytest.fixture
def midas(base: Path, capsys: Any) -> Callable[..., Ran]:
    def call(*args: str) -> Ran:
        return call_midas(capsys, *args, "--kb", str(base))

    return call


def _states(midas: Callable[..., Ran]) -> dict[str, list[str]]:
    document = midas("status", "--json").document
    return {
        state: [record["name"] for record in document[state]]
        for state in ("candidates", "shadow", "deployed", "archived")
    }


def test_status_shows_what_is_there(midas: Callable[..., Ran]) -> None:
    ran = midas("status")
    assert ran.code == 0
    for text in ("Candidates (2)", "carry", "+0.0312", "+4.25", "Deployed: none"):
        assert text in ran.out


def test_promote_demote_and_back(midas: Callable[..., Ran]) -> None:
    promoted = midas("promote", "carry", *FORCED)
    assert promoted.code == 0, promoted.err
    assert "carry: deployed" in promoted.out
    assert _states(midas)["deployed"] == ["carry"]
    demoted = midas("demote", "carry", "--reason", "IC < 0 in LOW_VOL regime")
    assert demoted.code == 0, demoted.err
    assert "IC < 0 in LOW_VOL regime" in demoted.out
    assert _states(midas)["archived"] == ["carry"]
    assert midas("undo").code == 0
    assert _states(midas)["deployed"] == ["carry"]
    assert midas("redo").code == 0
    assert _states(midas)["archived"] == ["carry"]


def test_reject(midas: Callable[..., Ran]) -> None:
    assert midas("reject", "noise", "--reason", "overfit ratio 2.4").code == 0
    assert _states(midas) == {"candidates": ["carry"], "shadow": [], "deployed": [], "archived": ["noise"]}


def test_pause_and_resume(midas: Callable[..., Ran]) -> None:
    midas("promote", "carry", *FORCED)
    assert "paused" in midas("pause", "carry", "--reason", "maintenance").out
    assert midas("status", "--json").document["deployed"][0]["paused"] is True
    assert midas("resume", "carry").code == 0
    assert midas("status", "--json").document["deployed"][0]["paused"] is False


def test_a_kill_wants_the_name_typed(midas: Callable[..., Ran]) -> None:
    midas("promote", "carry", *FORCED)
    refused = midas("kill", "carry", "--reason", "flipped", "--yes", "carr")
    assert refused.code == 6
    assert "nothing was killed" in refused.err
    assert _states(midas)["deployed"] == ["carry"]
    assert midas("kill", "carry", "--reason", "flipped", "--yes", "carry").code == 0
    record = midas("status", "--json").document["archived"][0]
    assert (record["name"], record["killed"], record["reason"]) == ("carry", True, "flipped")
    undone = midas("undo")
    assert undone.code in (0, 7)  # the promotion before it cannot come back either
    assert "carry" not in _states(midas)["deployed"]


def test_a_kill_asks_on_standard_input(base: Path) -> None:
    run_midas("promote", "carry", *FORCED, "--kb", str(base))
    command = ("kill", "carry", "--reason", "flipped", "--kb", str(base))
    unanswered = run_midas(*command)
    assert unanswered.code == 2
    assert "not answered" in unanswered.err
    without = run_midas("kill", "carry", "--kb", str(base), stdin="carry\n")
    assert without.code == 7
    assert "Type its name" not in without.err  # refused before anything is asked
    wrong = run_midas(*command, stdin="yes\n")
    assert wrong.code == 6
    right = run_midas(*command, stdin="carry\n")
    assert right.code == 0
    assert "final" in right.err
    assert "carry: archived (killed) - flipped" in right.out


def test_a_dry_run_changes_nothing(midas: Callable[..., Ran], base: Path) -> None:
    def content() -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in base.rglob("*.md")}

    before = content()
    shown = midas("promote", "carry", "--dry-run")
    assert shown.code == 0
    assert "candidate -> deployed" in shown.out
    assert "carry.md" in shown.out
    assert midas("reject", "carry", "--dry-run", "--json").document["dry_run"] is True
    refused = midas("demote", "carry", "--dry-run")
    assert refused.code == 1
    assert "not possible" in refused.out
    assert content() == before


def test_a_gate_that_was_not_met_needs_force(base: Path, midas: Callable[..., Ran]) -> None:
    with open_pipeline(load_settings(environ={}, flags={"kb": str(base)})) as promoter:
        metrics = {"overall_pass": False, "failed_agents": "trading_cost"}
        promoter.save_candidate(FeatureRecord("costly", "close", FeatureState.CANDIDATE, metrics=metrics))
    refused = midas("promote", "costly")
    assert refused.code == 7
    assert "trading_cost" in refused.err
    assert "--force" in refused.err
    assert midas("promote", "costly", *FORCED).code == 0


def test_a_version_replaces_and_is_rolled_back(base: Path, midas: Callable[..., Ran]) -> None:
    midas("promote", "carry", *FORCED)
    with open_pipeline(load_settings(environ={}, flags={"kb": str(base)})) as promoter:
        promoter.propose_version("carry", "cs_rank(-ts_mean(funding_rate, 8))", "smoother")
    assert midas("redeploy", "carry@2", "--force", "--reason", "fix").code == 0
    assert _states(midas)["deployed"] == ["carry@2"]
    assert "carry: deployed" in midas("rollback", "carry").out
    assert _states(midas)["deployed"] == ["carry"]


def test_one_damaged_file_does_not_hide_the_others(base: Path, midas: Callable[..., Ran]) -> None:
    (base / "knowledge/features/candidates/noise.md").write_bytes(b"\xff\xfe\x00rubbish \x1b[2J")
    ran = midas("status")
    assert ran.code == 0
    assert "carry" in ran.out
    assert "Damaged (1)" in ran.out
    assert "\x1b" not in ran.out
    checked = midas("kb", "check")
    assert checked.code == 1
    assert "noise" in checked.out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["promote", "missing"], 7, "missing"),
        (["demote", "carry"], 7, "carry"),
        (["undo"], None, ""),
        (["promote", "../../escaped"], 6, "refused"),
        (["promote", ""], 6, "empty"),
        (["reject", "x\x1b[2J"], 6, "refused"),
        (["kill", "missing", "--reason", "x", "--yes", "missing"], 7, "missing"),
        (["promote"], 2, "NAME"),
    ],
)
def test_what_cannot_be_done_is_refused(
    arguments: list[str], code: int | None, says: str, midas: Callable[..., Ran], tmp_path: Path
) -> None:
    before = _states(midas)
    ran = midas(*arguments)
    if code is not None:
        assert ran.code == code, ran.err
        assert says in ran.err
        assert _states(midas) == before
    assert "\x1b" not in ran.err + ran.out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kb"]
    in_json = midas(*arguments, "--json")
    if code is not None:
        assert in_json.document["error"]["exit_code"] == code


@pytest.mark.parametrize("verb", ["promote carry", "undo", "learnings", "kb check"])
def test_a_misspelt_base_is_not_created(verb: str, tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "no-such-base"
    ran = call_midas(capsys, *verb.split(), "--kb", str(path))
    assert ran.code == 6
    assert "there is no knowledge base" in ran.err
    assert not path.exists()


def test_status_without_a_base_is_no_error(tmp_path: Path, capsys: Any) -> None:
    ran = call_midas(capsys, "status", "--kb", str(tmp_path / "none"))
    assert ran.code == 0
    assert "no knowledge base" in ran.out
    assert call_midas(capsys, "status", "--json", "--kb", str(tmp_path / "none")).document["exists"] is False
