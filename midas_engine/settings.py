"""Settings: frozen dataclasses, layered defaults < `midas.toml` < `MIDAS_*` environment < flags.

One place says what can be set; an unknown key is an error that names the nearest one.
Environment names join section and key: `MIDAS_COSTS_FEE_BPS=4`, `MIDAS_KB=./my-kb`.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import tomllib
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from midas_engine.book_settings import BookSettings
from midas_engine.dsl_limits import LEAST_WINDOW_BARS, NO_SETTING, DslLimits
from midas_engine.durations import bars_of, duration
from midas_engine.errors import SettingsError
from midas_engine.executor_settings import ExecutorSettings
from midas_engine.former_settings import FORMER, as_now
from midas_engine.model_settings import ModelSettings
from midas_engine.outbound_settings import OUTBOUND_TABLES, OutboundSettings
from midas_engine.plugins import listed
from midas_engine.regular import obstacle
from midas_engine.service_settings import ServiceSettings
from midas_engine.setting_ranges import CHOICES, DURATIONS, RANGES
from midas_engine.setting_types import converted
from midas_engine.text import did_you_mean
from midas_engine.trust import Request, check_consent, folder_of, is_allowed, requests

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "CostSettings",
    "DslLimits",
    "EvaluationSettings",
    "ExecutorSettings",
    "LEAST_WINDOW_BARS",
    "ModelSettings",
    "MonitorSettings",
    "ServiceSettings",
    "OutboundSettings",
    "Settings",
    "TerminalSettings",
    "file_requests",
    "known_keys",
    "load_settings",
]


@dataclass(frozen=True, slots=True)
class CostSettings:
    """What trading costs, in basis points of traded notional, one way.

    Attributes:
        fee_bps: Taker fee; negative for a rebate.
        half_spread_bps: Half the distance between bid and ask.
        slippage_bps: What a trade loses beyond the spread.
    """

    fee_bps: float = 4.0
    half_spread_bps: float = 1.0
    slippage_bps: float = 1.0

    @property
    def one_way_bps(self) -> float:
        """Fee, half spread and slippage together."""
        return self.fee_bps + self.half_spread_bps + self.slippage_bps


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """How candidates are scored.

    Attributes:
        horizons: Forward-return horizons in bars that are shown.
        target: Horizon in bars that the gates are judged on.
        sealed_share: Share of the history that is kept sealed, at the end. Each candidate that research lets through
            meets it once.
        embargo: Start of the sealed part that is left out of a candidate's score, as a duration ("2d", "12h", "48b" in
            bars); "auto": as far as the feature itself looks back. At most a tenth of the part.
        mode: How a history is scored, decided once from the whole of it: time (each symbol in time), cross-section (the
            symbols of a bar against one another), or auto: a cross-section where half of the bars have ten symbols.
        workers: Workers; 0 computes in a thread of this process.
        candidate_seconds: Wall time one candidate may take.
        screened: Raw expressions that a session's local search may screen first, as one family; 0 screens none.
        memory: How much of what earlier sessions taught a session may use, from 0 (none) to 1; the base's own record
            turns it further down where it does not hold.
    """

    horizons: tuple[int, ...] = (1, 4, 8, 24, 48)
    target: int = 1
    sealed_share: float = 0.35
    embargo: str = "auto"
    mode: str = "auto"
    workers: int = 1
    candidate_seconds: float = 30.0
    screened: int = 4000
    memory: float = 1.0


LEAST_ARL0 = 24
"""Bars between false alarms below which no sequential test is worth the name."""


@dataclass(frozen=True, slots=True)
class MonitorSettings:
    """The online loop.

    Attributes:
        arl0: Time between false alarms of a healthy feature, the same on bars of every length; "8760b" counts bars.
        kill_policy: manual, confirm or auto.
        diagnoses_per_day: Upper bound on background diagnoses.
        expected_slippage_bps: Used where a fill brings no expectation of its own.
        callback_seconds: Time the kill callback may take.
        feed_failures: Failures of the feed in a row, a minute apart in the end, after which `midas monitor` gives up
            and ends with an error; 0: never.
        shards: Local processes that the features' windows are spread over: a number, or auto, which takes one a core
            from 500,000 values (features x symbols) a bar on and none below. The results do not depend on it.
        memory_mb: Megabytes that watching may hold in all its processes; a watch that would not fit is refused before
            it starts. 0: three quarters of what the machine has.
    """

    arl0: str = "365d"
    kill_policy: str = "confirm"
    diagnoses_per_day: int = 12
    expected_slippage_bps: float = 1.0
    callback_seconds: float = 10.0
    feed_failures: int = 60
    shards: str = "auto"
    memory_mb: int = 0

    def arl0_bars(self, bar_seconds: float) -> float:
        """Bars between false alarms, where a bar takes `bar_seconds`.

        Example:
            >>> MonitorSettings().arl0_bars(3600), MonitorSettings().arl0_bars(300), MonitorSettings().arl0_bars(86_400)
            (8760.0, 105120.0, 365.0)
        """
        return float(max(LEAST_ARL0, bars_of(self.arl0, bar_seconds)))


@dataclass(frozen=True, slots=True)
class TerminalSettings:
    """The terminal.

    Attributes:
        theme: midas-dark, midas-light, midas-contrast, one of Textual's, or one of your own.
        refresh_hz: Frames a second at most.
        ascii: Draw with ASCII characters only.
        keys: Other keys for actions: the action's id to the key, as `"app.undo" = "ctrl+u"`; an unknown id is refused.
    """

    theme: str = "midas-dark"
    refresh_hz: float = 4.0
    ascii: bool = False
    keys: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything Midas can be told. Build it with `load_settings`.

    Attributes:
        kb: Folder of the knowledge base.
        data: Where bars come from: sample, sample-1m, synthetic, synthetic:SEED, a file or a folder, or
            `store:NAME[:SYMBOLS][@BAR]`; for the monitor live:EXCHANGE or follow:PATH.
        store: Folder of the market store, which imports, fetches and the live feed add to; empty: no live bar is kept.
        target: Where features are to run live: live:EXCHANGE or follow:PATH. Discovery, evaluation and promotion take
            only columns that its bars have; empty: every column of the data.
        venue_url: Another host for all addresses of the exchange that is asked; empty takes the exchange's own.
        seed: Seed of everything that draws at random.
        read_only: Refuse every action that changes the knowledge base.
        dsl: Limits of expressions.
        costs: What trading costs.
        evaluation: How candidates are scored.
        executor: Who does the work.
        model: Which model proposes, and its budget.
        monitor: The online loop.
        terminal: The terminal.
        book: The book of all deployed features.
        service: `midas run`.
        outbound: What leaves the process, and what comes back.
    """

    kb: str = "./midas-kb"
    data: str = "sample"
    store: str = "./midas-store"
    target: str = ""
    venue_url: str = ""
    seed: int = 7
    read_only: bool = False
    dsl: DslLimits = DslLimits()
    costs: CostSettings = CostSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    executor: ExecutorSettings = ExecutorSettings()
    model: ModelSettings = ModelSettings()
    monitor: MonitorSettings = MonitorSettings()
    terminal: TerminalSettings = TerminalSettings()
    book: BookSettings = BookSettings()
    service: ServiceSettings = ServiceSettings()
    outbound: OutboundSettings = OutboundSettings()

    @property
    def kb_path(self) -> Path:
        """The knowledge base's folder."""
        return Path(self.kb).expanduser()


