"""Every mode in three themes, 256 colours, 16 and none: the same text, and each cell in the colour of its role.

A snapshot `live-80x24.roles.txt` says for each line from which to which column what is not plain text: its role, its
weight, the ground it stands on. One map serves all themes, since a theme only says which colour a role has; a colour
that is no role's is named by what it is in each of them.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
from textual.screen import ModalScreen

from helpers_tui import ScriptedRuntime, press, screen_text, scripted, settle, until
from midas_tui.modals.ask import AskModal, Question
from midas_tui.palette import BASIC, FULL, INDEXED, PALETTES, ROLE_NAMES, make_theme
from test_tui_layout import SIZES, Recording, compare, each_mode

if TYPE_CHECKING:
    from rich.style import Style

PLAIN = ("text", "background", "")
WEIGHTS = ("bold", "dim", "italic", "underline", "strike", "reverse")
# What is drawn in a cell: colour of the letter, of the ground, weight. The letter of a blank has no colour.
Cell = tuple[str, str, str]


def cells(app: Any) -> list[list[Cell]]:
    """The screen as it is drawn, a list a line."""
    lines: list[list[Cell]] = []
    for strip in app.screen._compositor.render_strips():
        line: list[Cell] = []
        for text, style, _ in strip:
            line += [_cell(letter, style) for letter in text]
        lines.append(line)
    return lines


def _cell(letter: str, style: Style | None) -> Cell:
    if style is None:
        return "", "", ""
    weight = " ".join(w for w in WEIGHTS if getattr(style, w))
    seen = letter.strip() or style.reverse or style.underline
    fore, back = (
        "" if colour is None else (colour.triplet.hex if colour.triplet else colour.name)
        for colour in (style.color, style.bgcolor)
    )
    return (fore, back, weight) if seen else ("", back, "")


def named(theme: str, depth: str, drawn: list[list[Cell]]) -> list[list[Cell]]:
    """The same, each colour called by its role. Where roles share a colour it is the first of them."""
    roles = PALETTES[theme][depth]
    names = {getattr(roles, role): role for role in reversed(ROLE_NAMES)}
    return [[(names.get(f, f), names.get(b, b), w) for f, b, w in line] for line in drawn]


def shared(theme: str, depth: str, role: str) -> str:
    """What `named` calls a role in a theme that gives several roles one colour."""
    roles = PALETTES[theme][depth]
    colour = getattr(roles, role, None)
    return next((name for name in ROLE_NAMES if getattr(roles, name) == colour), role) if colour else role


def as_map(lines: list[list[Cell]]) -> str:
    """The runs of each line; lines that are alike are said once."""
    said: list[str] = []
    for line in lines:
        parts: list[str] = []
        at = 0
        for (fore, back, weight), run in groupby(_carried(line)):
            wide = len(list(run))
            if (fore, back, weight) != PLAIN:
                ground = "" if back == "background" else f"on {back}"
                words = " ".join(part for part in (fore, weight, ground) if part)
                parts.append(f"{at}-{at + wide - 1} {words}" if wide > 1 else f"{at} {words}")
            at += wide
        said.append(", ".join(parts) or "plain")
    whole: list[str] = []
    at = 0
    for text, run in groupby(said):
        high = len(list(run))
        whole.append(f"{f'{at}-{at + high - 1}' if high > 1 else at}: {text}")
        at += high
    return "\n".join(whole)


def _carried(line: list[Cell]) -> list[Cell]:
    """Blanks between words of one style belong to them: nobody sees the colour of a blank."""
    carried: list[Cell] = []
    last = PLAIN
    for cell in line:
        blank = cell[0] == "" and cell[2] == ""
        if not blank:
            last = cell
        elif cell[1] != last[1]:
            last = ("text", cell[1], "")
        carried.append(last)
    return carried


async def _themes(app: Any, pilot: Any, depth: str) -> dict[str, tuple[str, list[list[Cell]]]]:
    """The text and the named cells of the screen in each theme, for a terminal of so many colours."""
    found = {}
    for theme, of in PALETTES.items():
        app.register_theme(make_theme(f"{theme} {depth}", of[depth], dark=theme != "midas-light"))
        app.theme = f"{theme} {depth}"
        await settle(pilot)
        found[theme] = screen_text(app), named(theme, depth, cells(app))
    return found


def _same(theme: str, depth: str, mine: list[list[Cell]], first: list[list[Cell]], where: str) -> None:
    """Each cell has the role it has in the first theme, or one of the same colour."""
    for y, (line, other) in enumerate(zip(mine, first, strict=True)):
        for x, (cell, wanted) in enumerate(zip(line, other, strict=True)):
            expected = (shared(theme, depth, wanted[0]), shared(theme, depth, wanted[1]), wanted[2])
            assert cell == expected, f"{where}, {theme} in {depth}: column {x} of line {y} is {cell}, not {expected}"


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
async def test_every_mode_has_the_same_text_and_roles_in_each_theme(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    depths = (FULL, INDEXED, BASIC) if size == SIZES[0] else (FULL,)
    async with scripted(Recording(), size=size) as (app, pilot, runtime):
        async for mode in each_mode(app, pilot, runtime):
            name = f"{mode}-{size[0]}x{size[1]}"
            first: list[list[Cell]] = []
            for depth in depths:
                for theme, (text, drawn) in (await _themes(app, pilot, depth)).items():
                    compare(name, text)
                    first = first or drawn
                    _same(theme, depth, drawn, first, name)
            compare(f"{name}.roles", as_map(first))


async def test_without_colour_every_mode_has_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    size = SIZES[0]
    async with scripted(Recording(), size=size) as (app, pilot, runtime):
        async for mode in each_mode(app, pilot, runtime):
            name = f"{mode}-{size[0]}x{size[1]}"
            compare(name, screen_text(app))
            drawn = cells(app)
            colours = {c for line in drawn for fore, back, _ in line for c in (fore, back) if c.startswith("#")}
            assert all(c[1:3] == c[3:5] == c[5:7] for c in colours), colours
            # The letter's grey is beside the point: what is loud is told by weight.
            weights = [[("text", "background", weight) if fore else ("", "background", "") for fore, _, weight in line]
                       for line in drawn]  # fmt: skip
            compare(f"{name}.weights", as_map(weights))


DIALOGS = {"session": ("3", "r"), "snooze": ("5", "w"), "help": ("question_mark",), "palette": ("colon",)}
BODY = [("write knowledge/features/archived/x.md", ""), ("not met", "warn")]
QUESTIONS = {
    "nothing typed yet": Question("demote x", BODY, reason_label="why", reason_required=True, command="midas demote"),
    "all typed": Question("demote x", BODY, reason_label="reason", reason_required=True, initial="it fell"),
    "danger": Question("kill x", BODY, typed_name="x", danger=True, confirm="Kill"),
    "danger, at once": Question("cancel it", BODY, danger=True, confirm="Cancel it"),
}


@pytest.mark.parametrize("asked", [*DIALOGS, *QUESTIONS])
async def test_a_dialog_is_drawn_in_the_colours_of_roles(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    async with scripted(ScriptedRuntime(), size=(120, 32)) as (app, pilot, _):
        for key in DIALOGS.get(asked, ()):
            await press(pilot, key)
        if asked in QUESTIONS:
            app.push_screen(AskModal(QUESTIONS[asked]))
        await until(pilot, lambda: isinstance(app.screen, ModalScreen), asked)
        await settle(pilot)
        box = app.screen.children[0].region
        for depth in (FULL, INDEXED):
            for theme, (text, drawn) in (await _themes(app, pilot, depth)).items():
                for y, line in enumerate(drawn[box.y : box.bottom], box.y):
                    for x, (fore, back, _) in enumerate(line[box.x : box.right], box.x):
                        where = f"{theme} in {depth}, column {x} of line {y}\n{text}"
                        assert not fore or fore in ROLE_NAMES, f"{fore} on {back}: {where}"
                        assert not back or back in ROLE_NAMES, f"{fore} on {back}: {where}"
                        assert not fore or fore != back, f"{fore} on itself: {where}"
