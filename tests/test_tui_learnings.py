"""Learnings: documents that follow their files, keep the reader's place, and can be walked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers_kb import learning
from helpers_tui import (
    ScriptedRuntime,
    fill_base,
    press,
    readable,
    running,
    screen_text,
    scripted,
    toasts,
    type_text,
    until,
    write_market,
)
from midas_engine.kb import KnowledgeBase
from midas_tui.widgets.document_view import DocumentView, headings, split_sections
from midas_tui.widgets.line_table import LineTable
from midas_tui.widgets.reading import front_matter_split

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from midas_tui.app import MidasApp


def document(app: MidasApp) -> DocumentView:
    return app.screen.query_one("#document", DocumentView)


async def test_the_newest_learning_is_open_at_once_with_its_contents() -> None:
    async with scripted(mode="learnings", size=(160, 45)) as (app, pilot, _):
        await until(pilot, lambda: "Twelve were tried" in screen_text(app))
        text = screen_text(app)
        assert "success  (2 fields: v shows them)" in text
        assert "title: Reversal" not in text, "folded"
        assert "What failed" in text.split("contents")[1]
        assert "[[midas-dsl]]" in text.split("related")[1]


async def test_links_are_followed_and_backspace_returns() -> None:
    async with scripted(mode="learnings") as (app, pilot, _):
        await until(pilot, lambda: document(app).path.endswith("reversal.md"))
        await press(pilot, "l", "enter")
        await until(pilot, lambda: document(app).path == "skills/midas-dsl.md")
        await press(pilot, "backspace")
        await until(pilot, lambda: document(app).path.endswith("reversal.md"))


async def test_the_contents_jump_to_a_heading() -> None:
    runtime = ScriptedRuntime()
    path = "knowledge/learnings/offline/20260101-reversal.md"
    runtime.papers[path] = "# One\n" + "text\n\n" * 60 + "## Two\n\nthe end of it\n"
    async with scripted(runtime, mode="learnings", size=(120, 18)) as (app, pilot, _):
        await until(pilot, lambda: document(app).path == path)
        await press(pilot, "t", "G", "enter")
        await until(pilot, lambda: "the end of it" in screen_text(app))


async def test_search_in_a_document_goes_from_match_to_match() -> None:
    runtime = ScriptedRuntime()
    path = "knowledge/learnings/offline/20260101-reversal.md"
    runtime.papers[path] = "# One\n\n" + "\n\n".join("needle here" if i % 30 == 29 else "hay" for i in range(90))
    async with scripted(runtime, mode="learnings", size=(120, 20)) as (app, pilot, _):
        await until(pilot, lambda: document(app).path == path)
        document(app).focus()
        await press(pilot, "slash")
        await type_text(pilot, "needle")
        await press(pilot, "enter")
        places = []
        for _ in range(4):
            await press(pilot, "n")
            places.append(document(app)._match)
        assert len(set(places)) == 3
        assert places[3] == places[0]  # round the end
        await press(pilot, "N")
        assert document(app)._match == places[2]


async def test_a_file_that_changes_is_shown_marked_and_keeps_the_place(tmp_path: Path) -> None:
    kb = KnowledgeBase(tmp_path / "kb")
    body = "\n\n".join(f"paragraph {i}" for i in range(120))
    kb.save_learning(learning("A long one", body=body))
    market = write_market(tmp_path, days=5)
    async with running(tmp_path / "kb", market, mode="learnings") as (app, pilot):
        await until(pilot, lambda: "paragraph" in document(app).text and document(app)._lines)
        view = document(app)
        view.focus()
        await press(pilot, "ctrl+d", "ctrl+d")
        place = view.scroll_offset.y
        assert place > 0
        file = tmp_path / "kb" / view.path
        file.write_text(file.read_text().replace("paragraph 119", "paragraph 119 was changed"))
        await until(pilot, lambda: "was changed" in view.text, "the change was seen")
        assert view.scroll_offset.y == place
        kb.save_learning(learning("Another one"))
        await until(pilot, lambda: "Another one" in screen_text(app), "a new file is listed")
        assert "changed" in str(app.screen.query_one("#tree").border_title)
        await press(pilot, "right_square_bracket")
        await until(pilot, lambda: "Another one" in view.text)


async def test_a_base_is_searched_walked_both_ways_and_a_learning_is_revoked(tmp_path: Path) -> None:
    """Search, memory, links both ways, a link added while it is open, revoke: on one real base."""
    kb = fill_base(tmp_path / "kb")
    path = kb.relative(
        kb.save_learning(
            learning(
                "Winners go on", accepted=("carry_slow",), session_id="s-77", pattern_identified="Trends last. So."
            )
        )
    )
    kb.save_learning(learning("Other", body="nothing of the kind"))
    async with running(tmp_path / "kb", write_market(tmp_path, days=5), mode="learnings", size=(160, 45)) as (
        app,
        pilot,
    ):
        tree = app.screen.query_one("#tree", LineTable)
        await press(pilot, "s")
        await readable(pilot)
        await type_text(pilot, "trend")
        await press(pilot, "enter")
        await until(
            pilot, lambda: document(app).path == path and "Trends last." in screen_text(app), "the hit is shown"
        )
        assert "speak of trend" in str(tree.border_title)
        lines = [strip.text.strip() for strip in document(app)._lines if strip.text.strip()]
        assert lines[0] == "Winners go on"
        assert lines[1].startswith("success; goal: ")
        assert any(line.startswith("Trends last.") for line in lines[2:4]), "title, result, sentences"
        await press(pilot, "escape")
        assert "knowledge base" in str(tree.border_title)
        tree.move_to("memory")
        await until(pilot, lambda: "Nothing was tried yet" in screen_text(app))
        tree.move_to(path)
        await until(pilot, lambda: "feature carry_slow" in screen_text(app), "what it found")
        assert "session s-77" in screen_text(app)
        file = tmp_path / "kb" / path
        file.write_text(file.read_text() + "\nSee [[midas-dsl]].\n")
        await until(pilot, lambda: "[[midas-dsl]]" in screen_text(app).split("related")[1], "a link added while open")
        related = app.screen.query_one("#related", LineTable)
        related.move_to("feature:carry_slow")
        related.focus()
        await press(pilot, "enter")
        await until(pilot, lambda: app.current_mode == "pipeline" and app.screen.subject() == "feature:carry_slow")
        await press(pilot, "I")
        await readable(pilot)
        assert "carry_slow" in screen_text(app)
        await press(pilot, "escape", "L")
        await until(
            pilot, lambda: app.current_mode == "learnings" and document(app).path == path, "back from the feature"
        )
        await press(pilot, "x")
        await readable(pilot)
        assert "same as: midas kb revoke" in screen_text(app)
        await press(pilot, "tab", "tab")
        app.screen.query_one("#reason").focus()
        await type_text(pilot, "other fees")
        await press(pilot, "enter")
        await until(pilot, lambda: [d.title for d in kb.learnings()] == ["Other"], "set aside")
        (reason,) = (tmp_path / "kb/knowledge/learnings/revoked").glob("*.reason.txt")
        assert reason.read_text() == "revoked: other fees\n"


async def test_the_editor_is_opened_on_the_file_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import contextlib
    import subprocess

    KnowledgeBase(tmp_path / "kb").save_learning(learning("Mine"))
    market = write_market(tmp_path, days=5)
    ran: list[list[str]] = []
    async with running(tmp_path / "kb", market, mode="learnings") as (app, pilot):
        await until(pilot, lambda: "Mine" in document(app).text)
        monkeypatch.delenv("VISUAL", raising=False)
        monkeypatch.delenv("EDITOR", raising=False)
        await press(pilot, "e")
        assert any("set $EDITOR" in t for t in toasts(app))
        monkeypatch.setenv("EDITOR", "vi -n")
        monkeypatch.setattr(app, "suspend", contextlib.nullcontext)
        monkeypatch.setattr(subprocess, "run", lambda command, check: ran.append(command))
        await press(pilot, "e")
    assert ran == [["vi", "-n", str(tmp_path / "kb" / document_path(tmp_path))]]


def document_path(tmp_path: Path) -> Path:
    found = next((tmp_path / "kb/knowledge/learnings").rglob("*.md"))
    return found.relative_to(tmp_path / "kb")


async def test_a_document_that_vanished_says_so() -> None:
    from midas_engine.errors import MidasError

    async with scripted(mode="learnings") as (app, pilot, runtime):
        await until(pilot, lambda: document(app).path)

        async def gone(path: str) -> str:
            raise MidasError(f"{path} is gone", hint="it was removed")

        runtime.documents.read = gone
        tree = app.screen.query_one("#tree", LineTable)
        tree.focus()
        await press(pilot, "G")
        await until(pilot, lambda: "is gone" in screen_text(app))


def test_sections_put_together_are_the_document() -> None:
    text = "# a\n\none\n\n## b\n\n```\n# not a heading\n```\n" + "long\n\n" * 3000
    pieces = split_sections(text)
    assert "\n".join(pieces) == text
    assert max(map(len, pieces)) < 7000
    assert headings(text) == [(1, "a"), (2, "b")]


def test_front_matter_is_split_off() -> None:
    assert front_matter_split("---\na: 1\n---\n# t\n") == ("a: 1", "# t\n")
    assert front_matter_split("no matter") == ("", "no matter")
    assert front_matter_split("---\nnever closed") == ("", "---\nnever closed")


async def test_a_large_document_is_rendered_in_slices_and_only_changed_sections_again() -> None:
    import time

    text = "".join(f"## Section {i}\n\n" + "some words of text here. " * 30 + "\n\n" for i in range(250))
    assert len(text) > 180_000
    async with scripted(mode="learnings") as (app, pilot, runtime):
        path = "knowledge/learnings/offline/20260101-reversal.md"
        await until(pilot, lambda: document(app).path == path)
        view = document(app)
        await view.show_document(path, text)
        lines = len(view._lines)
        assert "Section 249" in "".join(strip.text for strip in view._lines[-20:])
        began = time.thread_time()
        await view.show_document(path, text.replace("Section 100", "Section hundred"))
        again = time.thread_time() - began
        began = time.thread_time()
        view._cache.clear()
        await view.show_document(path, text)
        whole = time.thread_time() - began
        assert len(view._lines) == lines
        assert again < whole / 5
