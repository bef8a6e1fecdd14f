"""Events to JSON-ready dictionaries and back."""

from __future__ import annotations

import dataclasses
import types
import typing
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from midas_engine.events.base import SCHEMA_VERSION, Event
from midas_engine.jsonable import plain


def event_types() -> dict[str, type[Event]]:
    """Every concrete event class by name."""
    found: dict[str, type[Event]] = {}
    pending: list[type[Event]] = [Event]
    while pending:
        for sub in pending.pop().__subclasses__():
            pending.append(sub)
            found[sub.__name__] = sub
    return found


def to_dict(event: Event) -> dict[str, Any]:
    """A JSON-ready dictionary: type, version and fields."""
    return {"type": type(event).__name__, "version": event.version, **plain(event)}


def from_dict(record: dict[str, Any]) -> Event:
    """The event that `to_dict` wrote; ValueError for an unknown type or a newer version."""
    kind = event_types().get(str(record.get("type")))
    if kind is None:
        raise ValueError(f"unknown event type {record.get('type')!r}")
    if int(record.get("version", 0)) > SCHEMA_VERSION:
        raise ValueError(f"event version {record['version']} is newer than {SCHEMA_VERSION}")
    fields = {k: v for k, v in record.items() if k not in ("type", "version")}
    event = _build(kind, fields)
    if not isinstance(event, Event):
        raise ValueError(f"{kind} is not an event")
    return event


_HINTS: dict[type, dict[str, Any]] = {}


def _build(kind: type, fields: dict[str, Any]) -> Any:
    hints = _HINTS.get(kind)
    if hints is None:
        hints = _HINTS[kind] = typing.get_type_hints(kind)
    return kind(**{name: _typed(value, hints[name]) for name, value in fields.items() if name in hints})


def _typed(value: Any, hint: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        options = [a for a in typing.get_args(hint) if a is not type(None)]
        if value is None:
            return None
        return _typed(value, options[0])
    if hint is float:
        return float("nan") if value is None else float(value)
    if origin is tuple:
        item = typing.get_args(hint)[0]
        return tuple(_typed(v, item) for v in value)
    if isinstance(hint, type):
        if hint is datetime:
            return datetime.fromisoformat(value)
        if hint is date:
            return date.fromisoformat(value)
        if issubclass(hint, StrEnum):
            return hint(value)
        if dataclasses.is_dataclass(hint):
            return _build(hint, value)
    return value
