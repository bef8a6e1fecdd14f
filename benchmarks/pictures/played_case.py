"""Play the case of `midas-tui --demo` by the keys its card names, and stop where a picture is worth taking."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from midas_tui.tour import STEPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from helpers_pty import Terminal

# A session, and half a year of bars, on a busy machine.
LONG = 600.0
READABLE = 4.0
MOST_ROWS = 40


def play(terminal: Terminal) -> Iterator[str]:
    """Play it; the name of each picture, while the screen shows it.

    Raises:
        AssertionError: A step was not reached.
    """
    _reach(terminal, "find something")
    yield "1-find"
    _type(terminal, "3r")
    terminal.until("promoted here", LONG)  # the form has said what a session could find
    terminal.drain(READABLE)
    terminal.send("\r")
    _reach(terminal, "promote")
    yield "2-search"
    _type(terminal, "2")
    _point_at_best(terminal)
    _type(terminal, "p")
    terminal.until("c copies the command line", LONG)
    terminal.drain(READABLE)
    yield "3-promote"
    if "all the same" in terminal.text:  # something is against it: it is said why it is done
        for text in ("\t", "for the case", "\r"):
            terminal.send(text)
            terminal.drain(1.0)
    else:
        terminal.send("y")
    _reach(terminal, "live", "alarm")
    _type(terminal, "1")
    terminal.drain(READABLE)
    still(terminal)
    yield "4-live"
    _reach(terminal, "alarm")
    victim = _named(terminal)
    _point_at(terminal, victim)
    yield "5-alarm"
    _type(terminal, "D")
    _reach(terminal, "kill")
    _type(terminal, "4")
    terminal.drain(READABLE)
    yield "6-diagnosis"
    _type(terminal, "2")
    _point_at(terminal, victim, columns="hhll")
    _type(terminal, "K")
    terminal.until("c copies the command line", LONG)
    terminal.drain(READABLE)
    for text in ("\t", "its test called it dead", "\t", victim):
        terminal.send(text)
        terminal.drain(1.0)
    yield "7-kill"
    terminal.send("\r")
    _reach(terminal, "go on", "the truth")
    _type(terminal, "1")
    terminal.until("False alarms:", LONG)
    terminal.drain(READABLE)
    yield "8-truth"
    _type(terminal, "\x1bq")


def _reach(terminal: Terminal, *titles: str) -> None:
    """Wait until the card says one of these steps, drawn to its end."""
    heads = [f"{place} of {len(STEPS)}  {step.title}" for place, step in enumerate(STEPS, 1) if step.title in titles]
    terminal.until(lambda text: any(head in text for head in heads), LONG)
    terminal.drain(1.5)


def still(terminal: Terminal) -> None:
    """Time passes: wait for the end of a frame."""
    for _ in range(200):
        before = len(terminal.raw)
        terminal.read(0.15)
        if len(terminal.raw) == before:
            return


def _type(terminal: Terminal, keys: str) -> None:
    for key in keys:
        terminal.send(key)
        terminal.drain(0.8)


def _row(terminal: Terminal) -> str:
    """The row under the cursor of the list that has the focus, from its sign on: that one is bold."""
    for y in range(terminal.lines):
        line = terminal.screen.buffer[y]
        for x in range(terminal.columns):
            if line[x].data == "\u25b8" and any(line[at].bold for at in range(x + 1, min(x + 9, terminal.columns))):
                return "".join(line[at].data for at in range(x + 1, min(x + 50, terminal.columns)))
    return ""


def _rows(terminal: Terminal) -> list[str]:
    """Every row of the list that has the focus, from its top; the cursor ends on the last."""
    for key in "kj":
        rows = [_row(terminal)]
        while len(rows) < MOST_ROWS:
            _type(terminal, key)
            if _row(terminal) == rows[-1]:
                break
            rows.append(_row(terminal))
    return rows


def _go_to(terminal: Terminal, rows: list[str], place: int) -> None:
    _type(terminal, "k" * (len(rows) - 1 - place))


def _point_at_best(terminal: Terminal) -> None:
    """The candidate the card names: its name may be cut in the list, and its t is the highest."""

    def t(row: str) -> float:
        figures = [word for word in row.split() if word[:1] in "+-" and word[1:2].isdigit()]
        return float(figures[0]) if figures else float("-inf")

    rows = _rows(terminal)
    _go_to(terminal, rows, max(range(len(rows)), key=lambda place: t(rows[place])))


def _point_at(terminal: Terminal, name: str, columns: str = "") -> None:
    """Put the cursor on a feature, in the list that has the focus or one that these keys lead to."""
    for key in ("", *columns):
        _type(terminal, key)
        rows = _rows(terminal)
        found = [place for place, row in enumerate(rows) if name[:12] in row]
        if found:
            _go_to(terminal, rows, found[0])
            return
    raise AssertionError(f"{name} is in no list:\n{terminal.text}")


def _named(terminal: Terminal) -> str:
    """The feature the card says was called dead."""
    found = re.search(r"(\w+)\s+is\s+called\s+dead", _card(terminal))
    if found is None:
        raise AssertionError(f"the card names no feature:\n{terminal.text}")
    return found[1]


def _card(terminal: Terminal) -> str:
    """What the card says: it is the rightmost text of its lines."""
    lines = [[part.strip() for part in line.split("\u2502")] for line in terminal.text.split("\n")]
    return " ".join(next((part for part in reversed(parts) if len(part) > 2), "") for parts in lines)
