"""The proof: committed bar by bar, checked by a stranger from public bars, and no tampering passes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.torture import torture_proof
from midas_engine.errors import DocumentDamagedError
from midas_engine.events import FaultReported
from midas_engine.outbound.proof import ProofChain, read_head
from midas_engine.outbound.verify import Truth, read_heads, verify
from midas_engine.outbound_settings import OutboundSettings
from midas_engine.runtime import Runtime
from tests.helpers_cli import call_midas
from tests.test_runtime_live import LiveRuntime, market

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.market import Panel

__all__ = ["market"]  # a fixture


async def test_what_a_runtime_commits_a_stranger_verifies(tmp_path: Path, market: Panel, capsys: Any) -> None:
    desk, heads = LiveRuntime(tmp_path, market, bars=650), tmp_path / "heads.jsonl"
    settings = replace(desk.runtime.settings, outbound=OutboundSettings(heads={"safe": f"file:{heads}"}))
    chain = ProofChain(tmp_path / "kb" / "outbound" / "proof.jsonl")
    for bars in (2, 1):  # and over a restart
        desk.seen.clear()
        desk.runtime = Runtime(settings, clock=desk.clock)
        desk.runtime.bus.tap(desk.seen.append)
        async with desk.runtime:
            for _ in range(bars):
                wanted = desk.bars + 1 - 650
                await desk.grow(1)
                await desk.until(lambda w=wanted: chain.path.exists() and _bars(chain) == w)  # type: ignore[misc]
    kb, out = str(tmp_path / "kb"), tmp_path / "proof.jsonl"
    shown = call_midas(capsys, "attest", "--kb", kb, "--out", str(out), "--json").document
    assert (shown["bars"], [s["feature"] for s in shown["specs"]]) == (3, ["carry"])
    market.save(tmp_path / "public.parquet")
    public = ["--data", str(tmp_path / "public.parquet")]
    found = call_midas(capsys, "verify", str(out), *public, "--head", shown["head"], "--json").document
    assert found["faults"] == []
    assert found["verdict"].startswith("verified up to")
    assert (found["signals"], found["recomputed"], found["labels"], found["unchecked"]) == (3, 3, 2, 0)
    assert call_midas(capsys, "verify", str(out), "--head", str(heads)).code == 0
    assert call_midas(capsys, "verify", str(out)).out.startswith("Consistent; without a head")
    out.write_text(out.read_text().replace('"version":1', '"version":2'))
    told = call_midas(capsys, "verify", str(out), "--head", shown["head"])
    assert (told.code, told.out.splitlines()[0]) == (1, "NOT VERIFIED")


async def test_a_head_that_cannot_leave_holds_up_no_commit_and_leaves_when_it_can(
    tmp_path: Path, market: Panel
) -> None:
    desk, well, ill = LiveRuntime(tmp_path, market, bars=650), tmp_path / "well.jsonl", tmp_path / "ill.jsonl"
    ill.mkdir()  # where the file belongs
    heads = {"ill": f"file:{ill}", "well": f"file:{well}"}
    settings = replace(desk.runtime.settings, outbound=OutboundSettings(heads=heads))
    desk.runtime = Runtime(settings, clock=desk.clock)
    desk.runtime.bus.tap(desk.seen.append)
    chain = ProofChain(tmp_path / "kb" / "outbound" / "proof.jsonl")

    def said() -> list[str]:
        faults = [e.message for e in desk.seen if isinstance(e, FaultReported) and e.where == "proof"]
        return [text for text in faults if "leave" in text]

    async with desk.runtime:
        for count in (1, 2, 3):
            await desk.grow(1)
            await desk.until(lambda n=count: chain.path.exists() and _bars(chain) == n)  # type: ignore[misc]
        await desk.until(lambda: bool(said()) and well.exists())
        assert len(said()) == 1, "once, however often it is tried"
        assert f"could not leave to {ill}: " in said()[0]
        assert len(read_heads(well.read_text())) == 1
        ill.rmdir()
        await desk.until(lambda: len(said()) == 2)
        assert said()[1] == f"the head of the proof leaves to {ill} again"
        found = read_heads(ill.read_text())
        assert [head.n for head, _ in found] == [sum(1 for _ in chain.entries())], "the newest, which speaks for all"


def _bars(chain: ProofChain) -> int:
    return sum(entry["kind"] == "signals" for entry in chain.entries())


def test_no_tampering_passes_rebuilt_or_not() -> None:
    tried, missed = torture_proof.tamper(150, seed=3, bars=24)
    assert sum(missed.values()) == 0
    assert sum(count for name, count in tried.items() if "rebuilt" in name) > 50


def test_what_came_after_its_outcome_is_late_or_a_fault() -> None:
    truth = Truth(torture_proof.SyntheticMarket(5).panel())
    chain = torture_proof.chain_of(truth, 400, 5, torture_proof.SPECS)
    assert verify(chain, [], truth).late == 0
    for entry in chain:
        entry["at"] = chain[-1]["at"]  # all of it written at the end
    found = verify(torture_proof.rebuilt(chain), [], truth)
    assert any("when its outcome was known, and does not say so" in fault for fault in found.faults)
    for entry in chain:
        if entry["kind"] == "signals":
            entry["late"] = True
    found = verify(torture_proof.rebuilt(chain), [], truth)
    assert (found.sound, found.late, found.rank_ic) == (True, 4, {})


def test_heads_are_read_and_nonsense_is_none() -> None:
    digest = "a" * 64
    head = read_head(f"7:{digest}\n")
    assert head is not None
    assert (head.n, str(head)) == (7, f"7:{digest}")
    assert read_heads("nonsense") == []
    assert len(read_heads(f'{{"n": 7, "digest": "{digest}", "at": "2026-01-01"}}\n8:{digest}\nrubbish')) == 2
    for hostile in ([None], [[]], [{"kind": "spec"}], [{"kind": "signals", "n": 1, "previous": "0" * 64, "digest": 3}]):
        assert not verify(hostile).sound


def test_a_torn_entry_is_cut_off_and_a_changed_one_refused(tmp_path: Path) -> None:
    chain = ProofChain(tmp_path / "proof.jsonl")
    chain.append([{"kind": "signals", "bar": "b1", "at": "t"}, {"kind": "signals", "bar": "b2", "at": "t"}])
    whole = chain.path.read_bytes()
    chain.path.write_bytes(whole + b'{"kind": "half')
    again = ProofChain(chain.path)
    again.open()
    assert (again.head, again.last["signals"]) == (chain.head, "b2")
    again.append([{"kind": "signals", "bar": "b3", "at": "t"}])
    assert [json.loads(line)["n"] for line in chain.path.read_text().splitlines()] == [1, 2, 3]
    chain.path.write_bytes(whole.replace(b"b1", b"b0"))
    with pytest.raises(DocumentDamagedError):
        ProofChain(chain.path).open()
