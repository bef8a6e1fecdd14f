"""The program as the shell sees it: start-up, refusals, signals, what it leaves behind."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers_patience import PATIENCE_SECONDS
from helpers_pty import Terminal
from helpers_tui import ScriptedRuntime, fill_base
from midas_engine.service.standing import holder_of
from midas_engine.settings import load_settings
from midas_tui.app import MidasApp

ROOT = Path(__file__).parent.parent
HEAVY = ("numpy", "pandas", "scipy", "numba", "ccxt", "openai", "anthropic", "pyarrow", "matplotlib")
LEFT_ALTERNATE = b"\x1b[?1049l"


def run(*args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "midas_tui", *args], cwd=ROOT, env={**os.environ, **environ}, capture_output=True,
        text=True, timeout=110, check=False,
    )  # fmt: skip


def test_the_first_style_sheet_is_read_with_the_theme_that_is_shown() -> None:
    app = MidasApp(ScriptedRuntime, load_settings(file=None, environ={}, flags={"terminal.theme": "midas-light"}))
    assert app.theme == "midas-light"
    assert app.stylesheet._variables == app.get_css_variables()  # else every sheet is read once more before it shows


async def test_rubbish_is_collected_again_once_something_is_drawn() -> None:
    gc.disable()  # as the command line leaves it while the program is imported
    try:
        app = MidasApp(ScriptedRuntime)
        async with app.run_test():
            await app.ready.wait()
            assert gc.isenabled()
    finally:
        gc.enable()


def test_the_first_paint_imports_nothing_heavy() -> None:
    code = (
        "import asyncio, sys\n"
        "from midas_tui.app import MidasApp\n"
        "async def main():\n"
        "    gate = asyncio.Event()\n"
        "    app = MidasApp(lambda: None)\n"
        "    app._start = gate.wait\n"
        "    async with app.run_test() as pilot:\n"
        "        await pilot.pause()\n"
        f"        print([m for m in {HEAVY!r} if m in sys.modules])\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=110
    )
    assert done.stdout.strip() == "[]"


def test_in_a_pipe_it_says_how_to_run_it_and_exits_2() -> None:
    done = run("--replay", "sample")
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr


def test_help_names_every_option_it_has_and_no_other() -> None:
    done = run("--help")
    assert done.returncode == 0
    for option in ("--kb", "--data", "--replay", "--synthetic", "--speed", "--paused", "--read-only", "--ascii",
                   "--theme", "--config", "--mode", "--serve", "--port", "--allow-actions", "--sessions",
                   "--public-url"):  # fmt: skip
        assert option in done.stdout
    examples = re.findall(r"^  midas-tui (.*?)(?: {2,}|$)", done.stdout, re.MULTILINE)
    from midas_tui.cli import parser

    for example in examples:
        parser().parse_args(example.split())


def test_a_wrong_setting_is_named_with_its_nearest_match(tmp_path: Path) -> None:
    config = tmp_path / "midas.toml"
    config.write_text("[terminal]\nthem = 'x'\n")
    done = run("--config", str(config))
    assert done.returncode != 0
    assert "theme" in done.stderr


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from midas_engine.kb import KnowledgeBase

    path = tmp_path_factory.mktemp("base") / "kb"
    KnowledgeBase(path)
    return path


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_signals_restore_the_terminal(base: Path, name: str, code: int) -> None:
    with Terminal(["--kb", str(base), "--data", "sample-1m"]) as terminal:
        terminal.until("nothing is live")
        os.kill(terminal.pid, getattr(signal, name))
        assert terminal.wait() == code
        assert LEFT_ALTERNATE in terminal.raw


@pytest.mark.parametrize("hung_up", [True, False], ids=["told", "told-nothing"])
def test_a_closed_window_ends_the_program_and_lets_go_of_the_base(base: Path, hung_up: bool) -> None:
    ignoring = "import signal, sys; from midas_tui.cli import main; real = signal.signal\n"
    ignoring += "signal.signal = lambda n, h: real(n, signal.SIG_IGN if n == signal.SIGHUP else h)\nsys.exit(main())"
    program = ("-m", "midas_tui") if hung_up else ("-c", ignoring)
    with Terminal(["--kb", str(base), "--data", "sample-1m"], program=program) as terminal:
        terminal.until("nothing is live")
        os.close(terminal.file)
        terminal.file = os.open(os.devnull, os.O_RDONLY)
        end = time.monotonic() + PATIENCE_SECONDS
        ended, status = 0, 0
        while not ended and time.monotonic() < end:
            ended, status = os.waitpid(terminal.pid, os.WNOHANG)
            time.sleep(0.05)
        assert ended, "it goes on without a terminal"
        terminal.status = status
    assert os.waitstatus_to_exitcode(status) == 129
    assert not holder_of(base)


def test_a_resize_storm_ctrl_c_and_quit(base: Path) -> None:
    with Terminal(["--kb", str(base), "--data", "sample-1m"]) as terminal:
        terminal.until("nothing is live")
        for size in [(20, 5), (300, 80), (59, 15), (80, 24), (160, 45), (60, 16)] * 3:
            terminal.resize(*size)
            terminal.drain(0.02)
        terminal.resize(80, 24)
        terminal.until("nothing is live")
        terminal.send("\x03")
        terminal.until("q quits")
        terminal.send("q")
        assert terminal.wait() == 0
        assert LEFT_ALTERNATE in terminal.raw


def test_no_color_is_obeyed(base: Path) -> None:
    environ = {"NO_COLOR": "1"}
    with Terminal(["--kb", str(base), "--data", "sample-1m"], environ=environ) as terminal:
        terminal.until("nothing is live")
        raw = bytes(terminal.raw)
        terminal.send("\x11")
        assert terminal.wait() == 0
    colours = {tuple(int(v) for v in m.groups()) for m in re.finditer(rb"[34]8;2;(\d+);(\d+);(\d+)", raw)}
    assert all(max(c) - min(c) <= 1 for c in colours), colours  # grey at most


def test_ascii_sends_no_byte_beyond_it(base: Path) -> None:
    """Frames are drawn by Textual and signs by many: what counts is what reaches the terminal, in every mode."""
    args = ["--replay", "synthetic", "--paused", "--ascii", "--kb", str(base)]
    with Terminal(args, columns=120, lines=32) as terminal:
        terminal.until("funding_carry")
        for key in "234561?":
            terminal.send(key)
            terminal.drain(0.7)
        assert "+- " in terminal.text
        assert {chr(byte) for byte in terminal.raw if byte > 126} == set()


def test_a_locale_without_unicode_gets_ascii(base: Path) -> None:
    environ = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with Terminal(["--kb", str(base), "--data", "sample-1m"], environ=environ) as terminal:
        terminal.until("nothing is live")
        terminal.send("\x11")
        assert terminal.wait() == 0
        raw = bytes(terminal.raw)
    assert not any(byte > 126 for byte in raw.replace(b"\x7f", b"")), "a byte beyond ASCII"


def test_ctrl_z_gives_the_shell_back(base: Path) -> None:
    with Terminal(["--kb", str(base), "--data", "sample-1m"]) as terminal:
        terminal.until("nothing is live")
        before = terminal.raw.count(LEFT_ALTERNATE)
        terminal.send("\x1a")
        terminal.drain(1.0)
        assert terminal.raw.count(LEFT_ALTERNATE) > before
        os.kill(terminal.pid, signal.SIGCONT)
        terminal.drain(0.5)
        terminal.send("\x11")
        assert terminal.wait() == 0


def test_reason_tab_and_name_written_without_a_pause_all_arrive(tmp_path: Path) -> None:
    """A fast typist, a slow link and a paste of the terminal's write them in one: the second line was left empty."""
    kb = fill_base(tmp_path / "kb").path
    with Terminal(["--kb", str(kb), "--data", "sample-1m", "--mode", "pipeline"]) as terminal:
        terminal.until(lambda text: "momentum_24h" in text or "carry_slow" in text)
        terminal.press_until("l", "momentum_24h")
        terminal.send("K")
        terminal.until("type momentum_24h to confirm")
        terminal.drain(0.6)  # somebody reads
        terminal.send("\tno longer works\tmomentum_24h")
        terminal.until(lambda text: "no longer works" in text and "type momentum_24h" not in text)
        assert (kb / "knowledge/features/deployed/momentum_24h.md").is_file()
        terminal.send("\r")
        terminal.until(lambda text: not (kb / "knowledge/features/deployed/momentum_24h.md").exists())
        assert "no longer works" in (kb / "knowledge/features/archived/momentum_24h.md").read_text(encoding="utf-8")
        terminal.send("\x11")
        assert terminal.wait() == 0
