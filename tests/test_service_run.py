"""`midas run`: what it holds, what it says it would do, and that no end of it costs or doubles an alarm."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from midas_engine.clock import ManualClock, WallClock
from midas_engine.errors import FeedError, LockTimeoutError, SessionError, SettingsError
from midas_engine.service.plan import make_plan
from midas_engine.service.schedule import Schedule
from midas_engine.service.service import Service
from midas_engine.settings import load_settings
from tests.helpers_cli import call_midas, run_midas
from tests.helpers_service import copy_desk, make_desk, plan_of, read_until, settings_of, start_run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_desk(tmp_path_factory.mktemp("service") / "desk")


def _alarms(desk: Path) -> str:
    """The alarms file without those of the feed's silence, which depend on the hour in which the test runs."""
    lines = (desk / "kb" / "service" / "alarms.jsonl").read_text().splitlines()
    return "\n".join(line for line in lines if json.loads(line)["alert_type"] != "feed")


async def test_whatever_ends_it_no_alarm_is_lost_or_doubled(desk: Path, tmp_path: Path) -> None:
    undisturbed, killed = copy_desk(desk, tmp_path / "a"), copy_desk(desk, tmp_path / "b")
    async with Service(plan_of(undisturbed)):
        pass
    wanted = _alarms(undisturbed)
    assert wanted.count('"raised"') > 5
    chance = random.Random(13)
    for number in (signal.SIGKILL, signal.SIGTERM):
        with start_run(killed) as run:
            read_until(run, " running ", lines=chance.randrange(6, 14))
            run.send_signal(number)
    assert _alarms(killed) != wanted  # it was in the middle
    with start_run(killed) as run:
        read_until(run, " running ")
        run.send_signal(signal.SIGTERM)
    assert run.returncode == 143
    assert _alarms(killed) == wanted


async def test_one_base_has_one_service(desk: Path, tmp_path: Path) -> None:
    desk = copy_desk(desk, tmp_path / "desk")
    async with Service(plan_of(desk)) as service:
        with pytest.raises(LockTimeoutError, match="already has a service"):
            await Service(plan_of(desk)).start()
        checked = await asyncio.to_thread(
            run_midas, "run", "--check", "--kb", str(desk / "kb"), "--data", service.plan.settings.data
        )
        assert checked.code == 1
        assert "it cannot begin now" in checked.out


