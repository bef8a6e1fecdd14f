"""thresholds.json: strict JSON, refused whole when one key is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from midas_engine.errors import DocumentDamagedError, SettingsError
from midas_engine.kb.frontmatter import decode

PATH = "knowledge/thresholds.json"
_LIMIT = 100_000


def strict_json(text: str) -> Any:
    """JSON without NaN, infinities, duplicate keys or deep nesting.

    Raises:
        ValueError: With what is wrong.
    """

    def refuse_constant(name: str) -> None:
        raise ValueError(f"{name} is not a JSON number")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"the key {key[:60]!r} is there twice")
        return dict(pairs)

    try:
        return json.loads(text, parse_constant=refuse_constant, object_pairs_hook=unique)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def default_thresholds() -> dict[str, Any]:
    """The gates as first run writes them: the evaluator's own."""
    from midas_engine.evaluator.gates.thresholds import DEFAULT_THRESHOLDS

    return dict(DEFAULT_THRESHOLDS)


def parse_thresholds(data: bytes, where: str) -> dict[str, Any]:
    """The thresholds in a file, checked.

    Raises:
        SettingsError: Names the file, the key and its line.
    """
    from midas_engine.evaluator.gates.thresholds import validate_thresholds

    try:
        if len(data) > _LIMIT:
            raise ValueError(f"it has {len(data):,} bytes, more than {_LIMIT:,}")
        text = decode(data)
        value = strict_json(text)
    except json.JSONDecodeError as error:
        raise SettingsError(
            f"{where}, line {error.lineno}: {error.msg}", hint="it must be JSON; the last good thresholds stay in force"
        ) from error
    except (ValueError, DocumentDamagedError) as error:
        raise SettingsError(f"{where}: {error}", hint="the last good thresholds stay in force") from error
    if not isinstance(value, Mapping):
        raise SettingsError(f"{where}: it must hold one JSON object", hint="restore it from the program's defaults")
    try:
        return dict(validate_thresholds(value))
    except SettingsError as error:
        raise SettingsError(f"{where}{_line(text, error.message)}: {error.message}", hint=error.hint) from error


def _line(text: str, message: str) -> str:
    """Where the key that the message names stands; the last part of a dotted key is looked for."""
    for quoted in re.findall(r"['\"`]?([A-Za-z_][A-Za-z0-9_.]*)['\"`]?", message[:400]):
        for key in (quoted, quoted.rpartition(".")[2]):
            for number, line in enumerate(text.split("\n"), 1):
                if f'"{key}"' in line:
                    return f", line {number}"
    return ""
