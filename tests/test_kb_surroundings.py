"""The same documents whatever surrounds the program: hash order, locale, time zone, umask, no home."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
import os, sys
os.umask(int(sys.argv[2], 8))
sys.path.insert(0, "tests")
from helpers_kb import MEASURED, START, learning, record
from midas_engine.clock import ManualClock
from midas_engine.kb.store import KnowledgeBase
from midas_engine.promoter import FeaturePromoter
kb = KnowledgeBase(sys.argv[1], clock=ManualClock(START))
promoter = FeaturePromoter(kb)
promoter.save_candidate(record(hypothesis="Gr\\u00fc\\u00dfe \\U0001f600", metrics=MEASURED | {"b": 1.5, "a": True}))
promoter.promote("carry", "f\\u00fcr gut")
kb.save_learning(learning("Caf\\u00e9", tags=("b", "a"), body="\\u4e2d\\u6587"))
assert kb.check() == [], kb.check()
assert kb.search("caf\\u00e9")
promoter.close()
"""

SURROUNDINGS = (
    {"PYTHONHASHSEED": "1", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TZ": "America/New_York"},
    {"PYTHONHASHSEED": "2", "LC_ALL": "C.UTF-8", "TZ": "Asia/Kathmandu"},
    {"PYTHONHASHSEED": "3", "LANG": "tr_TR.UTF-8", "TZ": "UTC"},
)


def test_documents_are_the_same_to_the_byte_and_private_everywhere(tmp_path: Path, root: Path) -> None:
    digests = set()
    for number, surroundings in enumerate(SURROUNDINGS):
        for umask in ("000", "077"):
            folder = tmp_path / f"{number}-{umask}"
            environment = {"PATH": os.environ["PATH"], **surroundings}  # no HOME at all
            done = subprocess.run(
                [sys.executable, "-c", SCRIPT, str(folder), umask],
                env=environment,
                cwd=root,
                capture_output=True,
                timeout=110,
                check=False,
            )
            assert done.returncode == 0, done.stderr.decode(errors="replace")
            digest = hashlib.sha256()
            for path in sorted(p for p in folder.rglob("*") if p.is_file()):
                assert path.stat().st_mode & 0o077 == 0, path
                if path.suffix in (".md", ".json"):
                    digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
            assert all(p.stat().st_mode & 0o077 == 0 for p in (folder, *folder.rglob("*")) if p.is_dir())
            digests.add(digest.hexdigest())
    assert len(digests) == 1


def test_opening_a_base_loads_no_heavy_library(tmp_path: Path, root: Path) -> None:
    script = (
        "import sys; from midas_engine.kb import KnowledgeBase, check_name\n"
        "from midas_engine.promoter import FeaturePromoter\n"
        "kb = KnowledgeBase(sys.argv[1]); FeaturePromoter(kb).list_deployed(); kb.learnings(); kb.thresholds()\n"
        "heavy = {'numpy', 'pandas', 'scipy', 'numba', 'watchfiles', 'openai', 'anthropic', 'textual', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    first = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "kb")], cwd=root, capture_output=True, check=True
    )
    again = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "kb")], cwd=root, capture_output=True, check=True
    )
    assert first.returncode == 0
    assert again.stdout.decode().strip() == "[]"