def test_check_says_what_it_would_do_and_does_nothing(desk: Path, tmp_path: Path) -> None:
    settings = tmp_path / "midas.toml"
    settings.write_text(
        f'data = "follow:{desk / "bars.parquet"}"\nkb = "{tmp_path / "kb"}"\n[service]\nhealth = "127.0.0.1:0"\n'
        '[service.sessions]\n"momentum" = "0 3 * * *"\n'
    )
    done = run_midas("run", "--check", "--config", str(settings), cwd=tmp_path)
    assert done.code == 0, done.err
    for part in ("'momentum' at '0 3 * * *' (UTC), next 20", "http://127.0.0.1:0/health", "outputs    none"):
        assert part in done.out
    assert not (tmp_path / "kb").exists()
    settings.rename(tmp_path / "named.toml")
    gone = run_midas("run", "--check", "--data", "follow:none.parquet@grace=1m", "--kb", "kb", cwd=tmp_path)
    assert (gone.code, "it cannot begin now: there is no data at none.parquet" in gone.out) == (1, True), gone.err
    (tmp_path / "named.toml").rename(settings)
    lying = run_midas("run", "--check", cwd=tmp_path, env={"XDG_CONFIG_HOME": str(tmp_path / "elsewhere")})
    assert lying.code == 2
    assert "needs your consent" in lying.err
    assert "service.health" in lying.err
    assert "starts discovery sessions by itself" in lying.err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"service.health": "0.0.0.0:9464"}, "not on loopback"),
        ({"service.health": "9464"}, "is no address"),
        ({"service.websocket": "example.org:80"}, "is no address"),
        ({"service.websocket": "127.0.0.1:99999"}, "is no address"),
    ],
)
def test_a_door_is_on_loopback_or_refused(flags: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        make_plan(load_settings(flags={"data": "follow:x", **flags}, environ={}))


def test_a_recording_is_no_feed() -> None:
    with pytest.raises(FeedError, match="a recording"):
        make_plan(load_settings(flags={"data": "sample"}, environ={}))


@pytest.mark.parametrize("line", ["", "0 3 * *", "@daily", "61 * * * *", "0 3 * * * *", "h h * * *", "a b c d e"])
def test_what_is_no_cron_line_is_refused(line: str) -> None:
    with pytest.raises(SettingsError, match="no cron line"):
        Schedule({"momentum": line})


async def test_sessions_start_when_they_fall_due_and_one_that_cannot_is_told() -> None:
    wall = WallClock().now().replace(hour=2, minute=59, second=30, microsecond=0)
    clock, started, refused = ManualClock(wall), [], []

    async def start(goal: str) -> None:
        started.append((goal, clock.now().strftime("%H:%M")))
        if goal == "carry":
            raise SessionError("a session runs already", hint="c cancels it")

    schedule = Schedule({"momentum": "0 3 * * *", "carry": "1 3 * * *"})
    task = asyncio.create_task(schedule.run(clock, start, lambda message, hint: refused.append(message)))
    for _ in range(20):
        await asyncio.sleep(0)
        clock.advance(10.0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [goal for goal, _ in started] == ["momentum", "carry"]
    assert started[0][1] == "03:00"
    assert len(refused) == 1
    assert "was due and did not start" in refused[0]


async def _scheduled(lines: dict[str, str], moves: list[float]) -> list[tuple[str, str]]:
    """What a schedule starts while two hours pass after each move of the wall clock, in hours."""
    clock, started = Moved(datetime(2026, 1, 1, 2, 0, tzinfo=UTC)), []

    async def start(goal: str) -> None:
        started.append((goal, clock.now().strftime("%Y-%m-%d %H:%M")))

    task = asyncio.create_task(Schedule(lines).run(clock, start, lambda message, hint: None))
    for hours in (0.0, *moves):
        clock.shift += hours * 3600
        for _ in range(120):
            for _ in range(5):
                await asyncio.sleep(0)
            clock.advance(60.0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return started


class Moved(ManualClock):
    """A clock whose wall time is set, while its monotonic one goes on."""

    shift = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.shift)


async def test_a_session_starts_once_however_the_clock_is_set(desk: Path) -> None:
    lines = {"momentum": "0 3 * * *"}
    assert await _scheduled(lines, [-1.5]) == [("momentum", "2026-01-01 03:00")], "set back over it"
    years = 24 * 365 * 10
    found = await _scheduled(lines, [years, -years, 21.0])
    assert [at[:10] for _, at in found] == ["2026-01-01", "2035-12-30", "2026-01-02"], "years ahead, and right again"


async def test_two_goals_of_one_minute_are_two_sessions(desk: Path) -> None:
    found = await _scheduled({"momentum": "0 3 * * *", "carry": "0 3 * * *"}, [])
    assert sorted(goal for goal, _ in found) == ["carry", "momentum"]


def test_an_own_expression_is_watched_without_a_base(desk: Path, tmp_path: Path) -> None:
    from midas_engine.cli.verbs.monitor import own_feature

    settings = settings_of(desk, kb=str(tmp_path / "none"))
    own = own_feature("cs_rank(ts_mean(funding_rate, 24))", settings)

    async def watch() -> None:
        async with Service(make_plan(settings, quiet=True), own=own) as service:
            assert service.runtime.watched.names == ("expression",)
            assert service.runtime.queries.metrics()["expression"].bars > 100

    asyncio.run(watch())
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ('[outbound.kills]\nbot = "freqtrdae:http://127.0.0.1:1"', "did you mean 'freqtrade'?"),
        ('[outbound.kills]\nbot = "webhook:https://bot.example/orders"', "needs MIDAS_SECRET_BOT"),
        ('[outbound.kills]\nbot = "file:./o"\n[outbound.options]\n"bto.features" = "a*"', "did you mean 'bot'?"),
        ('[outbound.kills]\nbot = "file:./o"\n[outbound.options]\n"bot.feature" = "a*"', "did you mean 'features'?"),
        ('[outbound.signals]\nout = "file:./nowhere/signals.jsonl"', "there is no folder"),
        ('[outbound.told]\nphone = "nobody://x"', "no address that apprise knows"),
        ('[outbound]\nbrief_at = "7am"', "no time of day"),
        ('[outbound]\nquiet_hours = "25:00-07:00"', "no time of day"),
    ],
)
def test_check_refuses_what_the_start_would_refuse(
    desk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], toml: str, message: str
) -> None:
    (tmp_path / "midas.toml").write_text(toml)
    given = ("--kb", str(desk / "kb"), "--data", f"follow:{desk / 'bars.parquet'}")
    ran = call_midas(capsys, "run", "--check", "--config", str(tmp_path / "midas.toml"), *given)
    assert ran.code == 2
    assert message in ran.err
    assert not (desk / "kb" / "outbound").exists()


async def test_a_port_that_another_has_is_said_before_anything_is_opened(
    desk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = copy_desk(desk, tmp_path / "desk")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        given = ("--kb", str(own / "kb"), "--data", f"follow:{own / 'bars.parquet'}")
        (tmp_path / "midas.toml").write_text(f'[service]\nwebsocket = "{place}"\n')
        ran = await asyncio.to_thread(
            call_midas, capsys, "run", "--check", "--config", str(tmp_path / "midas.toml"), *given
        )
        assert ran.code == 1
        assert f"service.websocket: {place} cannot be listened on" in ran.out
        service = Service(plan_of(own, service__websocket=place))
        with pytest.raises(SettingsError, match=r"service\.websocket: .* cannot be listened on"):
            await service.start()
        assert service.runtime.phase == "starting"
        await service.stop()
    async with Service(plan_of(own)):  # nothing is left of it
        pass
