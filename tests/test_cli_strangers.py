"""What a stranger types at backup, restore, attest, verify, signals, keys and report: refused in words."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.clock import WallClock
from midas_engine.errors import KnowledgeBaseError, MidasError
from midas_engine.kb.atomic import atomic_write
from midas_engine.kb.locks import Claim
from midas_engine.market.durable import write_durably
from midas_engine.outbound.proof import FILE, ProofChain
from midas_engine.outbound.signal_log import FOLDER, SignalLog
from midas_engine.secret_keeping import keep_secret
from tests.helpers_cli import ROOT, call_midas
from tests.helpers_service import make_desk

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base with three hours of signals and a proof of two entries."""
    kb = make_desk(tmp_path_factory.mktemp("strangers"), bars=30) / "kb"
    log, now = SignalLog(kb / FOLDER), WallClock().now()
    for hours in (4, 3, 2):
        log.append({"bar": (now - timedelta(hours=hours)).isoformat(), "bar_seconds": 3600})
    chain = ProofChain(kb / FILE)
    chain.open()
    spec = {"kind": "spec", "feature": "carry", "expression": "close", "at": now.isoformat()}
    chain.append([{**spec, "version": 1}, {**spec, "version": 2}])
    return kb


def test_nothing_that_is_written_replaces_a_pipe_or_a_device(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # as root, a rename over /dev/null would succeed as well
    told = call_midas(capsys, "attest", "--kb", str(base), "--out", str(pipe))
    assert (told.code, "it is a named pipe" in told.err) == (6, True)
    with pytest.raises(KnowledgeBaseError, match="named pipe"):
        atomic_write(pipe, b"x")
    with pytest.raises(OSError, match="named pipe"):
        write_durably(pipe, lambda stream: stream.write(b"x"))
    monkeypatch.setenv("MIDAS_KEY_FILE", str(pipe))
    with pytest.raises(MidasError, match="named pipe"):
        keep_secret("MIDAS_SECRET_BOT", "0123456789abcdef", in_keyring=False)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(tmp_path.iterdir()) == [pipe]


def test_a_proof_is_handed_out_beside_the_base_and_an_empty_one_proves_nothing(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (base / FILE).read_bytes()
    for out, words in ((base / FILE, "lies in the base"), (tmp_path / "no" / "proof", "there is no folder")):
        told = call_midas(capsys, "attest", "--kb", str(base), "--out", str(out))
        assert (told.code, words in told.err) == (2, True)
    assert (base / FILE).read_bytes() == before
    proof, empty, noise = tmp_path / "proof.jsonl", tmp_path / "empty", tmp_path / "noise"
    assert call_midas(capsys, "attest", "--kb", str(base), "--out", str(proof)).code == 0
    empty.write_bytes(b"")
    noise.write_bytes(bytes(range(256)) * 9)
    told = call_midas(capsys, "verify", str(empty))
    assert (told.code, told.out.splitlines()[:2]) == (1, ["NOT VERIFIED", "  it holds no entry"])
    for head, words in ((proof, "names a proof"), (noise, "is no head"), ("x" * 5000, "is no head")):
        told = call_midas(capsys, "verify", str(proof), "--head", str(head))
        assert (told.code, words in told.err, len(told.err) < 400) == (2, True, True)
    assert call_midas(capsys, "verify", str(proof)).code == 0


def test_a_backup_lies_outside_and_a_folder_of_other_things_is_never_set_aside(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, kb = tmp_path / "b.tar.gz", ["--kb", str(base)]
    for place, words in ((base / "b.tar.gz", "lies in the base"), (tmp_path / "no" / "b", "there is no folder")):
        told = call_midas(capsys, "backup", str(place), *kb)
        assert (told.code, words in told.err) == (6, True)
    assert call_midas(capsys, "backup", str(file), *kb).code == 0
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    monkeypatch.chdir(mine)
    for given in (str(mine), ".", "/"):
        told = call_midas(capsys, "restore", str(file), "--kb", given)
        assert (told.code, "no knowledge base" in told.err) == (6, True)
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]
    (mine / "thesis.txt").unlink()
    assert call_midas(capsys, "restore", str(file), "--kb", ".").code == 0
    assert (mine / "schema.json").is_file()
    (mine / "journal.sqlite").write_text("no journal")
    told = call_midas(capsys, "backup", str(tmp_path / "c"), "--kb", str(mine))
    assert (told.code, "journal.sqlite: file is not a database" in told.err) == (6, True)


@pytest.mark.parametrize(
    ("since", "numbers"),
    [
        ("0", [1, 2, 3]),
        ("2", [3]),
        ("99", []),
        ("150m", [2, 3]),
        ("1d", [1, 2, 3]),
        ("1m", []),
        ("2020-01-01", [1, 2, 3]),
    ],
)
def test_signals_are_asked_for_by_number_or_by_time(
    base: Path, capsys: pytest.CaptureFixture[str], since: str, numbers: list[int]
) -> None:
    told = call_midas(capsys, "signals", "--kb", str(base), "--since", since)
    assert told.code == 0
    assert [json.loads(line)["sequence"] for line in told.out.splitlines()] == numbers
    assert ("nothing is on record after" in told.err) is not bool(numbers)


@pytest.mark.parametrize("since", ["abc", "-1", "2999-01-01", "1.5", "9" * 30, ""])
def test_a_since_that_is_neither_is_said(base: Path, capsys: pytest.CaptureFixture[str], since: str) -> None:
    told = call_midas(capsys, "signals", "--kb", str(base), "--since", since)
    assert (told.code, "give a number of the record, as in 120, or 12h" in told.err) == (2, True)


def test_a_base_that_may_not_be_written_is_looked_at_and_refuses_a_change_by_name(base: Path, tmp_path: Path) -> None:
    kb, bars = tmp_path / "kb", f"follow:{base.parent / 'bars.parquet'}"
    shutil.copytree(base, kb)
    Claim(kb / "service.lock", "service").release()
    for path in (kb, *kb.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    # who is root may write everywhere, unless that is taken from it
    without = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"] if os.geteuid() == 0 else []
    if without and shutil.which("setpriv") is None:
        pytest.skip("root cannot be kept from writing here")
    verbs = [["status"], ["status", "--healthy"], ["report", "--since", "3d"], ["signals", "--since", "2"]]
    verbs += [["run", "--check", "--data", bars], ["kill", "carry", "--reason", "x", "--yes", "carry"]]
    script = "import sys, json\nfrom midas_engine.cli.entry import run\nfor verb in json.loads(sys.argv[1]):\n"
    script += "    print('code', run([*verb, '--kb', sys.argv[2]]), flush=True)\n"
    done = subprocess.run(
        [*without, sys.executable, "-c", script, json.dumps(verbs), str(kb)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    codes = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("code ")]
    assert (codes[:5], codes[5] in (6, 7)) == ([0, 1, 0, 0, 1], True), done.stdout + done.stderr
    assert "2 promoted: carry, fast" in done.stdout
    assert "it cannot begin now" in done.stdout
    assert "Permission denied" in done.stderr


def test_a_name_that_no_key_has_is_said_and_a_report_makes_no_base(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDAS_KEY_FILE", str(tmp_path / "keys"))
    told = call_midas(capsys, "keys", "OPENAI_KEY")
    assert (told.code, "no key is called 'OPENAI_KEY'" in told.err, "OPENAI_API_KEY" in told.err) == (2, True, True)
    folder: Any = tmp_path / "empty"
    folder.mkdir()
    for verb in (["report"], ["status"], ["signals"], ["kills"], ["runs"], ["attest"], ["report", "--since", "3h"]):
        call_midas(capsys, *verb, "--kb", str(folder))
        assert list(folder.iterdir()) == [], verb