MAX_FILE_BYTES = 256_000
_SHORT = {"MIDAS_MODEL": "MIDAS_MODEL_MODEL"}  # the original's name; the full one wins
_NOT_SETTINGS = ("MIDAS_API_KEY", "MIDAS_SERVICE_TOKEN", "MIDAS_KEY_FILE")  # read where they are used, never stored
_SECRETS = "MIDAS_SECRET_"  # of far sides, by their names; never stored
# Their keys are the user's own; only a file can give them.
_TABLES = ("terminal.keys", "model.cutoffs", "model.prices", "model.options", "service.sessions", *OUTBOUND_TABLES)


def load_settings(
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    left_out: Callable[[list[Request]], None] | None = None,
) -> Settings:
    """Settings from defaults, then file, then environment, then flags.

    Args:
        file: A TOML file that somebody named; None looks for `midas.toml` in the working folder, from which only
            what is harmless is taken without consent (see `trust`).
        environ: The environment; None reads the process's.
        flags: Dotted keys, e.g. `{"kb": "./kb", "model.provider": "openai"}`; None values are skipped.
        left_out: For who uses the base and nothing else: told of what of `midas.toml` needs consent, which is then left
            out. Without it that is refused.

    Raises:
        SettingsError: An unknown key, a wrong type or a value out of range, naming where it stood; or `midas.toml`
            asks for what needs consent.
    """
    layers: list[tuple[str, dict[str, Any]]] = []
    path = file if file is not None else Path("midas.toml")
    kind = obstacle(path, follow=True)
    if kind:
        raise SettingsError(f"{path} is a {kind}, where a settings file belongs", hint="give a TOML file, or remove it")
    data = b""
    if path.is_file():
        data = _read_file(path)
        layers.append((str(path), as_now(_flatten(_parsed(data, path)), str(path))))
    elif file is not None:
        raise SettingsError(f"settings file {file} does not exist", hint="leave --config out to use the defaults")
    layers.append(("the environment", _from_environment(os.environ if environ is None else environ)))
    given = {k: v for k, v in (flags or {}).items() if v is not None}
    layers.append(("the command line", as_now(given, "the command line")))
    merged: dict[str, Any] = {}
    for origin, values in layers:
        for key, value in values.items():
            merged[key] = _checked(key, value, origin)
    if data and file is None:
        # What the environment or the command line sets too is not taken from the file.
        stated = {key for _, values in layers[1:] for key in values}
        own = {key: merged[key] for key in layers[0][1] if key not in stated}
        asked = requests(own, _defaults(), folder_of(path))
        if left_out is not None and not is_allowed(path, data):
            beside = [request for request in asked if request.key != "kb"]
            asked = [request for request in asked if request.key == "kb"]
            for request in beside:
                del merged[request.key]
            if beside and not asked:
                left_out(beside)
        check_consent(path, data, asked)
    return _apply(Settings(), merged)


