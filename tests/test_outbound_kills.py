"""A kill leaves the process: on disk, sent until it is acknowledged, obeyed once, whatever the far side does."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.clock import ManualClock, WallClock
from midas_engine.errors import LockTimeoutError, SettingsError
from midas_engine.events import FaultReported
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.outbound import Outputs, Source, outputs_of
from midas_engine.outbound.kill_output import KillOutput
from midas_engine.outbound.order import Order
from midas_engine.outbound.outbox import Outbox
from midas_engine.outbound.receiver import OrderReceiver
from midas_engine.outbound.signing import headers
from midas_engine.outbound_settings import OutboundSettings
from midas_engine.promoter import FeaturePromoter
from tests.helpers_cli import ROOT, call_midas, run_midas
from tests.helpers_monitor import START
from tests.helpers_outbound import SECRET, FarSide, source_of
from tests.test_cli_monitor_feed import write as write_bars

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FarSide]:
    monkeypatch.setenv("MIDAS_SECRET_DESK", SECRET)
    side = FarSide(tmp_path)
    yield side
    side.server.close()


def settings_for(where: str, **options: str) -> OutboundSettings:
    return OutboundSettings(
        kills={"desk": where}, options={f"desk.{k}": v for k, v in options.items()}, lease_seconds=0
    )


def kill(source: Source, feature: str) -> str:
    return source.kb.kill_file.latch(feature, reason="it fell", actor="operator", at=START, via="command line").id


def states(outputs: Outputs) -> dict[str, str]:
    (output,) = outputs.outputs
    assert isinstance(output, KillOutput)
    return {p.order.key: p.state for p in output.deliveries[0].outbox.posted.values()}


async def until(condition: Any) -> None:
    async with asyncio.timeout(110):
        while not condition():  # noqa: ASYNC110 - what is waited for is a file, or another thread
            await asyncio.sleep(0.005)


async def test_a_kill_of_another_process_is_sent_signed_and_acknowledged(tmp_path: Path, far: FarSide) -> None:
    source = source_of(tmp_path / "kb")
    outputs = outputs_of(settings_for(f"webhook:{far.server.url}/orders"), source)
    await outputs.start()
    key = kill(source, "carry")
    await until(lambda: states(outputs) == {key: "acknowledged"})
    await outputs.close()
    assert far.effects == [(key, "kill", "carry")]
    assert far.receiver.stopped == {"carry"}
    again = Outbox(tmp_path / "kb" / "outbound" / "desk.log")
    again.load()
    assert [(p.order.feature, p.state) for p in again.posted.values()] == [("carry", "acknowledged")]


@pytest.mark.parametrize("fault", ["down", "silent", "empty", "wrong", "forged", "double"])
async def test_a_far_side_that_fails_or_lies_is_asked_until_it_obeyed_once(
    tmp_path: Path, far: FarSide, fault: str
) -> None:
    source = source_of(tmp_path / "kb")
    faults = source.bus.subscribe("test", FaultReported)
    far.fault = [fault] * (1 if fault == "double" else 2)
    key = kill(source, "carry")  # before anything ran
    outputs = outputs_of(settings_for(f"webhook:{far.server.url}"), source)
    await outputs.start()
    await until(lambda: states(outputs) == {key: "acknowledged"})
    told = 0 if fault == "double" else 2  # once that it fails, once that it works again
    await until(lambda: faults.stats.depth == told)
    await outputs.close()
    assert far.effects == [(key, "kill", "carry")]
    assert not far.fault


async def test_while_it_is_not_acknowledged_it_is_shown_since_when_and_why(
    tmp_path: Path, far: FarSide, capsys: Any
) -> None:
    source = source_of(tmp_path / "kb")
    far.fault = ["empty"] * 1000
    kill(source, "carry")
    outputs = outputs_of(settings_for(f"webhook:{far.server.url}"), source)
    await outputs.start()
    await until(lambda: "empty" in far.met)
    await until(lambda: outputs.status()["kills"]["desk"]["failing_since"])
    await outputs.close()
    shown = call_midas(capsys, "kills", "--kb", str(tmp_path / "kb"), "--json").document
    side = shown["far_sides"]["desk"]
    assert (side["pending"], side["delivered"], side["acknowledged"]) == (0, 1, 0)
    assert side["failing_since"]
    assert "without an acknowledgement" in side["why"]
    assert [k["feature"] for k in shown["kills"]] == ["carry"]
    assert "delivered" in call_midas(capsys, "kills", "--kb", str(tmp_path / "kb")).out
    assert "1 delivered" in call_midas(capsys, "status", "--kb", str(tmp_path / "kb")).out


async def test_a_redeploy_ends_it_and_a_lost_or_damaged_record_never_does(tmp_path: Path, far: FarSide) -> None:
    source = source_of(tmp_path / "kb")
    key = kill(source, "carry")
    settings = settings_for(f"webhook:{far.server.url}")
    outputs = outputs_of(settings, source)
    await outputs.start()
    await until(lambda: states(outputs) == {key: "acknowledged"})
    log = tmp_path / "kb" / "kills.log"
    kept = log.read_bytes()
    log.write_bytes(kept[:-9] + b"?" + kept[-8:])
    (output,) = outputs.outputs
    assert isinstance(output, KillOutput)
    await output.look()
    log.unlink()
    await output.look()
    assert len(states(outputs)) == 1
    log.write_bytes(kept)
    source.kb.kill_file.let_live("carry", reason="", actor="operator", at=START)
    await until(lambda: states(outputs).get(f"{key}:live") == "acknowledged")
    await outputs.close()
    assert [e[1:] for e in far.effects] == [("kill", "carry"), ("live", "carry")]
    assert far.receiver.stopped == set()


async def test_pause_and_resume_go_out_and_only_where_they_concern(tmp_path: Path, far: FarSide) -> None:
    promoter = FeaturePromoter(source_of(tmp_path / "kb").kb)
    for name in ("carry", "trend"):
        promoter.save_candidate(FeatureRecord(name, f"ts_mean(close, {len(name)})", FeatureState.CANDIDATE))
        promoter.promote(name, "test", force=True)
    source = source_of(tmp_path / "kb")
    outputs = outputs_of(settings_for(f"webhook:{far.server.url}", features="car*"), source)
    await outputs.start()
    promoter.pause("trend")
    promoter.pause("carry")
    await until(lambda: len(far.effects) == 1)
    promoter.resume("carry")
    await until(lambda: len(far.effects) == 2)
    promoter.close()
    await outputs.close()
    assert [e[1:] for e in far.effects] == [("pause", "carry"), ("resume", "carry")]


async def test_a_damaged_outbox_is_set_aside_and_sent_again_and_obeyed_once(tmp_path: Path, far: FarSide) -> None:
    source = source_of(tmp_path / "kb")
    key = kill(source, "carry")
    for turn in range(2):
        outputs = outputs_of(settings_for(f"webhook:{far.server.url}"), source)
        await outputs.start()
        await until(lambda o=outputs: states(o) == {key: "acknowledged"})
        await outputs.close()
        box = tmp_path / "kb" / "outbound" / "desk.log"
        if not turn:
            box.write_bytes(box.read_bytes().replace(b"carry", b"merry"))
    assert far.effects == [(key, "kill", "carry")]
    assert list(box.parent.glob("desk.log.damaged-*"))


async def test_one_process_sends(tmp_path: Path, far: FarSide) -> None:
    source = source_of(tmp_path / "kb")
    settings = settings_for(f"webhook:{far.server.url}")
    first, second = outputs_of(settings, source), outputs_of(settings, source_of(tmp_path / "kb"))
    await first.start()
    with pytest.raises(LockTimeoutError, match="already has a sender"):
        await second.start()
    await first.close()
    await second.start()
    await second.close()


async def test_a_file_is_written_once_and_waits_for_its_reader(tmp_path: Path) -> None:
    source, path = source_of(tmp_path / "kb"), tmp_path / "orders.jsonl"
    key = kill(source, "carry")
    path.write_text('{"key": "unfini')  # a crash
    for _ in range(2):  # and after a restart no second line
        outputs = outputs_of(settings_for(f"file:{path}"), source)
        await outputs.start()
        await until(lambda o=outputs: states(o) == {key: "delivered"})
        await outputs.close()
    lines = path.read_text().splitlines()
    assert len(lines) == 2
    assert json.loads(lines[1])["feature"] == "carry"
    (tmp_path / "orders.jsonl.acks").write_text(f"{key}\n")
    outputs = outputs_of(settings_for(f"file:{path}"), source)
    await outputs.start()
    await until(lambda: states(outputs) == {key: "acknowledged"})
    await outputs.close()


async def test_a_program_gets_the_order_and_no_key_of_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-others-0123456789")
    seen = tmp_path / "seen.json"
    script = tmp_path / "stop.py"
    script.write_text(
        "import json, os, pathlib, sys\n"
        f"seen = pathlib.Path({str(seen)!r})\n"
        "first = not seen.exists()\n"
        "seen.write_text(json.dumps([json.load(sys.stdin), dict(os.environ)]))\n"
        "sys.exit('not yet' if first else 0)\n"
    )
    source = source_of(tmp_path / "kb")
    key = kill(source, "carry")
    outputs = outputs_of(settings_for(f"command:{sys.executable} {script}"), source)
    await outputs.start()
    await until(lambda: states(outputs) == {key: "acknowledged"})
    await outputs.close()
    order, environ = json.loads(seen.read_text())
    assert (order["feature"], order["action"], environ["MIDAS_ORDER_KEY"]) == ("carry", "kill", key)
    assert "OPENAI_API_KEY" not in environ


async def test_a_heartbeat_holds_and_its_end_is_told_once(tmp_path: Path, far: FarSide) -> None:
    source = source_of(tmp_path / "kb")
    settings = replace(settings_for(f"webhook:{far.server.url}"), lease_seconds=30.0)
    outputs = outputs_of(settings, source)
    await outputs.start()
    await until(lambda: far.receiver._lease_until is not None)
    await outputs.close()
    assert far.receiver.check_lease()

    clock, ended = ManualClock(START), []
    receiver = OrderReceiver(SECRET, tmp_path / "other.log", lambda order: None, clock, lambda: ended.append("hold"))
    assert receiver.check_lease()  # no lease was ever given
    body = json.dumps({"key": "lease:1", "action": "lease", "seconds": 30}).encode()
    assert receiver.receive(headers(SECRET, str(START.timestamp()), "n", "lease:1", body), body)[0] == 200
    clock.advance(29)
    assert receiver.check_lease()
    clock.advance(2)
    assert not receiver.check_lease()
    assert not receiver.check_lease()
    assert ended == ["hold"]


def test_the_receiver_refuses_what_is_forged_old_or_replayed_and_passes_over_what_is_late(tmp_path: Path) -> None:
    clock, obeyed = ManualClock(START), []
    path = tmp_path / "received.log"
    receiver = OrderReceiver(SECRET, path, lambda order: obeyed.append(order.key), clock)

    def post(order: Order, nonce: str, secret: str = SECRET, at: float = 0.0) -> int:
        body = json.dumps(order.document("desk")).encode()
        stamp = str(START.timestamp() + at)
        return receiver.receive(headers(secret, stamp, nonce, order.key, body), body)[0]

    order = Order("k1", 7, "kill", "carry")
    assert post(order, "a", secret="x" * 32) == 401
    assert post(order, "b", at=-301) == 401
    assert post(order, "c") == 200
    assert post(order, "c") == 409
    assert post(order, "d") == 200
    assert post(Order("k0", 6, "resume", "carry"), "e") == 200  # it was overtaken: the kill holds
    assert receiver.receive({}, b"x" * 1_000_001)[0] == 413
    assert obeyed == ["k1"]
    assert receiver.stopped == {"carry"}
    again = OrderReceiver(SECRET, path, lambda order: obeyed.append(order.key), clock)
    assert again.stopped == {"carry"}
    assert obeyed == ["k1"]


def test_the_receiver_obeys_at_its_start_what_a_crash_interrupted(tmp_path: Path) -> None:
    clock, path = ManualClock(START), tmp_path / "received.log"

    def die(order: Order) -> None:
        raise KeyboardInterrupt

    receiver = OrderReceiver(SECRET, path, die, clock)
    body = json.dumps(Order("k1", 7, "kill", "carry").document("desk")).encode()
    with pytest.raises(KeyboardInterrupt):
        receiver.receive(headers(SECRET, str(START.timestamp()), "a", "k1", body), body)
    obeyed: list[str] = []
    OrderReceiver(SECRET, path, lambda order: obeyed.append(order.key), clock)
    assert obeyed == ["k1"]


@pytest.mark.parametrize(
    ("line", "options", "wanted"),
    [
        ("webhok:https://a.example", {}, "webhook"),
        ("webhook:ftp://a.example", {}, "no address of a web server"),
        ("webhook:http://a.example/x", {}, "clear text"),
        ("webhook:https://me:pw@a.example/x", {}, "user name"),
        ("webhook:https://a.example", {"featured": "x"}, "features"),
        ("webhook:https://${NOT_SET_ANYWHERE}/x", {}, "NOT_SET_ANYWHERE"),
        ("command:/no/such/program", {}, "no program"),
        ("file:/no/such/folder/x.jsonl", {}, "no folder"),
        ("nothing", {}, "no address"),
    ],
)
def test_what_cannot_be_used_is_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, options: dict[str, str], wanted: str
) -> None:
    monkeypatch.setenv("MIDAS_SECRET_DESK", SECRET)
    with pytest.raises(SettingsError, match=wanted):
        outputs_of(settings_for(line, **options), source_of(tmp_path / "kb"))


def test_no_secret_no_webhook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = source_of(tmp_path / "kb")
    for value in ("", "short"):
        monkeypatch.setenv("MIDAS_SECRET_DESK", value)
        with pytest.raises(SettingsError, match="MIDAS_SECRET_DESK"):
            outputs_of(settings_for("webhook:https://a.example"), source)


def test_nothing_is_sent_until_it_is_set(tmp_path: Path) -> None:
    assert not outputs_of(OutboundSettings(), Source(None, None, WallClock()))  # type: ignore[arg-type]
    assert not os.listdir(tmp_path)


def test_a_running_monitor_sends_what_the_command_line_kills(tmp_path: Path, far: FarSide) -> None:
    promoter = FeaturePromoter(source_of(tmp_path / "kb").kb)
    promoter.save_candidate(FeatureRecord("carry", "cs_rank(ts_mean(funding_rate, 24))", FeatureState.CANDIDATE))
    promoter.promote("carry", "test", force=True)
    promoter.close()
    write_bars(tmp_path / "bars.parquet", behind=1)
    config = tmp_path / "desk.toml"
    config.write_text(f'[outbound.kills]\ndesk = "webhook:{far.server.url}"\n')
    named = ["--kb", str(tmp_path / "kb"), "--config", str(config), "--data", f"follow:{tmp_path / 'bars.parquet'}"]
    command = [sys.executable, "-m", "midas", "monitor", "--json", *named]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert run.stdout is not None
        for line in run.stdout:  # a slow machine is behind its minute bars: degraded
            if json.loads(line).get("phase") in ("running", "degraded"):
                break
        assert (
            run_midas("kill", "carry", "--yes", "carry", "--reason", "it fell", "--kb", str(tmp_path / "kb")).code == 0
        )
        for _ in range(2000):
            if far.effects:
                break
            threading.Event().wait(0.01)
    finally:
        run.terminate()
        run.communicate(timeout=110)
    assert [e[1:] for e in far.effects] == [("kill", "carry")]


def test_a_small_fault_drill_loses_doubles_and_unlatches_nothing() -> None:
    script = ROOT / "benchmarks" / "torture" / "torture_kills_out.py"
    done = subprocess.run(
        [sys.executable, str(script), "--faults", "48", "--seed", "5"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert "faults 48," in done.stdout
    assert "lost 0, doubled 0, unlatched 0, late taken 0" in done.stdout


def test_the_example_of_a_far_side_obeys_once(tmp_path: Path) -> None:
    script = ROOT / "examples" / "outbound" / "kill_receiver.py"
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script), "--try"], env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["kill carry because its IC is gone", "id-1", "id-1", "stopped: ['carry']"]
