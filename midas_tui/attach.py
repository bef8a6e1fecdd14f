"""Which engine a terminal holds: that of the service that holds the base, or one of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from midas_engine.errors import SettingsError

if TYPE_CHECKING:
    from midas_engine.settings import Settings
    from midas_tui.runtime_protocol import RuntimePort


def attached_runtime(settings: Settings, address: str | None) -> RuntimePort | None:
    """The service's engine; None where this terminal is to run its own.

    Args:
        settings: Name the base; its read-only is asked for of the service too.
        address: As `--attach` gives it: None attaches only where a service holds the base; empty means that one.

    Raises:
        SettingsError: The address is none, or there is no token for it.
    """
    from midas_engine.service.peers import connected
    from midas_engine.service.place import Place

    place = Place(settings.kb_path)
    if address is None:
        found = connected(place.socket) if place.base.is_dir() else None
        if found is None:
            return None
        found.close()
        address = str(place.socket)
    elif not address:
        address = str(place.socket)
    elif "://" in address:
        _check(address)
    else:
        given = Path(address).expanduser()
        address = str(Place(given).socket if given.is_dir() else given)
    from midas_engine.service.remote import RemoteRuntime

    return RemoteRuntime(address, token=place.found_token, read_only=settings.read_only)


def recorded_runtime(settings: Settings, name: str, *, speed: float | None, play: bool) -> RuntimePort:
    """A recorded run of the service, to be played: "last", its name or the beginning of it, or the folder it lies in.

    Raises:
        KnowledgeBaseError: There is none, or several begin so.
    """
    from midas_engine.service.place import Place
    from midas_engine.service.replayed_run import ReplayedRun
    from midas_engine.service.runs import Runs

    lying = Path(name).expanduser()
    if name and (lying / "run.json").is_file():
        lying = lying.absolute()
        runs = Runs(lying.parent)
        run = runs.read(lying.name)
    else:
        runs = Runs(Place(settings.kb_path).runs)
        run = runs.find(name)
    return ReplayedRun(runs, run, speed=4.0 if speed is None else speed, play=play)


def _check(address: str) -> None:
    """A token goes to loopback only: elsewhere SSH carries it."""
    from midas_engine.loopback.address import read_address

    scheme, _, rest = address.partition("://")
    if scheme != "ws":
        raise SettingsError(f"--attach {address[:100]!r} is no address", hint="a socket, or ws://127.0.0.1:PORT")
    read_address("--attach", rest.rstrip("/"))
