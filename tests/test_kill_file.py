"""The kill file: what survives of it, whatever happens to it, and what is said of the rest."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from midas_engine.errors import KnowledgeBaseError
from midas_engine.kb.kill_file import KillFile
from tests.helpers_cli import ROOT
from tests.helpers_kb_faults import at_call, fail
from tests.helpers_monitor import START

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def kills(tmp_path: Path) -> KillFile:
    return KillFile(tmp_path / "kills.log")


def _latch(kills: KillFile, *names: str) -> list[str]:
    return [kills.latch(name, reason="it fell", actor="operator", at=START, via="command line").id for name in names]


def test_a_kill_is_read_back_whole(kills: KillFile) -> None:
    (name,) = _latch(kills, "carry@2")
    (kill,) = kills.read().pending
    assert (kill.id, kill.feature, kill.version, kill.reason) == (name, "carry@2", 2, "it fell")
    assert (kill.actor, kill.via, kill.at, kill.told) == ("operator", "command line", START.isoformat(), False)
    kills.told(name)
    kills.archived(name)
    state = kills.read()
    assert state.pending == []
    assert state.kills["carry@2"].archived
    assert (state.damage, state.torn, oct(kills.path.stat().st_mode & 0o777)) == ("", False, "0o600")


def test_killing_twice_is_one_kill_and_only_a_redeploy_ends_it(kills: KillFile) -> None:
    first, again = _latch(kills, "carry")[0], _latch(kills, "carry")[0]
    assert first == again
    kills.let_live("carry", reason="mended", actor="operator", at=START)
    state = kills.read()
    assert (state.kills, state.ended, state.lives) == ({}, {first}, {"carry": START.isoformat()})
    kills.latch("carry", reason="x", actor="operator", at=START, id=first)  # an old line, written late
    assert kills.read().kills == {}
    (second,) = _latch(kills, "carry")
    assert kills.read().kills["carry"].id == second != first


def test_a_redeploy_that_had_not_seen_a_kill_does_not_end_it(kills: KillFile) -> None:
    _latch(kills, "other")
    before = kills.path.read_bytes()
    _latch(kills, "carry")
    kill = kills.path.read_bytes()[len(before) :]
    kills.path.write_bytes(before)
    kills.let_live("carry", reason="mended", actor="operator", at=START)
    live = kills.path.read_bytes()[len(before) :]
    kills.path.write_bytes(before + kill + live)  # both were written at once
    assert set(kills.read().kills) == {"carry", "other"}


def test_cut_anywhere_it_keeps_what_was_whole_and_takes_more(kills: KillFile) -> None:
    names = ("a", "b", "c")
    _latch(kills, *names)
    whole = kills.path.read_bytes()
    ends = [i for i in range(len(whole) + 1) if whole[:i].endswith(b"\n") and whole[i - 2 : i - 1] != b"\n"]
    head = len(whole[: whole.index(b"K1", 2)])
    for size in range(len(whole)):
        kills.path.write_bytes(whole[:size])
        state = kills.read()
        lines = whole[:size].count(b'"op":"kill"')
        if size < head - 2:
            assert state.damage, size
            continue
        assert state.damage == "", (size, state.damage)
        assert set(state.kills) == set(names[: len(state.kills)])
        assert lines - 1 <= len(state.kills) <= lines, size
        assert not (state.torn and size in ends)
        if size % 7:
            continue  # each line added is synced: not after every cut
        _latch(kills, "z")
        after = kills.read()
        assert after.damage == "", (size, after.damage)
        assert set(after.kills) == {*state.kills, "z"}, size


def test_a_flipped_byte_anywhere_is_damage_or_loses_nothing(kills: KillFile) -> None:
    _latch(kills, "a", "b", "c")
    whole = kills.path.read_bytes()
    for place in range(0, len(whole), 3):
        kills.path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x15]) + whole[place + 1 :])
        state = kills.read()
        assert state.damage or set(state.kills) == {"a", "b", "c"} or state.torn, place


def test_a_line_that_is_gone_from_the_middle_shows(kills: KillFile) -> None:
    _latch(kills, "a", "b", "c")
    lines = [line for line in kills.path.read_bytes().split(b"\n") if line]
    for gone in range(len(lines) - 1):
        kills.path.write_bytes(b"\n".join([*lines[:gone], *lines[gone + 1 :], b""]))
        assert "lines before it are gone" in kills.read().damage


def test_zeros_after_a_power_cut_are_an_unfinished_line(kills: KillFile) -> None:
    _latch(kills, "a")
    with kills.path.open("ab") as file:
        file.write(b"\nK1 20" + bytes(300))
    state = kills.read()
    assert (set(state.kills), state.torn, state.damage) == ({"a"}, True, "")
    _latch(kills, "b")
    assert (set(kills.read().kills), kills.read().damage) == ({"a", "b"}, "")


@pytest.mark.parametrize("size", [0, 1, 100])
def test_an_empty_or_foreign_file_is_damage_not_nothing(kills: KillFile, size: int) -> None:
    kills.path.write_bytes(b"x" * size)
    assert kills.read().damage
    assert not kills.read().missing


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _link(path: Path) -> None:
    target = path.with_name("elsewhere")
    target.write_bytes(b"mine")
    path.symlink_to(target)


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("put", [_fifo, _link, _folder])
def test_what_is_no_file_holds_nobody_up_and_is_set_aside(kills: KillFile, put: Callable[[Path], None]) -> None:
    put(kills.path)
    assert kills.read().damage
    _latch(kills, "a")
    assert set(kills.read().kills) == {"a"}
    assert kills.read().damage == ""
    assert [p.name for p in kills.path.parent.iterdir() if "damaged" in p.name]
    if kills.path.with_name("elsewhere").exists():
        assert kills.path.with_name("elsewhere").read_bytes() == b"mine"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES])
def test_a_disk_that_refuses_is_told_and_harms_nothing(kills: KillFile, code: int) -> None:
    _latch(kills, "a")
    with at_call(0, fail(code)) as counter:
        kills.told("nobody")
    hints: list[str] = []
    for number in range(1, counter.seen + 1):
        try:
            with at_call(number, fail(code)):
                _latch(kills, f"k{number}")
        except KnowledgeBaseError as error:
            hints.append(error.hint)
        state = kills.read()
        assert state.damage == ""
        assert "a" in state.kills
    assert hints
    assert all(hints)


def test_a_short_write_is_a_failure_and_the_next_is_whole(kills: KillFile, monkeypatch: pytest.MonkeyPatch) -> None:
    _latch(kills, "a")
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, bytes(data)[: len(data) // 2]))
    with pytest.raises(KnowledgeBaseError, match="only a part"):
        _latch(kills, "b")
    monkeypatch.undo()
    _latch(kills, "c")
    assert (set(kills.read().kills), kills.read().damage) == ({"a", "c"}, "")


WRITER = """
import sys
from datetime import datetime, UTC
from pathlib import Path
from midas_engine.kb.kill_file import KillFile
kills, who = KillFile(Path(sys.argv[1])), sys.argv[2]
for number in range(40):
    kill = kills.latch(f"f{who}_{number}", reason="x" * number, actor="operator", at=datetime(2025, 1, 1, tzinfo=UTC))
    kills.told(kill.id)
    kills.latch("shared", reason=who, actor="operator", at=datetime(2025, 1, 1, tzinfo=UTC))
"""


def test_many_processes_write_at_once_and_lose_nothing(kills: KillFile) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(kills.path), str(who)], cwd=ROOT) for who in range(4)
    ]
    assert [writer.wait(110) for writer in writers] == [0] * 4
    state = kills.read()
    assert state.damage == ""
    assert set(state.kills) == {f"f{who}_{n}" for who in range(4) for n in range(40)} | {"shared"}
    assert [kill.feature for kill in state.pending] == ["shared"]


def test_a_writer_that_is_killed_leaves_no_damage(kills: KillFile) -> None:
    for _ in range(6):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(kills.path), "9"], cwd=ROOT)
        before = kills.signature()
        while kills.signature() == before and writer.poll() is None:
            pass
        writer.kill()
        writer.wait()
        assert kills.read().damage == ""
    _latch(kills, "last")
    assert "last" in kills.read().kills
