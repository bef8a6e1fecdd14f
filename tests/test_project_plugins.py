"""A package from outside adds operators, an agent, a rule, a researcher and a verb; a broken one is one warning."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.helpers_cli import ROOT, Ran

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE = ROOT / "examples" / "midas-sample-plugin"
FILE = str(ROOT / "tests" / "data" / "gravestone_funding_BTCUSDT.csv")
TAKEN = "from midas_engine.dsl.registry import OPERATORS\nTHING = OPERATORS['ts_mean']"  # a name that is there


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, built and installed into a folder of its own."""
    target = tmp_path_factory.mktemp("site")
    wheels = tmp_path_factory.mktemp("wheels")
    build = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(wheels)], cwd=SAMPLE, check=True, capture_output=True)
    (wheel,) = wheels.glob("*.whl")
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(target)], check=True)
    return target


def _python(site: Path, *args: str) -> Ran:
    """A fresh interpreter that finds the folder's distributions."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(site)])}
    command = [sys.executable, *args]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=110, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)


def _midas(site: Path, *args: str) -> Ran:
    return _python(site, "-m", "midas", *args)


def test_all_are_listed_and_work(installed: Path) -> None:
    listed = _midas(installed, "plugins", "--check", "--json")
    assert listed.code == 0, listed.out + listed.err
    found = {(p["group"], p["name"]): p for p in listed.document["plugins"]}
    assert {group for group, _ in found} == {
        "midas.operators", "midas.agents", "midas.rules", "midas.researchers", "midas.verbs", "midas.screens",
        "midas.importers",
    }  # fmt: skip
    assert {p["problem"] for p in found.values()} == {None}
    assert {p["version"] for p in found.values()} == {"0.1.0"}


def test_its_verb_and_its_operators_are_there(installed: Path) -> None:
    assert "From plug-ins" in _midas(installed, "--help").out
    said = _midas(installed, "sample")
    assert (said.code, "operators" in said.out) == (0, True)
    assert "softsign" in _midas(installed, "dsl", "list").out
    explained = _midas(installed, "dsl", "explain", "ts_range(close, 24) / close")
    assert explained.code == 0, explained.err


def test_its_layout_reads_a_file(installed: Path, tmp_path: Path) -> None:
    rows = [f"2024-01-0{d} {h:02d}:00:00+00:00,{100 + h}" for d in (1, 2) for h in range(24)]
    (tmp_path / "BTCUSDT-1h.csv").write_text("time,last_px\n" + "\n".join(rows))
    args = ("data", "import", str(tmp_path / "BTCUSDT-1h.csv"), "--out", str(tmp_path / "out"), "--json")
    done = _midas(installed, *args)
    assert done.code == 0, done.out + done.err
    assert [c["column"] for c in done.document["panel"]["columns"]][:1] == ["close"]
    assert _midas(tmp_path, *args).code == 3  # without the package nobody knows the column


def test_both_engines_run_its_operators_alike(installed: Path) -> None:
    code = """
import numpy as np
from midas_engine.dsl import FeatureEngine, StreamEngine
from midas_engine.market import load_panel
panel = load_panel("sample")
text = "softsign(ts_zscore(close, 24)) + ts_range(close, 24) / close"
whole = FeatureEngine(panel).values(text)[:200]
stream = StreamEngine({"f": text}, tuple(panel.fields), panel.symbols)
steps = [stream.update({n: c[t] for n, c in panel.fields.items()})["f"] for t in range(200)]
assert np.array_equal(whole, np.stack(steps), equal_nan=True)
assert np.isfinite(whole[-1]).any()
"""
    done = _python(installed, "-c", code)
    assert done.code == 0, done.err


def test_its_researcher_runs_a_session_and_the_ledger_names_the_package(installed: Path, tmp_path: Path) -> None:
    base = tmp_path / "kb"
    done = _midas(
        installed, "discover", "a list", "--provider", "listed", "--data", "sample", "--kb", str(base), "--json",
        "--iterations", "1",
    )  # fmt: skip
    assert done.code == 0, done.out[-2000:] + done.err
    code = """
import json, sys
from midas_engine.evaluator.trials.ledger import TrialLedger
with TrialLedger(sys.argv[1], read_only=True) as ledger:
    scored = [t for t in ledger.history() if t.outcome == "scored"]
print(json.dumps([[t.canonical, t.summary.get("plugins", {})] for t in scored]))
"""
    rows = _python(installed, "-c", code, str(base / "journal.sqlite")).document
    assert len(rows) == 3
    for canonical, plugins in rows:
        assert plugins["sample_size"] == "midas-sample-plugin 0.1.0"  # its agent judged every trial
        assert ("softsign" in plugins) == ("softsign" in canonical)


def test_its_screen_is_a_mode_with_a_key(installed: Path, tmp_path: Path) -> None:
    code = """
import asyncio, sys
from midas_engine.runtime import Runtime
from midas_engine.settings import load_settings
from midas_tui.app import MidasApp

async def run():
    settings = load_settings(flags={"kb": sys.argv[1], "data": "synthetic"})
    app = MidasApp(lambda: Runtime(settings, replay="synthetic"), settings)
    async with app.run_test(size=(100, 30)) as pilot:
        await asyncio.wait_for(app.ready.wait(), 90)
        await pilot.press("7")
        await pilot.pause()
        assert app.current_mode == "sample", app.current_mode
        shown = str(app.screen.query_one("#sample").content)
        assert shown.startswith("sample plug-in: "), shown

asyncio.run(run())
"""
    done = _python(installed, "-c", code, str(tmp_path / "kb"))
    assert done.code == 0, done.err[-3000:]


def _broken(folder: Path, group: str, body: str) -> Path:
    """A distribution whose one entry point is of no use."""
    (folder / "broken_plugin.py").write_text(body)
    info = folder / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\nbroken = broken_plugin:THING\n")
    return folder


@pytest.mark.parametrize(
    ("group", "body", "args"),
    [
        ("midas.operators", "raise RuntimeError('no such library')", ("dsl", "list")),
        ("midas.operators", "THING = 'not an operator'", ("dsl", "list")),
        ("midas.operators", TAKEN, ("dsl", "list")),
        ("midas.agents", "THING = 3", ("evaluate", "close", "--data", "sample")),
        ("midas.importers", "THING = 3", ("data", "check", FILE)),
        ("midas.verbs", "THING = 3", ("--help",)),
        ("midas.verbs", "import nothing_of_the_kind", ("--help",)),
    ],
)  # fmt: skip
def test_a_broken_one_is_one_line_and_stops_nothing(
    tmp_path: Path, group: str, body: str, args: tuple[str, ...]
) -> None:
    site = _broken(tmp_path, group, body)
    done = _midas(site, *args)
    assert done.code in (0, 1), done.err  # 1: the verdict on `close` says no
    notes = [line for line in done.err.splitlines() if "broken" in line]
    assert len(notes) == 1, done.err
    assert notes[0].startswith("note: plug-in broken")
    assert "broken 1.0" in notes[0]
    checked = _midas(site, "plugins", "--check")
    assert checked.code == 1
    assert "works" not in checked.out


def test_a_provider_nobody_has_is_refused_with_those_there_are(installed: Path) -> None:
    done = _midas(installed, "discover", "x", "--provider", "lsited", "--data", "sample")
    assert done.code == 2
    assert "listed" in done.err
