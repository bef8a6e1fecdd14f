"""Too little memory is named as that: which panel, how large, what to give up; with an exit code of its own."""

from __future__ import annotations

import errno
import json
import resource
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from midas_engine.cli.entry import EXIT_MEMORY
from midas_engine.cli.entry import __doc__ as codes
from midas_engine.errors import EvaluationError
from midas_engine.loops import PanelAssessor
from midas_engine.loops.worker import PanelJudge
from midas_engine.market import SyntheticMarket, load_panel
from midas_engine.market.sources import _SAMPLE_SHAPE
from midas_engine.proposer import Proposal
from midas_engine.settings import EvaluationSettings, Settings
from midas_engine.shortage import is_shortage

if TYPE_CHECKING:
    from pathlib import Path


def _limited(megabytes: int, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes * 1_000_000,) * 2)

    return subprocess.run(
        [sys.executable, "-c", "import sys; from midas_engine.cli import main; sys.exit(main())", *words],
        capture_output=True, text=True, cwd=cwd, timeout=110, check=False, preexec_fn=limit, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.parametrize("megabytes", [400, 700])
def test_a_process_with_too_little_memory_says_so(root: Path, tmp_path: Path, megabytes: int) -> None:
    ran = _limited(megabytes, root, "evaluate", "cs_rank(delta(close, 24))", "--kb", str(tmp_path / "none"))
    assert ran.returncode == EXIT_MEMORY == 71, ran.stderr
    assert "not enough memory" in ran.stderr
    assert "fewer symbols" in ran.stderr
    assert "fault in Midas" not in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "the panel of sample has 9,528 bars of 33 symbols in" in ran.stderr
    if megabytes == 400:
        assert "400 MB of address space" in ran.stderr


def test_the_shape_and_size_of_a_panel_that_does_not_fit_are_told(root: Path, tmp_path: Path) -> None:
    panel = SyntheticMarket(3, bars=20_000, symbols=80).panel()
    panel.save(tmp_path / "large.parquet")
    source = str(tmp_path / "large.parquet")
    ran = _limited(1000, root, "evaluate", "cs_rank(close)", "--data", source, "--kb", str(tmp_path / "no"), "--json")
    error = json.loads(ran.stdout)["error"]
    assert error["type"] == "OutOfMemory"
    assert error["exit_code"] == ran.returncode == EXIT_MEMORY
    assert source in error["message"]
    assert "MB" in error["message"]
    assert "columns" in error["message"]


def test_the_shape_of_the_sample_is_what_is_told() -> None:
    panel = load_panel("sample")
    assert (panel.T, panel.S, len(panel.fields)) == _SAMPLE_SHAPE


def test_the_code_is_documented() -> None:
    assert f"| {EXIT_MEMORY} | not enough memory" in (codes or "")


def _numpy_error() -> BaseException:
    try:
        np.empty(2**50)
    except MemoryError as error:
        return error
    raise AssertionError("there was room")


def test_a_lack_of_memory_is_known_in_every_form() -> None:
    import pyarrow as pa

    wrapped = ValueError("the column cannot be read")
    wrapped.__cause__ = pa.lib.ArrowMemoryError("malloc of size 64 failed")
    for error in (
        MemoryError(), _numpy_error(), pa.lib.ArrowMemoryError("x"), wrapped, OSError(errno.ENOMEM, "no"),
        ImportError("lib.so: failed to map segment from shared object"), RuntimeError("can't start new thread"),
    ):  # fmt: skip
        assert is_shortage(error), repr(error)
    for other in (ValueError("x"), OSError(errno.ENOSPC, "full"), BlockingIOError(errno.EAGAIN, "busy"), KeyError(0)):
        assert not is_shortage(other)


async def test_a_candidate_that_does_not_fit_costs_itself_only(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = SyntheticMarket(3, bars=1000, symbols=4).panel()
    assessor = PanelAssessor(panel, Settings(evaluation=EvaluationSettings(workers=0)))
    await assessor.start({})

    def full(*_: Any) -> None:
        raise MemoryError("Unable to allocate 9 GiB")

    monkeypatch.setattr(PanelJudge, "judge", full)
    with pytest.raises(EvaluationError, match=r"not enough memory to judge big.*9 GiB.*1,000 bars of 4 symbols"):
        await assessor.judge(Proposal("big", "close"), "research", 1, {}, {})
    await assessor.close()
