"""Role colours and glyphs. Widgets use roles (`$ok`, `$warn`, `$crit`...), never colours of their own."""

from __future__ import annotations

import locale
from dataclasses import dataclass

from textual.theme import Theme


def _theme(name: str, *, dark: bool, background: str, surface: str, panel: str, text: str, **roles: str) -> Theme:
    return Theme(
        name=name,
        dark=dark,
        primary=roles["ok"],
        secondary=roles["muted"],
        accent=roles["accent"],
        warning=roles["warn"],
        error=roles["crit"],
        success=roles["ok"],
        foreground=text,
        background=background,
        surface=surface,
        panel=panel,
        variables={
            **roles,
            "block-cursor-background": roles["accent"],
            "block-cursor-foreground": background,
            "footer-key-foreground": roles["accent"],
            "scrollbar": roles["frame"],
            "scrollbar-hover": roles["muted"],
            "scrollbar-active": roles["accent"],
            "scrollbar-background": surface,
            "scrollbar-background-hover": surface,
            "scrollbar-background-active": surface,
            "scrollbar-corner-color": surface,
        },
    )


# Contrast and colour-blind distances of these roles were measured; see the terminal's design notes in the README.
THEMES: tuple[Theme, ...] = (
    _theme(
        "midas-dark",
        dark=True,
        background="#10151c",
        surface="#161d26",
        panel="#1d2733",
        text="#e6e6e6",
        ok="#56B4E9",
        warn="#F0E442",
        crit="#FF6B5A",
        accent="#CC79A7",
        muted="#8a93a0",
        frame="#3a4654",
    ),
    _theme(
        "midas-light",
        dark=False,
        background="#fbfaf7",
        surface="#f1efe9",
        panel="#e6e3da",
        text="#1b1f24",
        ok="#00598c",
        warn="#7a5c00",
        crit="#b3261e",
        accent="#8a2d62",
        muted="#5b636d",
        frame="#b9b5a9",
    ),
    _theme(
        "midas-contrast",
        dark=True,
        background="#000000",
        surface="#000000",
        panel="#101010",
        text="#ffffff",
        ok="#7fd1ff",
        warn="#ffff5f",
        crit="#ff8f80",
        accent="#ffaad8",
        muted="#c8c8c8",
        frame="#ffffff",
    ),
)


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
