"""The live hours as a story: promoted in the terminal, flipped, alarmed, told, killed, acknowledged, briefed, verified.

    python benchmarks/live_story.py [--out demo_artifacts/live_story] [--factor 1200]

One service follows a venue on loopback that speaks Binance and serves a made-up market whose truth is known: the signal
`range_position` turns round. Engine time passes `factor` times as fast as the wall's. A terminal is attached over the
service's socket; a server takes its messages as apprise's `json://` sends them; another speaks freqtrade's REST. What
the terminal shows, what arrived and what the command line prints is written down as it came, and the recorded run is
kept beside it: `midas-tui --replay run:demo_artifacts/live_story/run`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks"), str(ROOT)]
if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.market import Panel

NAME, PASSWORD = "range_position", "pa55"
BEFORE_FLIP, SYMBOLS, SECONDS = 30, 12, 900.0
SLOW = 20.0  # while something is done


def venue_of(panel: Panel, now_ms: Callable[[], int]) -> Any:
    """A venue on loopback that serves the panel."""
    import numpy as np

    from helpers_venue import HOUR, FakeVenue

    times = panel.timestamps.astype("datetime64[ms]").astype(np.int64)
    rows = {int(t): row for row, t in enumerate(times)}
    columns = {s: i for i, s in enumerate(panel.symbols)}

    class PanelVenue(FakeVenue):
        def _kline(self, name: str, symbol: str, t: int) -> list[Any]:
            at = rows[t], columns[symbol]
            o, h, low, c, v, q = (
                repr(float(panel.fields[f][at])) for f in ("open", "high", "low", "close", "volume", "quote_volume")
            )
            v, q = ("0", "0") if name == "markPriceKlines" else (v, q)
            return [t, o, h, low, c, v, t + HOUR - 1, q, 9, "0", "0", "0"]

        def _answer(self, path: str, query: dict[str, str]) -> Any:
            if path.endswith("fundingRate"):
                column, paid = columns[query["symbol"]], panel.fields["funding_paid"]
                begin, end = int(query.get("startTime", 0)), min(int(query.get("endTime", 1 << 62)), now_ms())
                found = [
                    {
                        "symbol": query["symbol"],
                        "fundingTime": int(t) + HOUR,
                        "fundingRate": repr(float(paid[row, column])),
                    }
                    for row, t in enumerate(times)
                    if begin <= t + HOUR <= end and paid[row, column] != 0.0
                ]
                return found[: int(query.get("limit", 100))]
            return super()._answer(path, query)

    return PanelVenue(tuple(panel.symbols), now_ms, listed=int(times[0]))


class Story:
    """What happened, written down as it came.

    Args:
        clock: Stamps it.
        secrets: Words that stand for what differs from machine to machine.
    """

    def __init__(self, clock: Any, names: dict[str, str]) -> None:
        self._clock, self._names = clock, names
        self.lines: list[str] = []

    def tell(self, title: str, text: str = "") -> None:
        """A step, and what was seen."""
        stamp = f"{self._clock.now():%Y-%m-%d %H:%M}"
        for old, new in self._names.items():
            text = text.replace(old, new)
        self.lines += [f"## {stamp} {title}", "", *(["```", text.rstrip(), "```", ""] if text else [])]
        print(f"{stamp} {title}\n{text}\n", flush=True)


def midas(folder: Path, *args: str) -> str:
    """What a command prints, with the command before it."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, "-m", "midas", *args], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    return f"$ midas {' '.join(args)}\n{done.stdout}{done.stderr}"


