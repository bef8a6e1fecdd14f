"""The same answer on every machine: locale, time zone, hash seed, no home, no SDK, no network."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.helpers_cli import ROOT

if TYPE_CHECKING:
    from pathlib import Path

VERDICT = ("evaluate", "cs_rank(ts_mean(funding_rate, 24))", "--data", "synthetic:3", "--json")
MATRIX = {
    "kathmandu": {"TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "1"},
    "plain C locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONHASHSEED": "2"},
    "optimised": {"PYTHONOPTIMIZE": "1"},
    "colours forced": {"FORCE_COLOR": "1", "TERM": "dumb"},
}
# What a machine without the SDKs and without a network looks like from inside.
BARE = """
import socket, sys
for name in ("openai", "anthropic", "ccxt", "textual", "rich", "matplotlib"):
    sys.modules[name] = None
def refuse(*args, **kwargs):
    raise OSError(101, "Network is unreachable")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
from midas_engine.cli import main
main(sys.argv[1:])
"""


def _run(arguments: tuple[str, ...], env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **env},  # HOME is not among them
        capture_output=True,
        check=False,
    )


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    done = _run(("-m", "midas", *VERDICT), {"PYTHONHASHSEED": "0"}, tmp_path_factory.mktemp("reference"))
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", MATRIX)
def test_a_verdict_is_the_same_everywhere(name: str, reference: bytes, tmp_path: Path) -> None:
    done = _run(("-m", "midas", *VERDICT), MATRIX[name], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == reference
    assert done.stderr == b""
    assert list(tmp_path.iterdir()) == []  # a question leaves nothing behind


def test_no_sdk_no_network_no_terminal_library(reference: bytes, tmp_path: Path) -> None:
    done = _run(("-c", BARE, *VERDICT), {}, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == reference


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_documents_are_private_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    code = f"import os; os.umask({umask}); from midas_engine.kb import KnowledgeBase; KnowledgeBase('kb')"
    done = _run(("-c", code), {}, tmp_path)
    assert done.returncode == 0, done.stderr
    for path in (tmp_path / "kb").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
