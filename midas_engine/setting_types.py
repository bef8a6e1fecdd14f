"""From what a file, a variable or a flag holds to the type that a setting has."""

from __future__ import annotations

import typing
from datetime import date
from pathlib import Path
from typing import Any

from midas_engine.errors import SettingsError
from midas_engine.model_options import check_options, read_price
from midas_engine.setting_ranges import COUNTS


def converted(key: str, kind: Any, value: Any, origin: str) -> Any:
    """A value as its key's type wants it, from TOML, the environment or a flag.

    Raises:
        SettingsError: It is of another type, naming the key and where it stood.

    Example:
        >>> converted("costs.fee_bps", float, "4", "the environment")
        4.0
    """
    wrong = SettingsError(f"{key} = {value!r} in {origin} is not of type {getattr(kind, '__name__', kind)}")
    try:
        if kind is bool:
            if isinstance(value, str):
                return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[value.lower()]
            if isinstance(value, bool):
                return value
            raise wrong
        if kind is int and not isinstance(value, bool | float):
            return int(value)
        if kind is float and not isinstance(value, bool):
            return float(value)
        if key in COUNTS and not isinstance(value, bool | float):
            return _counted(key, str(value), origin)
        if kind is str and isinstance(value, str | Path):
            return str(value)
        if typing.get_origin(kind) is tuple:
            items = value.split(",") if isinstance(value, str) else value
            numbers = tuple(int(v) for v in items)
            if not numbers or min(numbers) < 1:
                raise wrong
            return numbers
        if typing.get_origin(kind) is dict and isinstance(value, dict):
            table = _flat(value)
            if key == "model.cutoffs":
                table = {k: date.fromisoformat(v).isoformat() for k, v in table.items()}
            if key == "model.prices":
                for name, text in table.items():
                    read_price(text, name)
            if key == "model.options":
                check_options(table)
            return table
    except (KeyError, ValueError, TypeError):
        pass
    raise wrong


def _counted(key: str, value: str, origin: str) -> str:
    word, low, high = COUNTS[key]
    if value == word or value.isascii() and value.isdigit() and len(value) < 9 and low <= int(value) <= high:
        return value
    raise SettingsError(f"{key} = {value!r} in {origin} is out of range", hint=f"use {word}, or {low} to {high}")


def _flat(value: dict[Any, Any], prefix: str = "") -> dict[str, str]:
    """A table of texts; one within it joins its keys with a dot, a list its parts with commas."""
    found: dict[str, str] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            found |= _flat(item, f"{prefix}{key}.")
        elif isinstance(item, bool):
            found[f"{prefix}{key}"] = "yes" if item else "no"
        else:
            found[f"{prefix}{key}"] = ",".join(map(str, item)) if isinstance(item, list) else str(item)
    return found
