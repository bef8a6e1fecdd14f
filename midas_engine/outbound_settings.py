"""What leaves the process and what comes back: part of the settings, in a file of its own. Nothing, until it is set."""

from __future__ import annotations

from dataclasses import dataclass, field

OUTBOUND_TABLES = (
    "outbound.kills",
    "outbound.signals",
    "outbound.heads",
    "outbound.fills",
    "outbound.told",
    "outbound.options",
)
"""Tables whose keys are the user's own; only a file can give them."""


@dataclass(frozen=True, slots=True)
class OutboundSettings:
    """What leaves the process, and what comes back.

    Attributes:
        kills: Far sides that are told of kills, pauses and their ends: a name to `webhook:URL`, `command:PROGRAM ...`,
            `file:PATH`, `freqtrade:URL` or `hummingbot:URL`.
        signals: Who is told what the features say at each closed bar: a name to `file:PATH`, `webhook:URL` or
            `websocket:127.0.0.1:PORT`.
        heads: Where the head of the proof leaves to once a day: a name to `file:PATH` in other hands. Set, every bar is
            committed in the proof.
        fills: Where fills come from: a name to `file:PATH` (JSON lines or CSV), `webhook:127.0.0.1:PORT` or
            `ccxt:EXCHANGE`.
        told: Who is told what happens: a name to an address of apprise, its keys as `${NAME}`, see `midas keys`.
        told_from: Least severity that is told: info, warning or critical.
        quiet_hours: UTC hours in which only what is critical is told, as 22:00-07:00; empty: none.
        brief_at: UTC time of the morning brief, as 07:00; empty: none is sent.
        mlflow: Where campaigns, sessions and verdicts are mirrored at their end: `file:PATH`, or the URI of an MLflow
            server (extra `mlflow`); empty: nowhere.
        options: Options of a far side, by its name and the option's: `"desk.features" = "carry*"`.
        lease_seconds: How long a heartbeat to those that take one holds; 0: none is sent.
        again_seconds: How often a kill that was acknowledged is said again, under its key, to a far side that cannot be
            asked whether it still holds it (a program; a webhook whose answers name nothing missing); 0: never.
    """

    kills: dict[str, str] = field(default_factory=dict)
    signals: dict[str, str] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)
    fills: dict[str, str] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    told_from: str = "warning"
    quiet_hours: str = ""
    brief_at: str = ""
    mlflow: str = ""
    options: dict[str, str] = field(default_factory=dict)
    lease_seconds: float = 60.0
    again_seconds: float = 600.0