def file_requests(path: Path) -> tuple[bytes, list[Request]]:
    """A settings file's content, and what in it needs consent where the file merely lies in the working folder.

    Raises:
        SettingsError: It cannot be read, or holds a mistake.
    """
    data = _read_file(path)
    flat = as_now(_flatten(_parsed(data, path)), str(path), tell=False)
    values = {key: _checked(key, value, str(path)) for key, value in flat.items()}
    return data, requests(values, _defaults(), folder_of(path))


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error}", hint="it must be UTF-8 TOML") from error
    if len(data) > MAX_FILE_BYTES:
        raise SettingsError(f"{path} has more than {MAX_FILE_BYTES:,} bytes", hint="settings are a few lines")
    return data


def _parsed(data: bytes, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"{path} cannot be read: {error}", hint="it must be UTF-8 TOML") from error


def _defaults() -> dict[str, Any]:
    plain = Settings()
    return {key: functools.reduce(getattr, key.split("."), plain) for key in known_keys()}


def known_keys() -> dict[str, Any]:
    """Every dotted key with its type."""
    keys: dict[str, Any] = {}
    hints = typing.get_type_hints(Settings)
    for item in dataclasses.fields(Settings):
        kind = hints[item.name]
        if dataclasses.is_dataclass(kind):
            sub = typing.get_type_hints(kind)
            for inner in dataclasses.fields(kind):
                if inner.metadata == NO_SETTING:
                    continue
                keys[f"{item.name}.{inner.name}"] = sub[inner.name]
        else:
            keys[item.name] = kind
    return keys


def _flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and name not in _TABLES:
            flat.update(_flatten(value, f"{name}."))
        else:
            flat[name] = value
    return flat


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    known = [*(key for key in known_keys() if key not in _TABLES), *FORMER]
    names = {"MIDAS_" + key.replace(".", "_").upper(): key for key in known}
    given = {name: value for name, value in environ.items() if name.startswith("MIDAS_") and name not in _NOT_SETTINGS}
    for short, full in _SHORT.items():
        if short in given:
            given.setdefault(full, given.pop(short))
            given.pop(short, None)
    given = {name: value for name, value in given.items() if not name.startswith(_SECRETS)}
    for name in given.keys() - names.keys():
        otherwise = "unset it; the documentation lists what can be set"
        raise SettingsError(
            f"unknown setting {name} in the environment", hint=did_you_mean(name, names, otherwise=otherwise)
        )
    return as_now({names[name]: value for name, value in given.items()}, "the environment")


def _checked(key: str, value: Any, origin: str) -> Any:
    keys = known_keys()
    if key not in keys:
        raise SettingsError(f"unknown setting {key!r} in {origin}", hint=did_you_mean(key, sorted(keys)))
    value = converted(key, keys[key], value, origin)
    if key in RANGES and not RANGES[key][0] <= value <= RANGES[key][1]:
        low, high = RANGES[key]
        raise SettingsError(f"{key} = {value} in {origin} is out of range", hint=f"use {low:g} to {high:g}")
    if key in DURATIONS and value not in DURATIONS[key]:
        try:
            if not duration(value, key)[0] > 0.0 and not DURATIONS[key]:
                raise SettingsError(f"{key} = {value!r} is no time at all")
        except SettingsError as error:
            raise SettingsError(f"{error.message} in {origin}", hint=error.hint) from None
    if key in CHOICES and value not in CHOICES[key]:
        known = (*CHOICES[key], *(p.name for p in listed("midas.researchers") if key == "model.provider"))
        if value not in known:
            raise SettingsError(f"{key} = {value!r} in {origin} is not known", hint="one of " + ", ".join(known))
    return value


def _apply(settings: Settings, merged: dict[str, Any]) -> Settings:
    sections: dict[str, dict[str, Any]] = {}
    top: dict[str, Any] = {}
    for key, value in merged.items():
        section, _, name = key.rpartition(".")
        if section:
            sections.setdefault(section, {})[name] = value
        else:
            top[name] = value
    for section, values in sections.items():
        top[section] = dataclasses.replace(getattr(settings, section), **values)
    return dataclasses.replace(settings, **top)
