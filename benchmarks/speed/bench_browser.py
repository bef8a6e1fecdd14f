"""The terminal through a real browser, measured: first paint, and key to paint.

    python benchmarks/speed/bench_browser.py [--rounds 5] [--keys 60]

`midas-tui --serve` in a process of its own, a headless Chromium on the same machine. First paint is from the request
for the address to the first frame of the terminal that is a page of letters, by the browser's own clock: the program
starts in between. That letters stand on the screen is looked at afterwards, in a picture, which takes 0.4 s by itself.
Key to paint is from the frame that the page sends for a key to the end of the frame of the terminal that answers it, by
the same clock; the browser shows it with its next picture, at most 17 ms later. Needs Chromium and the extras `dev` and
`web`.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from helpers_door import Served  # noqa: E402
from test_web_browser import CHROMIUM, Browser  # noqa: E402

# Letters, smoothed, in several colours; an empty page has a handful.
LETTERS = 100
# Modes of the terminal and its title are short; a page of 86 x 20 cells is many times this.
PAGE_BYTES = 2000
KEYS = ("ArrowDown", "ArrowDown", "ArrowUp", "2", "1", "5", "1")
CODES = {"ArrowDown": 40, "ArrowUp": 38}


class Watching(Browser):
    """The browser, with the time of every frame of its socket."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.seen: list[tuple[str, float, int]] = []
        self.began = math.nan

    async def call(self, method: str, **given: Any) -> dict[str, Any]:
        """As a browser does; what it tells of frames is kept."""
        socket, seen = self._socket, self.seen
        real = socket.receive_json

        async def receive_json(**options: Any) -> Any:
            message = await real(**options)
            name = message.get("method", "")
            if name.startswith("Network.webSocketFrame"):
                given = message["params"]
                size = len(given.get("response", {}).get("payloadData", ""))
                seen.append((name.removeprefix("Network.webSocketFrame").lower(), given["timestamp"], size))
            elif name == "Network.requestWillBeSent" and math.isnan(self.began):
                self.began = message["params"]["timestamp"]
            return message

        socket.receive_json = receive_json
        try:
            answer: dict[str, Any] = await super().call(method, **given)
            return answer
        finally:
            socket.receive_json = real


async def one_round(home: Path, args: list[str], keys: int) -> tuple[float, list[float]]:
    """Seconds to the first paint of a fresh server and browser, and milliseconds of each key after it."""
    with Served([*args, "--kb", str(home / "kb")]) as served:
        async with Watching(home / "browser") as browser:
            await browser.call("Page.navigate", url=f"{served.origin}/?token={served.token}")
            await browser.until(lambda state: "-first-byte" in state and "xterm-helper-textarea" in state)
            while await browser.colours() <= LETTERS:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            painted = next(at for kind, at, size in browser.seen if kind == "received" and size > PAGE_BYTES)
            painted -= browser.began
            await asyncio.sleep(5.0)  # warmed, the recording stands
            return painted, await _keys(browser, keys)


async def _keys(browser: Watching, count: int) -> list[float]:
    found: list[float] = []
    for place in range(count):
        key = KEYS[place % len(KEYS)]
        frames: list[tuple[str, float, int]] = []
        given: dict[str, Any] = {"key": key, "windowsVirtualKeyCode": CODES.get(key, ord(key[0]))}
        if len(key) == 1:
            given["text"] = key
        browser.seen = frames
        await browser.call("Input.dispatchKeyEvent", type="keyDown", **given)
        await browser.call("Input.dispatchKeyEvent", type="keyUp", **given)
        end = time.perf_counter() + 1.0
        while time.perf_counter() < end:
            await browser.state()  # every answer brings the frames of before
            await asyncio.sleep(0.05)
        sent = [at for kind, at, _ in frames if kind == "sent"]
        answers = [at for kind, at, _ in frames if kind == "received" and sent and at > sent[0]]
        if answers:
            found.append((answers[0] - sent[0]) * 1000.0)
    return found


def main() -> int:
    """Measure."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--keys", type=int, default=60, help="of each round")
    given = p.parse_args()
    if CHROMIUM is None:
        print("no Chromium is installed")
        return 1
    paints: list[float] = []
    keys: list[float] = []
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as folder:
            paint, found = asyncio.run(one_round(Path(folder), ["--replay", "sample", "--paused"], given.keys))
        paints.append(paint)
        keys += found
    keys.sort()
    load = os.getloadavg()[0]
    print(f"first paint through a browser: median {statistics.median(paints):.2f} s, worst {max(paints):.2f} s")
    print(
        f"key to paint through a browser, {len(keys)} keys: median {statistics.median(keys):.0f} ms, "
        f"p90 {keys[int(0.9 * (len(keys) - 1))]:.0f} ms, worst {keys[-1]:.0f} ms; load {load:.1f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
