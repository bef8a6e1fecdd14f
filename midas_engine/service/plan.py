"""What a service will do, read from the settings before anything is done: what `midas run --check` prints."""

from __future__ import annotations

import dataclasses
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from midas_engine.errors import FeedError, SettingsError
from midas_engine.loopback.address import Address, read_address
from midas_engine.market.feeds.open import FORMS, as_feed, is_live, open_source, split_grace
from midas_engine.service.metrics import check_extra
from midas_engine.service.place import Place
from midas_engine.service.schedule import Schedule
from midas_engine.service.standing import holder_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from midas_engine.settings import Settings


@dataclass(frozen=True, slots=True)
class Plan:
    """A service as its settings ask for it, checked as far as nothing is opened for it.

    Attributes:
        settings: With a feed as their data.
        place: Where its own files lie.
        schedule: When sessions start.
        health: Address of the health endpoint; None: none.
        websocket: Address that terminals may attach to; None: none.
        quiet: `midas monitor`: it watches, and nothing else.
    """

    settings: Settings
    place: Place
    schedule: Schedule
    health: Address | None = None
    websocket: Address | None = None
    quiet: bool = False

    def steps(self, now: datetime) -> list[tuple[str, str]]:
        """What it will do, as (part, what) lines."""
        settings, service = self.settings, self.settings.service
        live = settings.data.startswith("live:")
        stored = f"live bars go to {settings.store}" if live and settings.store else "no bar is kept"
        found = [
            ("base", f"{settings.kb}: held by this process alone"),
            ("feed", f"{settings.data}" + (f", asked at {settings.venue_url}" if settings.venue_url else "")),
            ("store", stored),
            ("monitor", f"every deployed and shadow feature; kill policy {settings.monitor.kill_policy}"),
            ("terminals", f"attach at {self.place.socket}"),
        ]
        if self.websocket is not None:
            found.append(("websocket", f"ws://{self.websocket}, with the token in {self.place.token_file}"))
        if self.health is not None:
            found.append(("health", f"http://{self.health}/health and /metrics, with the same token"))
        plans = f"{service.iterations} plan{'s' if service.iterations > 1 else ''}"
        for goal, line in service.sessions.items():
            due = Schedule({goal: line}).next(now)
            when = f", next {due.at:%Y-%m-%d %H:%M} UTC" if due is not None else ""
            found.append(("session", f"{goal!r} at {line!r} (UTC){when}, {plans}, asking {settings.model.provider}"))
        leaving = list(_leaving(settings))
        found += leaving
        found.append(("record", f"{self.place.runs}, {service.runs_mb} MB at most" if service.record else "nothing"))
        days = service.keep_days
        found.append(("keep", f"runs, events and model calls for {days} days" if days else "whatever its age"))
        found.append(("log", f"{self.place.log}, {service.log_mb} MB each" if service.log_mb else "none"))
        if not service.sessions:
            found.append(("sessions", "none on a schedule"))
        if not leaving:
            found.append(("outputs", "none: nothing leaves this process"))
        return found


def make_plan(settings: Settings, *, quiet: bool = False) -> Plan:
    """Read the settings; opens nothing.

    Raises:
        FeedError: The data is no feed.
        SettingsError: A part of the service is set wrongly, or its extra is missing.
    """
    settings = dataclasses.replace(settings, data=as_feed(settings.data))
    if not is_live(settings.data):
        raise FeedError(f"{settings.data!r} is a recording, not a feed", hint=f"give --data {FORMS}")
    place = Place(settings.kb_path)
    if quiet:
        return Plan(settings, place, Schedule({}), quiet=True)
    service = settings.service
    health = read_address("service.health", service.health) if service.health else None
    if health is not None:
        check_extra()
    return Plan(
        settings,
        place,
        Schedule(service.sessions),
        health,
        read_address("service.websocket", service.websocket) if service.websocket else None,
    )


def _leaving(settings: Settings) -> Iterator[tuple[str, str]]:
    """What leaves the process and to whom: kind and host alone, for the rest of an address may hold a key."""
    for item in dataclasses.fields(settings.outbound):
        table = getattr(settings.outbound, item.name)
        if not isinstance(table, dict) or item.name == "options":
            continue
        for name, address in table.items():
            kind, _, rest = str(address).partition(":")
            host = urlsplit(rest).hostname if "://" in rest else ""
            yield item.name, f"to {name!r} by {kind}" + (f" at {host}" if host else "")


def hindrance(plan: Plan) -> str:
    """Why it could not begin now: another has the base or a door, or it may not write. Makes nothing; "": nothing."""
    holder = holder_of(plan.place.base)
    if holder:
        return f"{plan.settings.kb} is held by {holder}"
    kind, _, rest = split_grace(plan.settings.data)[0].partition(":")
    if kind == "follow" and not rest.startswith("store:") and not Path(rest).expanduser().exists():
        return f"there is no data at {rest}"
    base = plan.place.base.absolute()
    there = next(folder for folder in (base, *base.parents) if folder.exists())
    if not plan.settings.read_only and not os.access(there, os.W_OK):
        return f"{there} cannot be written by this user"
    try:
        check_doors(plan)
    except SettingsError as error:
        return str(error.message)
    return ""


def check_doors(plan: Plan) -> None:
    """Refuse a door whose port another has, before anything is opened for it.

    Raises:
        SettingsError: Names the door.
    """
    for key, address in (("service.health", plan.health), ("service.websocket", plan.websocket)):
        if address is not None:
            try:
                with socket.create_server((address.host, address.port), family=family_of(address)):
                    pass
            except OSError as error:
                raise address.taken(key, error) from error


def family_of(address: Address) -> socket.AddressFamily:
    """IPv4 or IPv6."""
    return socket.AF_INET6 if ":" in address.host else socket.AF_INET


def check_feed(settings: Settings) -> None:
    """Refuse a feed that is not of a form Midas reads; nothing is asked of it.

    Raises:
        FeedError: See `open_source`.
    """
    open_source(settings.data, settings.venue_url, settings.store)


def check_outputs(settings: Settings) -> None:
    """Refuse an output that could not be used: its kind, address, options and secrets. Nothing is opened or sent.

    Raises:
        SettingsError: See `outputs_of`.
    """
    from midas_engine.bus import EventBus
    from midas_engine.clock import WallClock
    from midas_engine.kb import KnowledgeBase
    from midas_engine.outbound import Source, outputs_of

    source = Source(KnowledgeBase(settings.kb_path, read_only=True), EventBus(), WallClock(), settings=settings)
    outputs_of(settings.outbound, source)
