"""Styles are read once: a mode that is shown first, and every dialog, waits for its own alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import textual.css.stylesheet as reading
from textual.css.stylesheet import StylesheetParseError

from helpers_tui import press, scripted, settle, until
from midas_tui.modes import _LATER
from midas_tui.stylesheet import KeptStylesheet

if TYPE_CHECKING:
    from collections.abc import Iterator

MODES = {name: load().__name__ for name, load in _LATER.items()}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is read from now on: the class whose styles they are."""
    found: list[str] = []
    parse = reading.parse

    def noted(scope: str, css: str, read_from: Any, *args: Any, **named: Any) -> Any:
        found.append(read_from[1])
        return parse(scope, css, read_from, *args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(reading, "parse", noted)
        yield found


def _ready(app: Any) -> bool:
    return all(any(place[1] == f"{name}.CSS" for place in app.stylesheet.source) for name in MODES.values())


async def test_every_mode_is_read_before_it_is_shown_and_nothing_is_read_twice(read: list[str]) -> None:
    async with scripted() as (app, pilot, _):
        await until(pilot, lambda: _ready(app))
        read.clear()
        for key in "234561":
            await press(pilot, key)
        assert not set(read) & {f"{name}.CSS" for name in MODES.values()}
        assert len(set(read)) == len(read)
        read.clear()
        for key in "123456":
            await press(pilot, key)
        assert read == []


async def test_a_mode_looks_as_it_does_when_all_is_read_anew() -> None:
    async with scripted(size=(160, 45)) as (app, pilot, _):
        for mode in MODES:
            await app.switch_mode(mode)
            await settle(pilot)
            quick = [(w, dict(w.styles.base.get_rules())) for w in app.screen.walk_children()]
            app.stylesheet._parse_cache.clear()
            app.refresh_css(animate=False)
            await settle(pilot)
            assert [(w, dict(w.styles.base.get_rules())) for w in app.screen.walk_children()] == quick, mode


async def test_another_theme_reaches_modes_that_were_hidden() -> None:
    async with scripted() as (app, pilot, _):
        await press(pilot, "2")
        await press(pilot, "1")
        dark = app.screen.styles.background
        app.theme = "midas-light"
        await settle(pilot)
        light = app.screen.styles.background
        assert light != dark
        for key in "23":  # one that was shown before, one that was not
            await press(pilot, key)
            assert app.screen.styles.background == light


def test_what_cannot_be_read_leaves_the_rules_that_were() -> None:
    sheet = KeptStylesheet()
    sheet.add_source("Label { color: red; }", read_from=("a", "A.CSS"))
    sheet.parse()
    before = list(sheet.rules)
    sheet.add_source("Label { color: ; no: }", read_from=("b", "B.CSS"))
    with pytest.raises(StylesheetParseError):
        sheet.reparse()
    assert sheet._rules == before
