"""Signals leave at every closed bar: on record first, numbered, chained, once in their file, replayed by number."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from midas_engine.dsl import FeatureEngine
from midas_engine.errors import DocumentDamagedError
from midas_engine.events import FaultReported
from midas_engine.outbound.destination import Address
from midas_engine.outbound.signal_log import FOLDER, START, SignalLog, canonical, digest_of
from midas_engine.outbound.signal_sides import SignalFile, SignalWebhook
from midas_engine.outbound.signing import signature
from midas_engine.outbound_settings import OutboundSettings
from midas_engine.runtime import Runtime
from midas_engine.runtime.live import LiveWatch
from midas_engine.service.vitals import Vitals
from tests.helpers_cli import call_midas
from tests.helpers_outbound import SECRET, Fresh, LoopbackServer, signal_body, signal_log, source_of, until
from tests.helpers_venue import EagerClock
from tests.test_runtime_live import EXPRESSIONS, LiveRuntime, _at, market

if TYPE_CHECKING:
    from pathlib import Path

    from midas_engine.market import Panel

__all__ = ["market"]  # a fixture


def lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines: the last one may be being written."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


async def test_every_bar_goes_out_once_with_the_values_of_research_over_a_restart(
    tmp_path: Path, market: Panel, capsys: Any
) -> None:
    desk, out = LiveRuntime(tmp_path, market, bars=650), tmp_path / "signals.jsonl"
    settings = replace(desk.runtime.settings, outbound=OutboundSettings(signals={"file": f"file:{out}"}))

    async def run(bars: int) -> None:
        desk.runtime = Runtime(settings, clock=desk.clock)
        desk.runtime.bus.tap(desk.seen.append)
        async with desk.runtime:
            await desk.grow(bars)
            wanted = _at(market, desk.bars - 1).isoformat()
            await desk.until(lambda: bool(lines(out)) and lines(out)[-1]["bar"] == wanted)

    await run(2)
    desk.bars += 2  # while nothing ran
    desk.seen.clear()
    await run(1)
    found = lines(out)
    assert [r["sequence"] for r in found] == [1, 2, 3, 4, 5]
    assert [r["bar"] for r in found] == [_at(market, row).isoformat() for row in range(650, 655)]
    values = FeatureEngine(market).values(EXPRESSIONS["carry"])
    for record, row in zip(found, range(650, 655), strict=True):
        said = record["features"]["carry"]
        assert (said["state"], said["version"]) == ("deployed", 1)
        np.testing.assert_allclose(np.array(said["values"], float), values[row], rtol=1e-10)
        assert record["symbols"] == list(market.symbols)
        assert set(record["book"]["weights"]) == {"carry"}
        assert record["digest"] == digest_of(record)
    assert [r["previous"] for r in found] == [START, *(r["digest"] for r in found[:-1])]
    shown = call_midas(capsys, "signals", "--since", "3", "--kb", str(tmp_path / "kb")).out.splitlines()
    assert [json.loads(line) for line in shown] == found[3:]
    beyond = call_midas(capsys, "signals", "--since", "99", "--kb", str(tmp_path / "kb"))
    assert (beyond.code, beyond.out) == (0, "")
    assert "nothing is on record after 99: the newest is 5" in beyond.err


async def test_a_record_that_is_not_written_is_among_what_the_disk_refuses(tmp_path: Path, market: Panel) -> None:
    desk, out = LiveRuntime(tmp_path, market, bars=650), tmp_path / "signals.jsonl"
    settings = replace(desk.runtime.settings, outbound=OutboundSettings(signals={"file": f"file:{out}"}))
    desk.runtime = Runtime(settings, clock=desk.clock)
    desk.runtime.bus.tap(desk.seen.append)
    async with desk.runtime:
        outputs, record = desk.runtime.leaving.outputs, tmp_path / "kb" / FOLDER
        await desk.grow(1)
        await desk.until(lambda: len(lines(out)) == 1)
        assert outputs.unwritten() == ()
        record.rename(tmp_path / "aside")
        record.write_text("in its place")
        await desk.grow(1)
        await desk.until(lambda: outputs.unwritten() == ("the record of signals",))
        assert "the record of signals" in (await Vitals(desk.runtime).look()).unwritten


async def test_a_bar_that_a_crash_kept_off_the_record_is_computed_later_and_none_is_missing(
    tmp_path: Path, market: Panel
) -> None:
    desk, out = LiveRuntime(tmp_path, market, bars=650), tmp_path / "signals.jsonl"
    settings = replace(desk.runtime.settings, outbound=OutboundSettings(signals={"file": f"file:{out}"}))

    async def run(bars: int) -> None:
        desk.runtime = Runtime(settings, clock=desk.clock)
        desk.runtime.bus.tap(desk.seen.append)
        desk.seen.clear()
        async with desk.runtime:
            await desk.grow(bars)
            wanted = _at(market, desk.bars - 1).isoformat()
            await desk.until(lambda: bool(lines(out)) and lines(out)[-1]["bar"] == wanted)

    await run(3)
    # a crash between the monitor's own note of a bar and the record of its signals
    (record,) = (tmp_path / "kb" / FOLDER).iterdir()
    for path in (record, out):
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    desk.bars += 1  # a bar closes before the next start
    await run(1)
    found = lines(out)
    assert [r["bar"] for r in found] == [_at(market, row).isoformat() for row in range(650, 655)]
    assert [r["computed_later"] for r in found] == [False, False, True, False, False]
    assert all(r["book"] is not None for r in found if not r["computed_later"])
    values = FeatureEngine(market).values(EXPRESSIONS["carry"])
    np.testing.assert_allclose(np.array(found[2]["features"]["carry"]["values"], float), values[652], rtol=1e-10)


async def test_a_feed_in_trouble_before_the_watch_begins_ends_no_start(
    tmp_path: Path, market: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, out = LiveRuntime(tmp_path, market, bars=650), tmp_path / "signals.jsonl"
    settings = replace(desk.runtime.settings, outbound=OutboundSettings(signals={"file": f"file:{out}"}))
    desk.runtime = midas = Runtime(settings, clock=desk.clock)
    midas.bus.tap(desk.seen.append)
    begin = LiveWatch.begin

    async def troubled(live: LiveWatch, *given: Any) -> Any:
        midas.feed._feed_fault("clock: it is an hour ahead: bars are taken only where the source proves them closed")
        await midas.pipeline.obey()  # as when a file of the base changes meanwhile
        return await begin(live, *given)

    monkeypatch.setattr(LiveWatch, "begin", troubled)
    async with midas:
        assert any(isinstance(e, FaultReported) and "an hour ahead" in e.message for e in desk.seen)
        assert not any(isinstance(e, FaultReported) and e.where == "bus" for e in desk.seen)
        await desk.grow(1)
        await desk.until(lambda: len(lines(out)) == 1)


def test_a_torn_record_is_cut_off_and_a_changed_one_refused(tmp_path: Path) -> None:
    log = signal_log(tmp_path, 3)
    (path,) = log.folder.iterdir()
    with path.open("ab") as file:
        file.write(b'{"bar": "half')
    again = SignalLog(log.folder)
    again.open()
    assert (again.sequence, again.head) == (3, log.head)
    assert again.append(signal_body(3))["sequence"] == 4
    assert [r["sequence"] for r in again.since(2)] == [3, 4]
    path.write_bytes(path.read_bytes().replace(b"T03:00", b"T05:00"))
    with pytest.raises(DocumentDamagedError):
        SignalLog(log.folder).open()


async def test_a_webhook_that_fails_half_the_time_gets_every_record_in_order_over_restarts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDAS_SECRET_DESK", SECRET)
    monkeypatch.setattr("midas_engine.outbound.signal_sides._FIRST_PAUSE", 0.01)
    taken: list[int] = []
    turns = itertools.count()

    def answer(method: str, path: str, headers: Any, sent: bytes) -> tuple[int, bytes] | None:
        if next(turns) % 2:
            return 500, b""
        stamp, nonce = headers["Midas-Timestamp"], headers["Midas-Nonce"]
        assert headers["Midas-Signature"] == signature(SECRET, stamp, nonce, sent)
        taken.append(json.loads(sent)["sequence"])
        return 200, b""

    source, log, fresh = source_of(tmp_path / "kb"), signal_log(tmp_path, 2), Fresh()
    with LoopbackServer(answer) as server:
        for turn in range(2):
            side = SignalWebhook(Address("desk", "webhook", server.url), source)
            await side.start(log, fresh)
            for number in range(3):
                log.append(signal_body(5 + 3 * turn + number))
            fresh.wake()
            await until(lambda t=turn: taken[-1:] == [5 + 3 * t])
            await until(lambda s=side, t=turn: s.sequence == 5 + 3 * t)
            await side.close()
    assert sorted(set(taken)) == list(range(3, 9))  # from its start on, at least once, in order
    assert taken == sorted(taken)


@pytest.mark.parametrize("failing", [0.5, 0.7])
async def test_a_webhook_that_fails_now_and_then_keeps_up_with_a_record_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: float
) -> None:
    monkeypatch.setenv("MIDAS_SECRET_DESK", SECRET)
    taken: list[int] = []
    times: list[float] = []
    chance, clock = random.Random(5), EagerClock(datetime(2026, 1, 5, tzinfo=UTC))

    def answer(method: str, path: str, headers: Any, sent: bytes) -> tuple[int, bytes] | None:
        if chance.random() < failing:
            return (503, b"") if chance.random() < 0.5 else None
        taken.append(json.loads(sent)["sequence"])
        times.append(clock.monotonic())
        return 200, b""

    source = replace(source_of(tmp_path / "kb"), clock=clock)
    said: list[FaultReported] = []
    source.bus.tap(lambda e: said.append(e) if isinstance(e, FaultReported) else None)
    log, fresh, begin = signal_log(tmp_path, 1), Fresh(), clock.monotonic()
    with LoopbackServer(answer) as server:
        side = SignalWebhook(Address("desk", "webhook", server.url), source)
        await side.start(log, fresh)
        for number in range(40):  # that it missed
            log.append(signal_body(number % 24))
        fresh.wake()
        await until(lambda: side.sequence == 41)
        assert side.status()["waiting"] == 0
        await until(lambda: not side.failing)  # it has been calm since
        await side.close()
    assert taken == list(range(2, 42))
    assert times[-1] - begin < 40.0, f"{times[-1] - begin:.0f} s for 40 records"
    assert [e.severity for e in said] == ["warning", "info"]  # once each, not at each record


async def test_records_that_were_removed_before_a_reader_took_them_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("midas_engine.outbound.signal_log.FILE_BYTES", 1)  # a file a record
    source, log, out = source_of(tmp_path / "kb"), signal_log(tmp_path, 6), tmp_path / "out.jsonl"
    out.write_bytes(canonical(next(log.since(0))) + b"\n")
    for old in sorted(log.folder.iterdir())[:3]:
        old.unlink()
    said: list[FaultReported] = []
    source.bus.tap(lambda e: said.append(e) if isinstance(e, FaultReported) else None)
    side = SignalFile(Address("desk", "file", str(out)), source)
    await side.start(log, Fresh())
    await until(lambda: side.sequence == 6)
    await side.close()
    assert [r["sequence"] for r in lines(out)] == [1, 4, 5, 6]
    assert [(e.severity, e.message) for e in said] == [
        ("critical", "desk: records 2 to 3 were removed before it took them")
    ]


async def test_a_file_of_signals_goes_on_behind_a_torn_line(tmp_path: Path) -> None:
    source, log, out = source_of(tmp_path / "kb"), signal_log(tmp_path, 4), tmp_path / "out.jsonl"
    records = list(log.since(0))
    out.write_bytes(canonical(records[0]) + b"\n" + canonical(records[1])[:20])
    side = SignalFile(Address("desk", "file", str(out)), source)
    await side.start(log, Fresh())
    await until(lambda: side.sequence == 4)
    await side.close()
    assert lines(out) == records