async def tell_story(folder: Path, factor: float, out: Path) -> None:
    """Live through it."""
    from scaled_clock import ScaledClock

    from helpers_outbound import LoopbackServer
    from helpers_tui import press, screen_text, type_text, until
    from helpers_venue import InThread
    from midas_engine.kb import KnowledgeBase
    from midas_engine.market import SyntheticMarket
    from midas_engine.market.instants import as_utc
    from midas_engine.models import FeatureRecord, FeatureState
    from midas_engine.promoter import FeaturePromoter
    from midas_engine.service.place import Place
    from midas_engine.service.plan import make_plan
    from midas_engine.service.remote import RemoteRuntime
    from midas_engine.service.service import Service
    from midas_engine.settings import load_settings
    from midas_tui.app import MidasApp
    from test_outbound_bots import FreqtradeBot

    market = SyntheticMarket(7, bars=8760, symbols=SYMBOLS, ics=(0.06, 0.06, 0.12))
    panel, planted = market.panel(), {f.name: f for f in market.truth.features}
    flip = planted[NAME].changes_at
    assert flip is not None
    clock = ScaledClock(as_utc(panel.timestamps[flip - BEFORE_FLIP]), SLOW)
    promoter = FeaturePromoter(KnowledgeBase(folder / "kb", clock=clock), clock=clock)
    for name in (NAME, "funding_carry"):
        promoter.save_candidate(FeatureRecord(name, planted[name].expression, FeatureState.CANDIDATE))
    promoter.close()
    panel.slice(flip - 1000, flip + 1000).save(folder / "public-bars.parquet")
    messages: list[str] = []

    def notifier(method: str, path: str, headers: Any, body: bytes) -> tuple[int, bytes]:
        sent = json.loads(body)
        messages.append(f"{sent['title']}\n{sent['message']}")
        return 200, b"{}"

    bot = FreqtradeBot()
    with LoopbackServer(notifier) as phone, LoopbackServer(bot.answer) as freqtrade:
        os.environ["MIDAS_SECRET_BOT"] = PASSWORD
        with InThread(venue_of(panel, lambda: int(clock.now().timestamp() * 1000))) as venue:
            flags: dict[str, Any] = {
                "kb": str(folder / "kb"),
                "data": "live:binance:" + ",".join(panel.symbols) + "@1h",
            }
            flags |= {"venue_url": venue.base, "store": str(folder / "store"), "outbound.brief_at": "07:00"}
            flags |= {"outbound.kills": {"bot": f"freqtrade:{freqtrade.url}"}}
            flags |= {"outbound.options": {"bot.user": "me", "bot.on-kill": "flatten"}}
            flags |= {"outbound.told": {"phone": f"json://127.0.0.1:{phone.port}/"}}
            flags |= {"outbound.heads": {"notary": f"file:{folder / 'heads.jsonl'}"}}
            story = Story(clock, {str(folder) + "/": "", venue.base: "http://127.0.0.1:VENUE"})
            async with Service(make_plan(load_settings(file=None, flags=flags, environ={})), clock=clock) as service:
                stands = await asyncio.to_thread(midas, folder, "status", "--kb", "kb")
                story.tell("the service runs; a terminal attaches", stands)
                remote = RemoteRuntime(str(Place(folder / "kb").socket), clock=clock)
                app = MidasApp(lambda: remote, load_settings(file=None, environ={}))
                async with app.run_test(size=(110, 30)) as pilot:
                    await asyncio.wait_for(app.ready.wait(), SECONDS)

                    async def seen(ready: Callable[[], object], what: str) -> None:
                        await until(pilot, ready, what, patience=SECONDS)

                    async def act(name: str, key: str, *, typed: str = "") -> str:
                        clock.change(SLOW)
                        await press(pilot, "2")
                        await pilot.pause()
                        app.screen.show_feature(name)  # type: ignore[attr-defined]
                        await press(pilot, key)
                        await seen(lambda: bool(app.screen.query("#confirm")), f"the dialog of {key}")
                        await asyncio.sleep(0.6)  # a dialog is deaf until it can have been read
                        shown = screen_text(app)
                        for field, text in (("#reason", "for the story"), ("#typed", typed)):
                            if app.screen.query(field) and text:
                                app.screen.query_one(field).focus()
                                await type_text(pilot, text)
                        app.screen.query_one("#confirm").focus()
                        await press(pilot, "enter")
                        return shown

                    async def pass_until(ready: Callable[[], object], what: str) -> None:
                        clock.change(factor)
                        await seen(ready, what)
                        clock.change(SLOW)

                    for name in (NAME, "funding_carry"):
                        shown = await act(name, "p")
                        await seen(lambda n=name: n in app.store.metrics, f"{name} is watched")
                        if name == NAME:
                            story.tell(f"{NAME} is promoted (p in the terminal)", shown)
                    await pass_until(lambda: clock.now() > as_utc(panel.timestamps[flip]), "the flip")
                    story.tell(f"{NAME} turns round; nobody is told. Bar {flip} of the market's truth.")
                    await pass_until(lambda: NAME in remote.queries.kill_proposals(), "a kill is proposed")
                    await press(pilot, "1")
                    await pilot.pause(0.5)
                    story.tell("the alarm, and a proposal to kill", screen_text(app))
                    await pass_until(lambda: any(NAME in text for text in messages), "the notifier is told")
                    story.tell("what the notifier took", "\n---\n".join(t for t in messages if NAME in t))
                    shown = await act(NAME, "K", typed=NAME)
                    await seen(lambda: NAME not in app.store.metrics, "it is watched no more")
                    story.tell("killed in the terminal: the name is typed", shown)
                    kills = ""
                    for _ in range(100):
                        kills = await asyncio.to_thread(midas, folder, "kills", "--kb", "kb", "--config", "sides.toml")
                        if "1 acknowledged" in kills:
                            break
                        await asyncio.sleep(0.5)
                    told = f"what the bot was asked: {', '.join(dict.fromkeys(bot.calls))}"
                    bot_now = f"the bot: state {bot.state}, open trades {sorted(bot.trades.values())}"
                    story.tell("the bot has acknowledged", f"{kills}\n{told}\n{bot_now}")
                    day = clock.now() + timedelta(days=1)
                    morning = day.replace(hour=7, minute=0, second=0, microsecond=0)
                    await pass_until(lambda: clock.now() > morning + timedelta(hours=1), "the next morning")
                    await pass_until(lambda: any("brief" in text.lower() for text in messages), "the brief")
                    brief = [text for text in messages if "brief" in text.lower()]
                    story.tell("the brief, as it was sent at 07:00", brief[-1])
                since = (morning - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
                report = await asyncio.to_thread(midas, folder, "report", "--since", since, "--kb", "kb")
                story.tell("the same, asked for", report)
                assert service.door is not None
            story.tell("the service is stopped; its run is kept", midas(folder, "runs", "--kb", "kb"))
    story.tell("the proof", midas(folder, "attest", "--kb", "kb", "--out", "proof.jsonl"))
    args = ("verify", "proof.jsonl", "--head", "heads.jsonl", "--data", "public-bars.parquet")
    story.tell("a stranger verifies it, from public bars and the heads that had left", midas(folder, *args))
    keep(folder, out, story)


def keep(folder: Path, out: Path, story: Story) -> None:
    """Write the story and its run where they stay."""
    (run,) = [p for p in (folder / "kb" / "runs").iterdir() if p.is_dir()]
    shutil.rmtree(out / "run", ignore_errors=True)
    (out / "run").mkdir(parents=True)
    for file in run.iterdir():
        if file.name == "run.json" or file.name.startswith("events-"):
            shutil.copy(file, out / "run" / file.name)
    head = [
        "# Live hours, end to end",
        "",
        "`python benchmarks/live_story.py`; its run plays again:",
        "`midas-tui --replay run:demo_artifacts/live_story/run`.",
        "",
        "Engine time passes 1,200 times as fast as the wall's: a second of a busy machine is twenty minutes here,",
        "which is why bars come late now and then, are said to be stale, and are committed late. What is asked by",
        "the command line counts its ages by the wall's clock.",
        "",
    ]
    (out / "STORY.md").write_text("\n".join([*head, *story.lines]), encoding="utf-8")


def main() -> None:
    """Tell it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "demo_artifacts" / "live_story")
    parser.add_argument("--factor", type=float, default=1200.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        toml = '[outbound.kills]\nbot = "freqtrade:http://127.0.0.1:1"\n'
        (folder / "sides.toml").write_text(toml)  # what `midas kills` asks: who the far sides are
        asyncio.run(tell_story(folder, args.factor, args.out))


if __name__ == "__main__":
    main()
