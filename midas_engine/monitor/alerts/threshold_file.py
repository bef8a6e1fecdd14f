"""The operator's alert thresholds as a file of the knowledge base: optional, checked whole, refused by key and line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.errors import DocumentDamagedError, KnowledgeBaseError, SettingsError
from midas_engine.events import FaultReported
from midas_engine.kb.frontmatter import decode
from midas_engine.kb.thresholds import strict_json
from midas_engine.monitor.alerts.thresholds import merge_thresholds
from midas_engine.monitor.protocols import RawStore

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from midas_engine.monitor.alerts.engine import AlertEngine

PATH = "knowledge/alert-thresholds.json"
_LIMIT = 20_000


def read_alert_file(kb: object) -> dict[str, Any]:
    """The overrides in `knowledge/alert-thresholds.json`; none when there is no such file.

    Raises:
        SettingsError: The file is wrong; names it, the key and its line.
    """
    if not isinstance(kb, RawStore):
        return {}
    try:
        data = kb.read_raw(PATH)
    except FileNotFoundError:
        return {}
    except (OSError, DocumentDamagedError, KnowledgeBaseError) as error:
        raise SettingsError(f"{PATH} cannot be read: {error}") from error
    return parse_alert_file(data)


def take_alert_file(
    kb: object, engine: AlertEngine, overrides: Mapping[str, Any], at: datetime
) -> FaultReported | None:
    """Give an alert engine the file's thresholds, `overrides` before them; a wrong file is the fault given back."""
    if kb is None:
        return None
    try:
        engine.replace_thresholds({**read_alert_file(kb), **overrides})
    except SettingsError as error:
        hint = error.hint or "the last good thresholds stay"
        return FaultReported(at=at, where="alert thresholds", message=error.message, hint=hint)
    return None


def parse_alert_file(data: bytes) -> dict[str, Any]:
    """The overrides in the bytes of such a file; see `read_alert_file`."""
    if len(data) > _LIMIT:
        raise SettingsError(f"{PATH} has {len(data):,} bytes, more than {_LIMIT:,}")
    try:
        text = decode(data)
        found = strict_json(text)
    except (ValueError, DocumentDamagedError) as error:
        raise SettingsError(f"{PATH}: {error}", hint="it must be a JSON object of numbers") from error
    if not isinstance(found, dict):
        raise SettingsError(f"{PATH} must hold an object, not {type(found).__name__}")
    try:
        merge_thresholds(found)
    except SettingsError as error:
        raise SettingsError(f"{PATH}{_line(text, found, error.message)}: {error.message}", hint=error.hint) from error
    return found


def _line(text: str, found: Mapping[str, Any], message: str) -> str:
    """Where the key that a message speaks of stands."""
    key = next((k for k in found if k in message), "")
    place = text.find(f'"{key}"') if key else -1
    return f", line {text.count(chr(10), 0, place) + 1}" if place >= 0 else ""
