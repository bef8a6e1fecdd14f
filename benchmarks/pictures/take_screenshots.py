"""Take the pictures of the README: the real program in a real terminal, drawn cell by cell.

    python benchmarks/pictures/take_screenshots.py [--out demo_artifacts] [--size 80x24] [--keys KEYS] \
        [-- midas-tui arguments]
    python benchmarks/pictures/take_screenshots.py --modes
    python benchmarks/pictures/take_screenshots.py --case [--size 160x45]

Without arguments: Live mode at 80x24 and 160x45, replaying the bundled sample. With `--modes` every mode at two sizes
into `demo_artifacts/pictures`: Live and Alerts on that replay, the others on a copy of the demo's base, its candidates
promoted; in Discovery a session on the sample. With `--case` the played case, once, at the largest size: a picture a
step and size, into `demo_artifacts/pictures/case`. Needs the extra `dev`.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import matplotlib
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from helpers_pty import Terminal  # noqa: E402

if TYPE_CHECKING:
    import pyte

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
SIZE, WIDE, HIGH, EDGE = 15, 9, 18, 10
# Colours of the default theme, for cells the program left at the terminal's own.
TEXT, GROUND = "e6e6e6", "10151c"
# As pyte calls them, misspellings included.
NAMED = {
    "black": "000000", "red": "cd3131", "green": "0dbc79", "brown": "e5e510", "blue": "2472c8",
    "magenta": "bc3fbc", "cyan": "11a8cd", "white": "e5e5e5",
    "brightblack": "666666", "brightred": "f14c4c", "brightgreen": "23d18b", "brightbrown": "f5f543",
    "brightblue": "3b8eea", "brightmagenta": "d670d6", "bfightmagenta": "d670d6", "brightcyan": "29b8db",
    "brightwhite": "ffffff",
}  # fmt: skip


def draw(screen: pyte.Screen, path: Path) -> None:
    """Write the screen as a PNG."""
    plain = ImageFont.truetype(str(FONTS / "DejaVuSansMono.ttf"), SIZE)
    bold = ImageFont.truetype(str(FONTS / "DejaVuSansMono-Bold.ttf"), SIZE)
    image = Image.new("RGB", (screen.columns * WIDE + 2 * EDGE, screen.lines * HIGH + 2 * EDGE), f"#{GROUND}")
    pen = ImageDraw.Draw(image)
    grid = [(y, x) for y in range(screen.lines) for x in range(screen.columns)]
    for inked in (False, True):  # every background first: glyphs reach beyond their cell
        for y, x in grid:
            cell = screen.buffer[y][x]
            fore, back = _colour(cell.fg, TEXT), _colour(cell.bg, GROUND)
            if cell.reverse:
                fore, back = back, fore
            left, top = EDGE + x * WIDE, EDGE + y * HIGH
            if not inked:
                if back != f"#{GROUND}":
                    pen.rectangle((left, top, left + WIDE - 1, top + HIGH - 1), fill=back)
                continue
            if cell.data.strip():
                _glyph(pen, cell.data, left, top, fore, bold if cell.bold else plain)
            if cell.underscore:
                pen.line((left, top + HIGH - 2, left + WIDE - 1, top + HIGH - 2), fill=fore)
    # A screen has few colours: a table of them is a third of the size.
    image.quantize(96).save(path, optimize=True)


def _colour(name: str, default: str) -> str:
    return f"#{default if name == 'default' else NAMED.get(name, name)}"


def _glyph(pen: Any, text: str, left: int, top: int, fore: str, font: Any) -> None:
    code = ord(text[0])
    if 0x2800 <= code < 0x2900:
        # Braille is drawn as dots on a grid: few monospaced fonts have it at the cell's width.
        for bit, (x, y) in enumerate(((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))):
            if code >> bit & 1:
                cx, cy = left + 2 + x * 4, top + 2 + round(y * 4.4)
                pen.rectangle((cx, cy, cx + 2, cy + 2), fill=fore)
    elif text in "─│╭╮╰╯━┊┄█░▓":
        _line(pen, text, left, top, fore)
    else:
        pen.text((left, top + 1), text, font=font, fill=fore)


def _line(pen: Any, text: str, left: int, top: int, fore: str) -> None:
    right, bottom, x, y = left + WIDE - 1, top + HIGH - 1, left + WIDE // 2, top + HIGH // 2
    match text:
        case "─":
            pen.line((left, y, right, y), fill=fore)
        case "━":
            pen.rectangle((left, y - 1, right, y + 1), fill=fore)
        case "│":
            pen.line((x, top, x, bottom), fill=fore)
        case "┊":
            for step in range(top, bottom, 5):
                pen.line((x, step, x, step + 2), fill=fore)
        case "┄":
            for step in range(left, right, 3):
                pen.line((step, y, step + 1, y), fill=fore)
        case "█":
            pen.rectangle((left, top + 3, right, bottom - 3), fill=fore)
        case "▓":
            pen.rectangle((left, top + 3, right, bottom - 3), fill=fore)
        case "░":
            pen.rectangle((left, y - 1, right, y), fill=fore)
        case _:
            ends = {"╭": (right, bottom), "╮": (left, bottom), "╰": (right, top), "╯": (left, top)}[text]
            pen.line((x, y, ends[0], y), fill=fore)
            pen.line((x, y, x, ends[1]), fill=fore)


def take(size: str, keys: str, args: list[str], path: Path, seconds: float) -> None:
    """Run the program at `size`, type `keys` once it runs, wait, draw."""
    columns, lines = (int(part) for part in size.split("x"))
    with Terminal(args, columns=columns, lines=lines) as terminal:
        terminal.until(lambda text: "feat" in text and not re.search("(?i)starting|warming", text), 60.0)
        if keys:  # what happened since somebody left is shown first, and takes the keys
            terminal.drain(2.0)
            terminal.send("\x1b")
            terminal.drain(1.0)
        for key in keys.encode().decode("unicode_escape"):
            if key == "\r":
                terminal.drain(3.0)  # a dialog takes no answer before it can be read
            terminal.send(key)
            terminal.drain(0.4)
        terminal.drain(seconds)
        if "--replay" in args:  # at full speed a picture would be of half a frame
            terminal.send(" ")
            terminal.drain(2.0)
        draw(terminal.screen, path)
        terminal.send("q")
    print(f"{path}: {path.stat().st_size / 1000:,.0f} kB")


def every_mode(out: Path, seconds: float) -> None:
    """Every mode at two sizes; a session that screens no thousands of trees."""
    os.environ["MIDAS_EVALUATION_SCREENED"] = "0"
    with TemporaryDirectory() as folder:
        base = Path(folder) / "kb"
        shutil.copytree(ROOT / "demo_artifacts" / "midas-kb", base)
        midas = [sys.executable, "-m", "midas"]
        shared = ["--kb", str(base), "--data", "synthetic"]
        for file in sorted((base / "knowledge/features/candidates").glob("*.md")):
            forced = ["--force", "--reason", "for the picture"]
            subprocess.run([*midas, "promote", file.stem, *shared, *forced], cwd=ROOT, check=False, capture_output=True)
        replay = ["--replay", "sample", "--speed", "64", "--kb", folder + "/none"]
        for mode in ("live", "pipeline", "learnings", "alerts", "book", "discovery"):
            args = replay if mode in ("live", "alerts") else shared
            if mode == "discovery":  # a session on the sample, run to its end
                args, seconds = ["--kb", str(base), "--data", "sample"], 60.0
            for size in ("80x24", "160x45"):
                # To the column that has something; the form's own example.
                keys = {"pipeline": "l", "discovery": "r\r"}.get(mode, "")
                take(size, keys, [*args, "--mode", mode], out / f"{mode}-{size}.png", seconds)


def main() -> int:
    """Take them."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--out", type=Path, default=ROOT / "demo_artifacts")
    p.add_argument("--size", action="append", help="columns x lines; may be given again")
    p.add_argument("--name", default="screenshot")
    p.add_argument("--keys", default="", help=r"typed once the program runs; \r is enter")
    p.add_argument("--seconds", type=float, default=8.0, help="how long to let it play")
    p.add_argument("args", nargs="*", help="arguments of midas-tui, after --")
    p.add_argument("--modes", action="store_true", help="every mode at two sizes")
    p.add_argument("--case", action="store_true", help="the played case, a picture a step")
    given = p.parse_args()
    if given.case:
        from played_case import READABLE, play, still

        folder = given.out / "pictures" / "case"
        folder.mkdir(parents=True, exist_ok=True)
        sizes = [tuple(int(part) for part in size.split("x")) for size in given.size or ["80x24", "160x45"]]
        played = max(sizes)
        with Terminal(["--demo"], columns=played[0], lines=played[1]) as terminal:
            for name in play(terminal):
                for columns, lines in sorted(sizes):  # the one it is played at comes last
                    terminal.resize(columns, lines)
                    terminal.drain(READABLE)
                    still(terminal)
                    draw(terminal.screen, folder / f"{name}-{columns}x{lines}.png")
                    print(f"{name}-{columns}x{lines}", flush=True)
        return 0
    if given.modes:
        folder = given.out / "pictures"
        folder.mkdir(parents=True, exist_ok=True)
        every_mode(folder, given.seconds)
        return 0
    given.out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as base:
        args = given.args or ["--replay", "sample", "--speed", "64", "--kb", base]
        for size in given.size or ["80x24", "160x45"]:
            take(size, given.keys, args, given.out / f"{given.name}-{size}.png", given.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
