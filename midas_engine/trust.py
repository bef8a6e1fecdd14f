"""What a `midas.toml` that merely lies in the working folder may set, and the user's consent to the rest.

A cloned repository brings its own `midas.toml`. Nothing that sends, spends, connects, reads or writes elsewhere, or
acts by itself is taken from it before the user allowed that very file, as it is: by its path and the hash of its
content.
Consent is kept in the user's own configuration folder, given with `midas trust`, and ends with the first changed byte.
A file that is named (`--config FILE`), the environment and the command line are the user's own words and need none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from midas_engine.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

MAX_STORE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Danger:
    """Why a setting needs consent.

    Attributes:
        does: What it does, as a verb of the file: "sends your questions and a key to another host".
        harmless: Whether one value, beside the default and the file's folder, does none of it.
    """

    does: str
    harmless: Callable[[Any, Any, Path], bool]


def _never(value: Any, default: Any, folder: Path) -> bool:
    return bool(value == default)


def _no_more(value: Any, default: Any, folder: Path) -> bool:
    return bool(value <= default)


def _inside(value: Any, default: Any, folder: Path) -> bool:
    """A path that stays below the file's folder, links followed."""
    try:
        place = Path(value).expanduser()
        return (folder / place).resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):
        return False


def _bundled(value: Any, default: Any, folder: Path) -> bool:
    """Data that comes with Midas, or a path below the file's folder."""
    kind, mark, _ = str(value).partition(":")
    if kind in ("sample", "sample-1m", "synthetic", "store"):
        return True  # where the store lies is a setting of its own
    return not mark and _inside(value, default, folder)


_SPENDS = Danger("spends more than the default", _no_more)
# Every setting is here: a new one does not pass the tests before somebody said what it can do.
# None: it shapes figures or looks, and takes at most this machine's time and memory.
SETTINGS: dict[str, Danger | None] = {
    "kb": Danger("reads and writes outside of this folder", _inside),
    "data": Danger("connects, or reads outside of this folder", _bundled),
    "store": Danger("reads and writes outside of this folder", _inside),
    "target": Danger("reads outside of this folder", lambda v, default, folder: not str(v).startswith("follow:")),
    "venue_url": Danger("asks another host for market data", _never),
    "seed": None,
    "read_only": None,
    "dsl.depth": None,
    "dsl.nodes": None,
    "dsl.lookback": None,
    "dsl.text_bytes": None,
    "dsl.total_lookback": None,
    "dsl.min_share": None,
    "dsl.memory_mb": None,
    "costs.fee_bps": None,
    "costs.half_spread_bps": None,
    "costs.slippage_bps": None,
    "evaluation.horizons": None,
    "evaluation.target": None,
    "evaluation.sealed_share": None,
    "evaluation.embargo": None,
    "evaluation.mode": None,
    "evaluation.workers": None,
    "evaluation.candidate_seconds": None,
    "evaluation.screened": None,
    "evaluation.memory": None,
    "executor.kind": None,
    "executor.memory_mb": None,
    "executor.cache_mb": None,
    "executor.opening_seconds": None,
    "executor.scheduler": Danger("sends your data's whereabouts and your search to another machine", _never),
    "executor.ca_file": Danger("says which scheduler is trusted", _never),
    "executor.cert_file": Danger("reads outside of this folder", _never),
    "executor.key_file": Danger("reads outside of this folder", _never),
    "model.provider": Danger(
        "sends questions and your key to a provider, and spends", lambda v, default, folder: v in ("local", "mock")
    ),
    "model.model": Danger("chooses what each question costs", _never),
    "model.base_url": Danger("sends questions, and MIDAS_API_KEY, to another host", _never),
    "model.max_tokens": _SPENDS,
    "model.session_calls": _SPENDS,
    "model.session_usd": _SPENDS,
    "model.day_usd": _SPENDS,
    "model.deadline_seconds": None,
    "model.session_minutes": None,
    "model.session_failures": None,
    "model.transcripts_mb": None,
    "model.transcripts_days": None,
    "model.cutoffs": None,
    "model.prices": Danger("says what a call costs, and so how many are made", _never),
    "model.options": Danger("chooses how long and how hard a model thinks, which costs", _never),
    "monitor.arl0": None,
    "monitor.kill_policy": Danger("kills features without asking", lambda v, default, folder: v != "auto"),
    "monitor.diagnoses_per_day": _SPENDS,
    "monitor.expected_slippage_bps": None,
    "monitor.callback_seconds": None,
    "monitor.feed_failures": None,
    "monitor.shards": None,
    "monitor.memory_mb": None,
    "terminal.theme": None,
    "terminal.refresh_hz": None,
    "terminal.ascii": None,
    "terminal.keys": None,
    # Somebody may trade what the book says: a file that merely lies there may hold it tighter, never larger.
    "book.capital_usd": Danger("makes what the book holds larger", _no_more),
    "book.symbol_cap": Danger("lets the book hold more of one symbol", _no_more),
    "book.net_cap": Danger("lets the book lean further to one side", _no_more),
    "book.neutrality": None,
    "service.sessions": Danger("starts discovery sessions by itself", _never),
    "service.health": Danger("opens a door", _never),
    "service.websocket": Danger("opens a door", _never),
    "service.record": None,
    "service.runs_mb": None,
    "service.keep_days": Danger("removes what was recorded", _never),
    "service.iterations": _SPENDS,
    "service.log_mb": None,
    "service.clients": None,
    "outbound.kills": Danger("sends kills elsewhere, or runs a program", _never),
    "outbound.signals": Danger("sends what your features say elsewhere, or opens a door", _never),
    "outbound.heads": Danger("writes outside of this folder", _never),
    "outbound.fills": Danger("opens a door, or sends your key to an exchange", _never),
    "outbound.told": Danger("sends messages elsewhere", _never),
    "outbound.told_from": None,
    "outbound.quiet_hours": None,
    "outbound.brief_at": None,
    "outbound.mlflow": Danger("sends what you search and find elsewhere", _never),
    "outbound.options": Danger("says which kills go where, and how", _never),
    "outbound.lease_seconds": Danger("changes how soon a far side stands still by itself", _never),
    "outbound.again_seconds": Danger("changes how soon a far side that forgot a kill is told again", _never),
}


