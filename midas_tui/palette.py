"""The colours behind the roles, for terminals of 16 million, 256 and 16 colours, and the themes made of them.

A terminal of 256 colours turns any other colour into its nearest, which for dark blues is navy or black: there each
role is given as a colour that such a terminal has. The same for 16.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from textual.theme import Theme


@dataclass(frozen=True, slots=True)
class Roles:
    """One colour a role, as `#rrggbb`.

    Attributes:
        background: Of the page; `surface` of bars and the quiet cursor, `panel` of the row under the cursor.
        ok: Healthy, live; `warn` and `crit` as they say; `accent` what has the focus; `muted` what is beside the point.
    """

    background: str
    surface: str
    panel: str
    text: str
    ok: str
    warn: str
    crit: str
    accent: str
    muted: str
    frame: str


ROLE_NAMES = tuple(f.name for f in fields(Roles))
FULL, INDEXED, BASIC = "truecolor", "256", "standard"

# In 16 colours no other ground keeps every role readable: there the row under the cursor is bold, with a sign.
# Contrast and colour-blind distances of the first row of each were measured.
PALETTES: dict[str, dict[str, Roles]] = {
    "midas-dark": {
        FULL: Roles(
            "#10151c", "#161d26", "#1d2733", "#e6e6e6", "#56b4e9", "#f0e442", "#ff6b5a", "#cc79a7", "#8a93a0", "#3a4654"
        ),
        INDEXED: Roles(
            "#121212", "#1c1c1c", "#262626", "#e4e4e4", "#5fafff", "#ffff5f", "#ff5f5f", "#d787af", "#949494", "#4e4e4e"
        ),
        BASIC: Roles(
            "#000000", "#000000", "#000000", "#ffffff", "#55ffff", "#ffff55", "#ff5555", "#ff55ff", "#aaaaaa", "#555555"
        ),
    },
    "midas-light": {
        FULL: Roles(
            "#fbfaf7", "#f1efe9", "#e6e3da", "#1b1f24", "#00598c", "#7a5c00", "#b3261e", "#8a2d62", "#5b636d", "#b9b5a9"
        ),
        INDEXED: Roles(
            "#ffffff", "#eeeeee", "#eeeeee", "#1c1c1c", "#005f87", "#875f00", "#af0000", "#87005f", "#585858", "#b2b2b2"
        ),
        BASIC: Roles(
            "#ffffff", "#ffffff", "#ffffff", "#000000", "#0000aa", "#aa5500", "#aa0000", "#aa00aa", "#555555", "#aaaaaa"
        ),
    },
    "midas-contrast": {
        FULL: Roles(
            "#000000", "#000000", "#101010", "#ffffff", "#7fd1ff", "#ffff5f", "#ff8f80", "#ffaad8", "#c8c8c8", "#ffffff"
        ),
        INDEXED: Roles(
            "#000000", "#000000", "#262626", "#ffffff", "#87d7ff", "#ffff5f", "#ff8787", "#ffafd7", "#c6c6c6", "#ffffff"
        ),
        BASIC: Roles(
            "#000000", "#000000", "#000000", "#ffffff", "#55ffff", "#ffff55", "#ff5555", "#ff55ff", "#ffffff", "#ffffff"
        ),
    },
}  # fmt: skip


def make_theme(name: str, roles: Roles, *, dark: bool) -> Theme:
    """Textual's theme of these roles."""
    c = {role: getattr(roles, role) for role in ROLE_NAMES}
    return Theme(
        name=name,
        dark=dark,
        primary=c["ok"],
        secondary=c["muted"],
        accent=c["accent"],
        warning=c["warn"],
        error=c["crit"],
        success=c["ok"],
        foreground=c["text"],
        background=c["background"],
        surface=c["surface"],
        panel=c["panel"],
        variables={
            **{role: c[role] for role in ("ok", "warn", "crit", "accent", "muted", "frame")},
            "block-cursor-background": c["accent"],
            "block-cursor-foreground": c["background"],
            "footer-key-foreground": c["accent"],
            "scrollbar": c["frame"],
            "scrollbar-hover": c["muted"],
            "scrollbar-active": c["accent"],
            "scrollbar-background": c["surface"],
            "scrollbar-background-hover": c["surface"],
            "scrollbar-background-active": c["surface"],
            "scrollbar-corner-color": c["surface"],
        },
    )


def shipped_themes(depth: str | None) -> list[Theme]:
    """The three themes, for a terminal of so many colours (what Rich calls it); None and what is unknown: of all."""
    shown = depth if depth in (INDEXED, BASIC) else FULL
    return [make_theme(name, of[shown], dark=name != "midas-light") for name, of in PALETTES.items()]
