"""How many source files a contributor touches: one of each kind is added to a copy of the tree, counted, and used.

`docs/extending.md` says the same figures in its table.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.helpers_cli import ROOT

if TYPE_CHECKING:
    from pathlib import Path

MOST = 2
PACKAGES = ("midas", "midas_engine", "midas_tui")
ADDED = ROOT / "tests" / "data" / "extending"


@dataclass(frozen=True)
class Edit:
    """Lines put before or after the one place where `at` stands; without `at` a new file, as in tests/data."""

    file: str
    at: str = ""
    before: str = ""
    after: str = ""

    def apply(self, tree: Path) -> None:
        path = tree / self.file
        if not self.at:
            assert not path.exists()
            shutil.copy(ADDED / path.name, path)
            return
        text = path.read_text(encoding="utf-8")
        assert text.count(self.at) == 1, f"{self.file} holds {self.at!r} {text.count(self.at)} times"
        path.write_text(text.replace(self.at, self.before + self.at + self.after), encoding="utf-8")


OPERATOR = """
register(
    Operator("half", "arithmetic", (series("x"),), "Half of x.", "half(close)", "first", scale="out", odd=True,
             run=lambda args, params, need, state, out: np.multiply(args[0], 0.5, out=out))
)
"""
AGENT = """
        "sample_size": lambda result, line, line_t: AgentVerdict(
            "sample_size", True, 1.0, (check("scored", result.bars_scored, ">=", line["min_scored"]),), "scored"
        ),"""
RULE = """
    Rule("turned", "ic_decay", "ic_30d", "IC", lambda c, t: _levels(c["ic_30d"] < t.turned_ic),
         lambda t, level: t.turned_ic, "the IC of 30 days is {value:.3f}"),"""
LAYOUT = """
    Layout("slots, in tenths", lambda e: "slot" in e.raw.columns and e.has("close"),
           lambda e: [Rows(BARS, e.frame.assign(close=e.frame["close"] / 10))]),"""
SCREEN = """

def _notes() -> type[ModeScreen]:
    from midas_tui.screens.notes import NotesScreen

    return NotesScreen
"""
RESEARCHER = """
        Provider("listed", researcher="midas_engine.proposer.listed:Listed"),"""
PROVIDER = """
        Provider("echo", "", "midas_engine.llm.echo_client:EchoClient", "ECHO_API_KEY", "https://echo.invalid/v1"),"""
LOCAL = '        Provider("local", researcher=_LOCAL),'

EDITS: dict[str, tuple[Edit, ...]] = {
    "operator": (Edit("midas_engine/dsl/operators/arithmetic.py", '_X = (series("x"),)\n', after=OPERATOR),),
    "agent": (
        Edit("midas_engine/evaluator/gates/agents.py", "AGENTS = Agents(\n    {", after=AGENT),
        Edit(
            "midas_engine/evaluator/gates/thresholds.py",
            "DEFAULT_THRESHOLDS: dict[str, dict[str, Any]] = {",
            after='\n    "sample_size": {"min_scored": 10},',
        ),
    ),
    "rule": (
        Edit("midas_engine/monitor/alerts/rules.py", "_OWN: tuple[Rule, ...] = (", after=RULE),
        Edit(
            "midas_engine/monitor/alerts/thresholds.py",
            "    ic_ratio_warning: float = 0.70\n",
            after="    turned_ic: float = -0.10\n",
        ),
    ),
    "layout": (
        Edit("midas_engine/market/importers/columns.py", '"closeprice", "c"', before='"slotpx", '),
        Edit("midas_engine/market/importers/layouts.py", "LAYOUTS = (", after=LAYOUT),
    ),
    "verb": (
        Edit("midas_engine/cli/verbs/tally.py"),
        Edit("midas_engine/cli/app.py", "VERBS = {", after='\n    "tally": f"{_HERE}.tally:tally",'),
    ),
    "screen": (
        Edit("midas_tui/screens/notes.py"),
        Edit("midas_tui/modes.py", "def _pipeline(", before=SCREEN.lstrip() + "\n\n"),
        Edit("midas_tui/modes.py", '    "book": _book,\n', after='    "notes": _notes,\n'),
    ),
    "researcher": (
        Edit("midas_engine/proposer/listed.py"),
        Edit("midas_engine/providers.py", LOCAL, after=RESEARCHER),
    ),
    "provider": (
        Edit("midas_engine/llm/echo_client.py"),
        Edit("midas_engine/providers.py", LOCAL, after=PROVIDER),
    ),
}
# Run in the copy: every new thing is used as a user would.
USE = """
import asyncio, json, os
import numpy as np
from click.testing import CliRunner
from midas_engine.cli.app import app
from midas_engine.dsl import FeatureEngine
from midas_engine.evaluator.gates.agents import AGENTS
from midas_engine.evaluator.gates.thresholds import validate_thresholds
from midas_engine.llm import make_client
from midas_engine.llm.client import ModelRequest
from midas_engine.market import load_panel
from types import SimpleNamespace
from midas_engine.monitor.alerts.rules import all_rules
from midas_engine.monitor.alerts.thresholds import AlertThresholds
from midas_engine.proposer.factory import make_researcher
from midas_engine.settings import load_settings

