"""Text from models, files and feeds is data: no control sequence, no markup reaches the terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers_kb import learning
from helpers_pty import Terminal
from helpers_tui import NOW, ScriptedRuntime, alert, metrics, press, screen_text, scripted, session_events, settle
from midas_engine import events as ev
from midas_engine.kb import KnowledgeBase
from midas_tui.sanitise import StreamCleaner, clean

if TYPE_CHECKING:
    from pathlib import Path

EVIL = {
    "clipboard": "\x1b]52;c;ZXZpbA==\x07",
    "title": "\x1b]0;pwned\x1b\\",
    "clear": "\x1b[2J\x1b[H",
    "c1": "\x9b31m",
    "device": "\x1bPq#0;2;0;0;0\x1b\\",
    "bidi": "\u202egnp.exe",
    "zero width": "a\u200bb\ufeff",
    "tag": "x\U000e0041",
    "bell": "\x07\x08\x00",
    "markup": "[@click=app.quit]go[/] [b]bold[/b] [/] [link=file:///etc/passwd]x[/link]",
}
ALL = " ".join(EVIL.values())
# What may never be shown: C0 but newline, DEL, C1, bidirectional and zero-width characters.
FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")


@given(st.text(max_size=400))
def test_nothing_forbidden_survives(text: str) -> None:
    assert not FORBIDDEN.search(clean(text))


@given(st.text(alphabet="\x1b[]\x9b;2Jm\x07\\P^_cab\n", max_size=80), st.data())
def test_a_sequence_split_over_chunks_is_still_caught(text: str, data: st.DataObject) -> None:
    cleaner = StreamCleaner()
    shown, rest = "", text
    while rest:
        cut = data.draw(st.integers(1, len(rest)))
        shown += cleaner.feed(rest[:cut])
        rest = rest[cut:]
    shown += cleaner.flush()
    assert not FORBIDDEN.search(shown)


@pytest.mark.parametrize("split", range(1, 17))
def test_a_split_clipboard_write_leaves_no_trace(split: int) -> None:
    cleaner = StreamCleaner()
    text = "a" + EVIL["clipboard"] + "b"
    assert cleaner.feed(text[:split]) + cleaner.feed(text[split:]) + cleaner.flush() == "ab"


def hostile() -> ScriptedRuntime:
    runtime = ScriptedRuntime()
    runtime.found = [metrics(f"evil {ALL}")]
    runtime.running = [alert(f"evil {ALL}", message=ALL, diagnosis=ALL)]
    import dataclasses

    bad = dataclasses.replace(
        runtime.summary.candidates[0], name=f"evil {ALL}", expression=ALL, hypothesis=ALL, reason=ALL,
        metrics={ALL: ALL, "rank_ic": 0.1}, history=({"at": ALL},), lineage=(ALL,), session_id=ALL,
    )  # fmt: skip
    runtime.summary = dataclasses.replace(runtime.summary, candidates=(bad,))
    runtime.papers = {
        f"skills/{ALL.replace('/', '')}.md": f"---\ntitle: {ALL}\n---\n# {ALL}\n\n{ALL}\n\n```\n{ALL}\n```\n"
    }
    return runtime


async def test_no_screen_shows_a_control_character_and_no_markup_acts() -> None:
    runtime = hostile()
    async with scripted(runtime, size=(160, 45)) as (app, pilot, _):
        for event in session_events(f"s{ALL}"):
            runtime.bus.publish(event)
        runtime.bus.publish(ev.TokensStreamed(at=NOW, session_id=f"s{ALL}", iteration=1, phase="plan", text=ALL))
        runtime.bus.publish(ev.ExpressionRefused(at=NOW, session_id=f"s{ALL}", iteration=1, expression=ALL, reason=ALL))
        runtime.bus.publish(ev.FaultReported(at=NOW, where=ALL, message=ALL, hint=ALL))
        runtime.bus.publish(ev.RuntimeChanged(at=NOW, phase="degraded", detail=ALL))
        app.shell.messages.say(ALL)
        app.shell.bridge.pump()
        seen = ""
        for key in "12345":
            await press(pilot, key)
            await app.workers.wait_for_complete()
            await settle(pilot)
            shown = screen_text(app)
            assert not FORBIDDEN.search(shown), key
            seen += shown
        await press(pilot, "exclamation_mark")
        assert not FORBIDDEN.search(screen_text(app))
        await press(pilot, "escape", "2", "enter")
        assert not FORBIDDEN.search(screen_text(app))
        assert "[@click=app.quit]go[/]" in seen  # shown as it is
        await press(pilot, "escape")
        screen = screen_text(app).split("\n")
        for y, line in enumerate(screen):
            if "[@click" in line:
                await pilot.click(offset=(line.index("[@click") + 2, y))
        assert app.return_code is None
        assert app.is_running


def test_the_bytes_of_the_real_program_hold_only_its_own_sequences(tmp_path: Path) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    kb.save_learning(learning(f"Evil {EVIL['bidi']}", body="the body", research_goal="x"))
    file = next((tmp_path / "kb/knowledge/learnings").rglob("*.md"))
    # A NUL makes a document damaged, which another test shows.
    evil = ALL.replace("\x00", "")
    file.write_text(file.read_text() + f"\n{evil}\nthe end of it\n", encoding="utf-8")
    with Terminal(["--kb", str(kb.path), "--data", "sample-1m", "--mode", "learnings"]) as terminal:
        terminal.until("goal: x")  # the document is open
        terminal.send("\t")
        # A long document is laid out in pieces: who presses before the last one stands stops short, and presses again.
        terminal.press_until("\x04", "the end of it")
        raw = bytes(terminal.raw)
        terminal.send("\x11")
        terminal.wait()
    assert b"\x1b]52" not in raw
    assert b"pwned" not in raw
    assert b"\x1b]0;" not in raw
    assert b"\x1bP" not in raw
    assert "\u202e".encode() not in raw
    assert "\u200b".encode() not in raw
    assert b"\xc2\x9b" not in raw
    assert b"\x1b[2J" not in raw
