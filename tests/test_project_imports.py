"""The documented import paths work, and what must be instant imports nothing heavy."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from tests.helpers_cli import ROOT

DOCUMENTED = {
    "midas": ("Midas", "create_midas"),
    "midas.models": (
        "EvaluationResult",
        "MultiAgentResult",
        "Alert",
        "FeatureMetrics",
        "LearningDocument",
        "DailyReport",
        "DiagnoseResult",
    ),
    "midas.kb": ("KnowledgeBase",),
    "midas.evaluator": ("AlphaEvaluator", "MultiAgentEvaluator"),
    "midas.proposer": ("DSLValidator", "ExpressionProposer"),
    "midas.loops": ("OfflineCompoundLoop", "OfflineLoopConfig"),
    "midas.monitor": ("MonitorEngine", "AlertEngine", "DiagnoseAgent", "OnlineMonitor", "decay_detector"),
    "midas.promoter": ("FeaturePromoter",),
    "midas.factory": ("Midas", "create_midas"),
    "midas.llm": ("make_client",),
    "midas.demo": ("run_demo",),
}
HEAVY = ("numpy", "pandas", "scipy", "numba", "pyarrow", "matplotlib", "textual", "rich", "openai", "anthropic", "ccxt")


@pytest.mark.parametrize(("module", "names"), DOCUMENTED.items(), ids=DOCUMENTED.keys())
def test_documented_names_are_the_engines(module: str, names: tuple[str, ...]) -> None:
    face = importlib.import_module(module)
    for name in names:
        assert name in face.__all__
        assert getattr(face, name).__module__.split(".")[0] == "midas_engine"


@pytest.mark.parametrize("module", DOCUMENTED)
def test_the_face_exports_exactly_what_it_lists(module: str) -> None:
    face = importlib.import_module(module)
    assert list(face.__all__) == sorted(face.__all__, key=lambda n: (not n.isupper(), n))
    for name in face.__all__:
        assert getattr(face, name) is not None
    with pytest.raises(AttributeError, match="no public name 'Nothing'"):
        _ = face.Nothing


def _heavy_after(statement: str) -> list[str]:
    code = f"import sys\n{statement}\nprint(*(m for m in {HEAVY!r} if m in sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr.split()


INSTANT = [
    "import midas",
    *(f"import {module}" for module in DOCUMENTED),
    "import midas_engine",
    "import midas_engine.errors, midas_engine.models, midas_engine.events, midas_engine.settings, midas_engine.clock",
    "import midas_engine.bus",
    "import midas_engine.cli",
    "from midas_engine.cli.entry import run; run(['--help'])",
    "from midas_engine.cli.entry import run; run(['evaluate', '--help'])",
    "from midas_engine.cli.entry import run; run(['nonsense'])",
]


@pytest.mark.parametrize("statement", INSTANT)
def test_instant_imports(statement: str) -> None:
    quiet = statement.replace("run([", "import io, contextlib\nwith contextlib.redirect_stderr(io.StringIO()): run([")
    assert _heavy_after(quiet) == []