did = {}
panel = load_panel("slots.csv")
did["layout"] = [panel.T, float(panel.fields["close"][3, 0])]
did["operator"] = float(FeatureEngine(panel).values("half(close)")[3, 0])
line = validate_thresholds({"sample_size": {"min_scored": 5}})["sample_size"]
verdict = AGENTS["sample_size"](SimpleNamespace(bars_scored=7), line, 2.0)
did["agent"] = [verdict.agent, verdict.gates[0].passed]
rule = next(rule for rule in all_rules() if rule.name == "turned")
did["rule"] = rule.grade({"ic_30d": np.array([-0.2, 0.0])}, AlertThresholds()).tolist()
ran = CliRunner().invoke(app, ["tally"])
did["verb"] = [ran.output.strip(), "tally" in CliRunner().invoke(app, ["--help"]).output]
settings = load_settings(flags={"model.provider": "listed"})
proposal = asyncio.run(make_researcher(settings).write(None, None, 1, None))[0]
did["researcher"] = proposal.expression
os.environ["ECHO_API_KEY"] = "sk-echo-0123456789"
client = make_client(load_settings(flags={"model.provider": "echo"}).model)
did["provider"] = [asyncio.run(client.complete(ModelRequest("twice"))).text, client.endpoint.url]

from helpers_tui import press, scripted


async def look():
    async with scripted() as (program, pilot, _):
        await press(pilot, "7")
        did["screen"] = [program.current_mode, str(program.screen.query_one("#notes").render())]


asyncio.run(look())
print(json.dumps(did))
"""


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree with one of each kind added."""
    tree = tmp_path_factory.mktemp("tree")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package)
    for edits in EDITS.values():
        for edit in edits:
            edit.apply(tree)
    return tree


def test_each_takes_at_most_two_source_files() -> None:
    files = {kind: len({edit.file for edit in edits}) for kind, edits in EDITS.items()}
    assert max(files.values()) <= MOST
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| \[(?:\w+ )?(\w+)\]\(#[\w-]+\) \| (\d) \|", page, re.MULTILINE))
    assert told == {kind: str(count) for kind, count in files.items()}


def test_each_works_with_nothing_more(grown: Path, tmp_path: Path) -> None:
    rows = [f"2024-01-01T{h:02d}:00:00Z,1,{1000 + h}" for h in range(24)]
    (tmp_path / "slots.csv").write_text("timestamp,slot,slotpx\n" + "\n".join(rows) + "\n")
    paths = [str(grown), str(ROOT), str(ROOT / "tests")]
    done = subprocess.run(
        [sys.executable, "-c", USE], cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "layout": [24, 100.3],
        "operator": 50.15,
        "agent": ["sample_size", True],
        "rule": [1, 0],
        "verb": ["three", True],
        "screen": ["notes", "noted"],
        "researcher": "half(returns(close, 24))",
        "provider": ["twice", "https://echo.invalid/v1"],
    }
