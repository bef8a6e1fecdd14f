"""Copying out: to the terminal's own clipboard (OSC 52), and to the desktop's, for terminals that refuse the first."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from midas_tui.workers import in_worker

if TYPE_CHECKING:
    from textual.app import App

# The tool, its words, and what must be set for it to reach a desktop.
_TOOLS = (
    ("wl-copy", (), "WAYLAND_DISPLAY"),
    ("xclip", ("-selection", "clipboard"), "DISPLAY"),
    ("xsel", ("--clipboard", "--input"), "DISPLAY"),
    ("pbcopy", (), ""),
    ("clip.exe", (), "WSL_DISTRO_NAME"),
)
_SECONDS = 2.0


def local_tool() -> list[str]:
    """The command that puts its input on this desktop's clipboard; empty where there is none."""
    for name, words, needs in _TOOLS:
        if (not needs or os.environ.get(needs)) and (found := shutil.which(name)) is not None:
            return [found, *words]
    return []


def copy_out(app: App[Any], text: str) -> None:
    """Copy a text by both ways. Over `--serve` the page's own clipboard is the only one that is the reader's."""
    app.copy_to_clipboard(text)
    command = [] if app.is_web else local_tool()
    if not command:
        return

    def run() -> None:
        try:
            subprocess.run(
                command, input=text.encode(), timeout=_SECONDS, check=False,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError):
            return  # the terminal has its copy; a desktop that does not answer is no news

    async def in_thread() -> None:
        import asyncio

        await asyncio.to_thread(run)

    in_worker(app, in_thread, "clipboard", exclusive=False)
