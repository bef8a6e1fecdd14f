"""Signs, and the role of a state. Widgets use roles (`$ok`, `$warn`...), never colours: those are in `palette`."""

from __future__ import annotations

import locale
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The signs that carry a state beside its colour."""

    critical: str = "▲"
    warning: str = "●"
    ok: str = "·"
    stale: str = "◌"
    killed: str = "✕"
    cursor: str = "▸"
    mark: str = "✓"
    paused: str = "‖"
    play: str = "►"
    line_mark: str = "│"
    dot: str = "◆"
    open_bar: str = "▕"
    close_bar: str = "▏"
    full_block: str = "█"
    light_block: str = "░"
    alert_block: str = "▓"
    spark: str = "▁▂▃▄▅▆▇█"
    ellipsis: str = "…"
    line: str = "┄"
    rising: str = "↑"
    falling: str = "↓"
    ascii: bool = False

    def status(self, name: str) -> str:
        """The sign of a feature's status."""
        return {
            "critical": self.critical,
            "warning": self.warning,
            "healthy": self.ok,
            "killed": self.killed,
            "paused": self.paused,
        }.get(name, self.stale)


UNICODE = Glyphs()
ASCII = Glyphs(
    critical="^",
    warning="*",
    ok=".",
    stale="o",
    killed="x",
    cursor=">",
    mark="#",
    paused="=",
    play=">",
    line_mark="|",
    dot="#",
    open_bar="[",
    close_bar="]",
    full_block="#",
    light_block=".",
    alert_block="!",
    spark="_.-=+*#@",
    ellipsis="~",
    line="-",
    rising="^",
    falling="v",
    ascii=True,
)


def choose_glyphs(*, ascii_only: bool) -> Glyphs:
    """ASCII when asked for, or when the locale cannot show anything else."""
    encoding = locale.getpreferredencoding(False).lower().replace("-", "")
    return ASCII if ascii_only or not encoding.startswith("utf") else UNICODE


ROLES = {"critical": "crit", "warning": "warn", "healthy": "ok", "killed": "crit"}


def role_of(status: str) -> str:
    """The role colour of a feature's status."""
    return ROLES.get(status, "muted")
