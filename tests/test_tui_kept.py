"""What a user sets: keys, themes, colours of any terminal, and what is remembered from one start to the next."""

from __future__ import annotations

import itertools
import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from rich._palettes import EIGHT_BIT_PALETTE, STANDARD_PALETTE
from rich.color import Color, ColorSystem
from rich.color_triplet import ColorTriplet

from helpers_pty import Terminal
from helpers_tui import ScriptedRuntime, SteppedClock, press, settle, toasts
from midas_engine.errors import SettingsError
from midas_engine.settings import load_settings
from midas_tui.app import MidasApp
from midas_tui.cli import main
from midas_tui.kept import Kept
from midas_tui.keymap import check_keys, known_ids
from midas_tui.palette import BASIC, FULL, INDEXED, PALETTES, ROLE_NAMES, shipped_themes
from midas_tui.screens.live import SORTS
from midas_tui.user_themes import theme_from_file
from midas_tui.widgets.line_table import LineTable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SYSTEMS = {FULL: ColorSystem.TRUECOLOR, INDEXED: ColorSystem.EIGHT_BIT, BASIC: ColorSystem.STANDARD}
TABLES = {INDEXED: EIGHT_BIT_PALETTE, BASIC: STANDARD_PALETTE}
MINE = "dark = true\n" + "\n".join(f'{role} = "#1{i}2{i}3{i}"' for i, role in enumerate(ROLE_NAMES))


@asynccontextmanager
async def kept_terminal(kept: Kept, mode: str = "live", **flags: Any) -> AsyncIterator[tuple[MidasApp, Any]]:
    settings = load_settings(file=None, environ={}, flags=flags)
    app = MidasApp(ScriptedRuntime, settings, mode=mode, clock=SteppedClock(), kept=kept)
    async with app.run_test(size=(160, 45)) as pilot:
        await app.ready.wait()
        await settle(pilot)
        yield app, pilot


async def test_orders_windows_and_the_theme_are_those_of_the_last_time(tmp_path: Path) -> None:
    file = tmp_path / "state" / "terminal.json"
    async with kept_terminal(Kept(file)) as (app, pilot):
        await press(pilot, "s", "S", "i", "m", "5", "o", "2")
        archived = app.screen.query_one("#archived", LineTable)
        app.screen.on_line_table_header_clicked(LineTable.HeaderClicked(archived, "why"))  # type: ignore[attr-defined]
        app.theme = "midas-light"
        await settle(pilot)
    assert file.stat().st_mode & 0o777 == 0o600
    async with kept_terminal(Kept(file)) as (app, pilot):
        screen: Any = app.screen
        assert (screen.sort, screen.descending, screen.window, screen.of_feature) == (1, True, 1, True)
        assert app.theme == "midas-light"
        await press(pilot, "2")
        assert app.screen.query_one("#archived", LineTable).order == "why"
        await press(pilot, "5")
        assert app.screen.open_only  # type: ignore[attr-defined]
    async with kept_terminal(Kept(file), **{"terminal.theme": "midas-contrast"}) as (app, _):
        assert app.theme == "midas-contrast", "what the settings name comes first"


async def test_a_damaged_memory_is_said_and_a_strange_one_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "terminal.json"
    file.write_text("{bad")
    async with kept_terminal(Kept(file)) as (app, _):
        assert any("begin anew" in text for text in toasts(app))
    strange = {"live.sort": len(SORTS), "live.window": True, "theme": "gone", "live.order of features": "x"}
    file.write_text(json.dumps(strange))
    async with kept_terminal(Kept(file)) as (app, _):
        assert app.screen.sort == app.screen.window == 0  # type: ignore[attr-defined]
        assert app.theme == "midas-dark"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"live.srot": "o"}, "did you mean 'live.sort'"),
        ({"live.sort": ""}, "names no key"),
        ({"live.sort": "o", "live.reverse": "o"}, "needs a key of its own"),
    ],
)
def test_what_remaps_nothing_is_refused(keys: dict[str, str], said: str, tmp_path: Path, capsys: Any) -> None:
    with pytest.raises(SettingsError) as refused:
        check_keys(keys)
    assert said in str(refused.value)
    file = tmp_path / "midas.toml"
    file.write_text("[terminal.keys]\n" + "\n".join(f'"{k}" = "{v}"' for k, v in keys.items()))
    assert main(["--config", str(file)]) != 0
    assert said in capsys.readouterr().err
    assert {"ask.yes", "document.unfold", "live.sort", "app.palette"} <= known_ids()


async def test_a_theme_of_ones_own_is_a_file_and_a_wrong_one_says_which_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "midas" / "themes"
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_text(MINE)
    (folder / "other.toml").write_text(MINE.replace("crit =", "crti ="))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    async with kept_terminal(Kept(), **{"terminal.theme": "mine"}) as (app, _):
        assert app.theme == "mine"
        assert app.get_css_variables()["crit"] == "#162636"
        assert any("crti" in text and "did you mean 'crit'" in text for text in toasts(app))
    short = "\n".join(MINE.split("\n")[:-1])
    for wrong in (MINE.replace("#1", "1", 1), short, MINE.replace("true", "3"), "=", ""):
        (folder / "other.toml").write_text(wrong)
        with pytest.raises(SettingsError):
            theme_from_file(folder / "other.toml")


def luminance(colour: str) -> float:
    def linear(part: int) -> float:
        share = part / 255
        return share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(colour[i : i + 2], 16)) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("name", "depth"), [*itertools.product(PALETTES, SYSTEMS)])
def test_roles_keep_their_colours_and_can_be_read_on_every_terminal(name: str, depth: str) -> None:
    roles, shown = PALETTES[name][depth], {}
    for role in ROLE_NAMES:
        colour = Color.parse(getattr(roles, role)).downgrade(SYSTEMS[depth])
        shown[role] = colour.triplet or TABLES[depth][colour.number or 0]
        # Light greys fall one step of ten; nothing becomes another colour.
        pairs = zip(shown[role], ColorTriplet(*bytes.fromhex(getattr(roles, role)[1:])), strict=True)
        assert all(abs(is_now - was) <= 10 for is_now, was in pairs), f"{role} becomes {shown[role].hex}"
    for role in ("text", "ok", "warn", "crit", "accent", "muted"):
        for below in ("background", "surface", "panel"):
            pair = sorted((luminance(shown[role].hex), luminance(shown[below].hex)))
            assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, f"{role} on {below}"
    assert len({shown[role] for role in ("ok", "warn", "crit", "accent", "text")}) == 5
    assert {t.name for t in shipped_themes(depth)} == set(PALETTES)


def test_a_terminal_of_256_colours_shows_the_roles_as_they_were_chosen(tmp_path: Path) -> None:
    environ = {"COLORTERM": "", "TERM": "xterm-256color"}
    with Terminal(["--kb", str(tmp_path / "kb"), "--mode", "live", "--data", "sample-1m"], environ=environ) as terminal:
        terminal.until("nothing is live")
        raw = bytes(terminal.raw)
        terminal.send("\x11")
        assert terminal.wait() == 0
    behind = {int(m[1]) for m in re.finditer(rb"48;5;(\d+)", raw)}
    grey = {7, 15, 16, *range(232, 256)}
    assert 233 in behind, behind
    assert behind <= grey, "the page, its bars and its cursor are grey: nothing turned navy"
