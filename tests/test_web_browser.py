"""The page in a real browser, headless: it asks nothing of another host, and the terminal draws."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import aiohttp
import numpy as np
import pytest

from helpers_door import Served

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
STATE = """JSON.stringify({shown: document.body?.className, place: location.href, cookie: document.cookie,
  words: document.getElementById("words")?.textContent, keys: document.activeElement?.className})"""


class Browser:
    """A headless Chromium, driven over its own protocol."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self._calls = 0

    async def __aenter__(self) -> Browser:
        assert CHROMIUM is not None
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
        self._process = subprocess.Popen(  # noqa: ASYNC220
            [CHROMIUM, *flags, "--remote-debugging-port=0", f"--user-data-dir={self.home}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "HOME": str(self.home)},
        )  # fmt: skip
        port_file = self.home / "DevToolsActivePort"
        for _ in range(600):
            if port_file.exists() and "\n" in port_file.read_text():
                break
            await asyncio.sleep(0.05)
        self._http = aiohttp.ClientSession()
        async with self._http.get(f"http://127.0.0.1:{port_file.read_text().splitlines()[0]}/json/list") as answer:
            pages = await answer.json()
        target = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        self._socket = await self._http.ws_connect(target, max_msg_size=0)
        for domain in ("Page", "Network", "Log", "Runtime"):
            await self.call(f"{domain}.enable")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()
        os.killpg(self._process.pid, 9)
        self._process.wait()

    async def call(self, method: str, **given: Any) -> dict[str, Any]:
        self._calls += 1
        await self._socket.send_json({"id": self._calls, "method": method, "params": given})
        while True:
            message = await self._socket.receive_json(timeout=110)
            params = message.get("params", {})
            match message.get("method"):
                case "Network.requestWillBeSent":
                    self.asked.append(params["request"]["url"])
                case "Network.webSocketCreated":
                    self.asked.append(params["url"])
                case "Runtime.exceptionThrown":
                    self.complaints.append(str(params))
                case "Log.entryAdded" if params["entry"]["level"] == "error":
                    self.complaints.append(params["entry"]["text"])
            if message.get("id") == self._calls:
                return dict(message["result"])

    async def state(self) -> str:
        return str((await self.call("Runtime.evaluate", expression=STATE))["result"]["value"])

    async def until(self, ready: Callable[[str], bool]) -> str:
        for _ in range(400):
            if ready(state := await self.state()):
                return state
            await asyncio.sleep(0.05)
        raise AssertionError(f"the page never came so far: {state} {self.complaints}")

    async def colours(self) -> int:
        """Different colours on the screen."""
        from matplotlib.image import imread

        shot = await self.call("Page.captureScreenshot", format="png")
        pixels = imread(io.BytesIO(base64.b64decode(shot["data"])), format="png")
        return len(np.unique((pixels[..., :3] * 255).astype(np.uint8).reshape(-1, 3), axis=0))


async def test_the_page_draws_and_asks_nothing_of_another_host(tmp_path: Path) -> None:
    with Served(["--kb", str(tmp_path / "kb"), "--data", "sample-1m"]) as served:
        async with Browser(tmp_path / "browser") as browser:
            await browser.call("Page.navigate", url=f"{served.origin}/?token={served.token}")
            state = await browser.until(lambda state: "-first-byte" in state and "xterm-helper-textarea" in state)
            assert served.token not in state  # nor in the address, nor the cookie within reach of a script
            assert "midas-door" not in state
            for _ in range(100):
                if (colours := await browser.colours()) > 100:  # letters, smoothed, in several colours
                    break
                await asyncio.sleep(0.05)
            assert colours > 100
            history = await browser.call("Page.getNavigationHistory")
            assert not [entry for entry in history["entries"] if "token" in entry["url"]]
            await browser.call("Page.reload")  # the place is handed on from the old page to the new
            await browser.until(lambda state: "-first-byte" in state)
            await browser.call("Input.insertText", text="\x11")
            await browser.until(lambda state: "The terminal was closed." in state)
            assert [url for url in browser.asked if served.host not in url.split("/")[2]] == []
            assert [url for url in browser.asked if url.startswith("ws://")] != []
            assert browser.complaints == []


async def test_a_foreign_page_reaches_nothing(tmp_path: Path) -> None:
    """A page of another origin, in a browser that has the cookie: no page, no socket."""
    with Served(["--kb", str(tmp_path / "kb"), "--data", "sample-1m", "--allow-actions"]) as served:
        async with Browser(tmp_path / "browser") as browser:
            await browser.call("Page.navigate", url=f"{served.origin}/?token={served.token}")
            state = await browser.until(lambda state: "-first-byte" in state)
            room = state.split('"place":"')[1].split('"')[0]
            await browser.call("Page.navigate", url="about:blank")
            attempt = f"""new Promise(done => {{
              const socket = new WebSocket("{room.replace("http", "ws", 1)}ws/guess");
              socket.onopen = () => done("open"); socket.onerror = () => done("refused"); }})"""
            answer = await browser.call("Runtime.evaluate", expression=attempt, awaitPromise=True)
            assert answer["result"]["value"] == "refused"
            attempt = f"""fetch("{room}", {{credentials: "include"}}).then(a => a.text(), e => "refused")"""
            answer = await browser.call("Runtime.evaluate", expression=attempt, awaitPromise=True)
            assert answer["result"]["value"] == "refused"
