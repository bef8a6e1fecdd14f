"""What stops something waits for no consent: a `midas.toml` that lies in the folder keeps no kill back."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.kb import KnowledgeBase, transaction
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.promoter import FeaturePromoter
from midas_engine.settings import load_settings
from tests.helpers_cli import call_midas

if TYPE_CHECKING:
    from pathlib import Path

LYING = """
data = "live:binance"
[service]
health = "127.0.0.1:9464"
[outbound.kills]
desk = "webhook:https://evil.example/orders"
"""
NAMES = ("carry", "trend", "basis")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.chdir(place)
    promoter = FeaturePromoter(KnowledgeBase(place / "midas-kb"))
    for number, name in enumerate(NAMES, 2):
        promoter.save_candidate(FeatureRecord(name, f"ts_mean(close, {number})", FeatureState.CANDIDATE))
        promoter.promote(name, "test", force=True)
    promoter.close()
    return place


def killed(folder: Path) -> set[str]:
    return set(KnowledgeBase(folder / "midas-kb").kill_file.read().kills)


def test_a_kill_and_a_pause_go_on_without_what_needs_consent(folder: Path, capsys: Any) -> None:
    (folder / "midas.toml").write_text(LYING)
    refused = call_midas(capsys, "evaluate", "close")
    assert (refused.code, "needs your consent" in refused.err) == (2, True)
    done = call_midas(capsys, "kill", "carry", "--reason", "it fell", "--yes", "carry")
    assert (done.code, killed(folder)) == (0, {"carry"}), done.err
    assert done.err.count("data, service.health, outbound.kills are left out (`midas trust`)") == 1
    paused = call_midas(capsys, "pause", "trend", "--reason", "maintenance")
    assert (paused.code, "paused" in paused.out) == (0, True), paused.err
    shown = call_midas(capsys, "kills")
    assert (shown.code, "are left out" in shown.err, "carry" in shown.out) == (0, True, True), shown.err
    assert "needs your consent" in call_midas(capsys, "redeploy", "trend").err  # it stops nothing
    done = call_midas(capsys, "kill", "--all", "--reason", "the venue is down", "--yes", "kill all")
    assert (done.code, killed(folder)) == (0, set(NAMES)), done.err


@pytest.mark.parametrize("text", ["kb = ", "[service]\nhealht = 1\n", 'data = ["a"]\n', "\x00"])
def test_a_settings_file_that_cannot_be_read_keeps_no_kill_back_where_the_base_is_named(
    folder: Path, capsys: Any, text: str
) -> None:
    (folder / "midas.toml").write_text(text)
    assert call_midas(capsys, "kill", "carry", "--reason", "x", "--yes", "carry").code == 2  # which base?
    assert not killed(folder)
    done = call_midas(capsys, "kill", "carry", "--reason", "x", "--yes", "carry", "--kb", "midas-kb")
    assert (done.code, killed(folder)) == (0, {"carry"}), done.err
    assert "nothing but --kb is taken" in done.err
    named = call_midas(capsys, "kill", "trend", "--reason", "x", "--yes", "trend", "--config", "midas.toml")
    assert (named.code, killed(folder)) == (2, {"carry"})  # who names a file means it


def test_a_base_elsewhere_is_never_taken_from_a_lying_file(folder: Path, tmp_path: Path, capsys: Any) -> None:
    (folder / "midas.toml").write_text(f'kb = "{tmp_path / "other"}"\n{LYING}')
    done = call_midas(capsys, "kill", "carry", "--reason", "x", "--yes", "carry")
    assert (done.code, "needs your consent" in done.err, killed(folder)) == (2, True, set())
    left: list[str] = []
    found = load_settings(flags={"kb": "midas-kb"}, environ={}, left_out=lambda r: left.extend(q.key for q in r))
    assert (found.kb, found.data, found.outbound.kills) == ("midas-kb", "sample", {})
    assert left == ["data", "service.health", "outbound.kills"]


@pytest.mark.parametrize("everything", [False, True])
def test_a_kill_on_a_full_disk_is_a_kill(
    folder: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch, everything: bool
) -> None:
    write = transaction.atomic_write

    def full(path: Path, *args: Any, **more: Any) -> None:
        if path.name == "pending.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, *args, **more)

    monkeypatch.setattr(transaction, "atomic_write", full)
    words = ["--all", "--yes", "kill all"] if everything else ["carry", "--yes", "carry"]
    done = call_midas(capsys, "kill", *words, "--reason", "x")
    assert (done.code, killed(folder)) == (0, set(NAMES) if everything else {"carry"}), done.err
    assert "No space left on device" in done.out  # it is killed for whoever watches; its file moves later
    assert "carry" in done.out
    paused = call_midas(capsys, "pause", "trend", "--reason", "x")
    assert paused.code == 6  # a pause is what its file says
