"""Play the case of `midas-tui --demo` by the keys its card names, and stop where a picture is worth taking."""

from __future__ import annotations

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
        terminal.send("\tfor the case\r")
    else:
        terminal.send("y")
    _reach(terminal, "live", "alarm")
    _type(terminal, "1")
    yield "4-live"
    _reach(terminal, "alarm")
    _point_at(terminal, _named(terminal))
    yield "5-alarm"
    victim = _named(terminal)
    _type(terminal, "D")
    _reach(terminal, "kill")
    _type(terminal, "4")
    terminal.drain(READABLE)
    yield "6-diagnosis"
    _type(terminal, "2l")
    _point_at(terminal, victim)
    _type(terminal, "K")
    terminal.until("c copies the command line", LONG)
    terminal.drain(READABLE)
    terminal.send("\tits sign turned\t")
    terminal.send(victim)
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


def _type(terminal: Terminal, keys: str) -> None:
    for key in keys:
        terminal.send(key)
        terminal.drain(0.8)


def _row(terminal: Terminal) -> str:
    """The row under the cursor of the pane that has the focus."""
    return next((line for line in terminal.text.split("\n") if "\u25b8" in line), "")


def _point_at_best(terminal: Terminal) -> None:
    """The candidate the card names: its name may be cut in the list, and its t is the highest."""
    best, place = float("-inf"), 0
    seen: list[str] = []
    for row in range(MOST_ROWS):
        line = _row(terminal)
        if line in seen:
            break
        seen.append(line)
        figures = [word for word in line.split() if word[:1] in "+-" and word[1:2].isdigit()]
        t = float(figures[0]) if figures else float("-inf")
        if t > best:
            best, place = t, row
        _type(terminal, "j")
    _type(terminal, "gg" + "j" * place)


def _named(terminal: Terminal) -> str:
    """The feature the card says was called dead."""
    words = " ".join(line[-48:].strip("\u2502 ") for line in terminal.text.split("\n")).split()
    return words[words.index("called") - 2] if "called" in words else ""


def _point_at(terminal: Terminal, name: str) -> None:
    for _ in range(MOST_ROWS):
        if name[:12] in _row(terminal):
            return
        _type(terminal, "j")
    raise AssertionError(f"{name} is not in the list:\n{terminal.text}")