@dataclass(frozen=True, slots=True)
class Request:
    """One setting of a file that needs consent: its key, its value in words, and what it does."""

    key: str
    value: str
    does: str

    def __str__(self) -> str:
        return f"{self.key} = {self.value} ({self.does})"


def requests(values: Mapping[str, Any], defaults: Mapping[str, Any], folder: Path) -> list[Request]:
    """What a file in `folder` with these checked values needs consent for; a setting nobody classified does too."""
    found = []
    for key, value in values.items():
        danger = SETTINGS.get(key, Danger("is not known to be harmless", _never))
        if danger is not None and not danger.harmless(value, defaults.get(key), folder):
            found.append(Request(key, _shown(key, value), danger.does))
    return found


def _shown(key: str, value: Any) -> str:
    if key == "model.base_url":  # its host alone: what stands before or after it may be a key
        with contextlib.suppress(ValueError):
            return ascii(urlsplit(str(value)).hostname or "no host")[:100]
        return "no address"
    if key.startswith("outbound.") and isinstance(value, dict) and key != "outbound.options":
        return ascii({name: _host(line) for name, line in value.items()})[:300]
    return ascii(value)[:100]


def _host(line: str) -> str:
    """Kind and host of a far side, or the program it runs: the rest of an address may be a key."""
    kind, _, where = line.partition(":")
    with contextlib.suppress(ValueError):
        if host := urlsplit(where).hostname:
            return f"{kind} {host}"
    return f"{kind} {where.split()[0] if where.split() else ''}"


# -- the user's consent ----------------------------------------------------------------------------


