"""How the tests of the command line call it: in a fresh process, as a user does, or in this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Ran:
    """What one call of `midas` left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output read as one strict JSON document."""

        def refuse(text: str) -> Any:
            raise AssertionError(f"{text} is not JSON")

        return json.loads(self.out, parse_constant=refuse)


def run_midas(
    *args: str, cwd: Path | None = None, env: dict[str, str] | None = None, stdin: str = "", timeout: float = 240
) -> Ran:
    """`midas ARGS` in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-m", "midas", *args],
        cwd=cwd or ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def call_midas(capsys: Any, *args: str) -> Ran:
    """`midas ARGS` in this process, through the same entry."""
    from midas_engine.cli.entry import run

    capsys.readouterr()
    code = run(list(args))
    captured = capsys.readouterr()
    return Ran(code, captured.out, captured.err)