def store_path() -> Path:
    """Where consent is kept: `midas/trust.json` in `$XDG_CONFIG_HOME` or `~/.config`."""
    given = os.environ.get("XDG_CONFIG_HOME", "")
    # A relative one would be looked for in the working folder, of all places; the standard says to pass it over.
    try:
        base = Path(given) if os.path.isabs(given) else Path.home() / ".config"
    except RuntimeError:
        raise SettingsError("there is no home folder to keep consent in", hint="set HOME, or XDG_CONFIG_HOME") from None
    return base / "midas" / "trust.json"


def digest(data: bytes) -> str:
    """What a file's content is known by."""
    return hashlib.sha256(data).hexdigest()


def standing(path: Path, data: bytes) -> str:
    """How a file stands: "allowed", "changed" since it was allowed, or "new"."""
    known = None if _keeps_itself(path) else read_store().get(_name(path))
    return "new" if known is None else "allowed" if known == digest(data) else "changed"


def is_allowed(path: Path, data: bytes) -> bool:
    """Whether a file may set what needs consent; where consent cannot be read it may not."""
    try:
        return standing(path, data) == "allowed"
    except SettingsError:
        return False


def allow(path: Path, data: bytes) -> None:
    """Take note that `path`, with this very content, was allowed.

    Raises:
        SettingsError: The note would lie in the folder it speaks of, or cannot be kept.
    """
    if _keeps_itself(path):
        raise SettingsError(
            f"consent to {path} would be kept in its own folder, where the file's author could give it",
            hint="set XDG_CONFIG_HOME to a folder of your own",
        )
    _write_store(read_store() | {_name(path): digest(data)})


def forget(path: Path) -> bool:
    """Take consent back; False when none was given."""
    known = read_store()
    if known.pop(_name(path), None) is None:
        return False
    _write_store(known)
    return True


def folder_of(path: Path) -> Path:
    """The folder that a settings file lies in; the file itself may be a link, its folder is what counts."""
    return path.absolute().parent.resolve()


def _name(path: Path) -> str:
    return str(folder_of(path) / path.name)


def _keeps_itself(path: Path) -> bool:
    """Whether consent would lie in the folder it speaks of, where the file's author could have put it."""
    folder, store = folder_of(path), store_path()
    return store.parent.resolve().is_relative_to(folder) and folder != Path.home().resolve()


def read_store() -> dict[str, str]:
    """Path -> hash of what was allowed. A store that somebody else could have written allows nothing.

    Raises:
        SettingsError: It belongs to another user or may be written by one, or is none.
    """
    path = store_path()
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(f"consent in {path} cannot be read: {error.strerror}", hint="remove it") from error
    with os.fdopen(handle, "rb") as file:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode) or (
            hasattr(os, "getuid") and (info.st_uid != os.getuid() or info.st_mode & 0o022)
        ):
            raise SettingsError(
                f"consent in {path} is not used: others than you may write it", hint=f"chmod 600 {path}, or remove it"
            )
        try:
            files = json.loads(file.read(MAX_STORE_BYTES))["files"]
            return {str(name): str(known) for name, known in files.items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise SettingsError(f"consent in {path} cannot be read", hint="remove it and trust again") from error


def _write_store(files: Mapping[str, str]) -> None:
    path = store_path()
    temp = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"files": dict(sorted(files.items()))}, file, indent=1)
        os.replace(temp, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temp)
        raise SettingsError(f"consent cannot be kept in {path}: {error.strerror}", hint="check that folder") from error


def check_consent(path: Path, data: bytes, asked: Collection[Request]) -> None:
    """Refuse a file that asks for what was not allowed.

    Raises:
        SettingsError: Names every setting, what it does, and how to allow it.
    """
    if not asked:
        return
    found = standing(path, data)
    if found == "allowed":
        return
    since = "it was changed since you allowed it" if found == "changed" else "it only lies in the working folder"
    listed = "; ".join(str(request) for request in asked)
    raise SettingsError(
        f"{path} needs your consent, for {since}: {listed}",
        hint=f"read it, then `midas trust` allows it as it is, `--config {path}` for one call; or take the lines out",
    )
