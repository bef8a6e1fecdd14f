"""Values on the wire: engine dataclasses to JSON and back by their declared types. Unknown stays unknown.

NaN is null; infinities keep their sign as text, for "never" is not "not known". Nothing is executed to read a value:
types come from this process's own declarations, the text brings figures only.
"""

from __future__ import annotations

import collections.abc as abc
import dataclasses
import json
import math
import sys
import types
import typing
from datetime import date, datetime
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any

from midas_engine import models
from midas_engine.events import Event
from midas_engine.events.codec import event_types
from midas_engine.jsonable import plain

# Names that annotations use and that their modules import for type checkers only.
_NAMES: dict[str, Any] = {"Mapping": abc.Mapping, "Sequence": abc.Sequence, "Collection": abc.Collection, "Any": Any}
_NAMES |= {"datetime": datetime, "date": date, "Path": Path}
_NAMES |= {name: kind for name, kind in vars(models).items() if isinstance(kind, type)}
_HINTS: dict[type, dict[str, Any]] = {}
_AS_THEY_ARE = frozenset({str, int, bool, type(None)})
_NAMES_OF: dict[type, tuple[str, ...]] = {}
_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_INFINITE = {"inf": math.inf, "-inf": -math.inf}


class WireError(ValueError):
    """What came over the wire is not what it should be."""


def encoded(value: Any) -> Any:
    """`value` as JSON types.

    Example:
        >>> encoded((1.5, float("nan"), float("inf")))
        [1.5, None, 'inf']
    """
    exact = type(value)
    if exact is float and math.isfinite(value) or exact in _AS_THEY_ARE:
        return value
    if exact in _NAMES_OF:
        return _fields(value)
    if isinstance(value, bool | int | str) and not isinstance(value, Enum):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):  # an estimate is a float too
        _NAMES_OF[exact] = tuple(f.name for f in dataclasses.fields(value))
        return _fields(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None if math.isnan(value) else str(float(value))
    if isinstance(value, abc.Mapping):
        return {str(k): encoded(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [encoded(v) for v in value]
    if hasattr(value, "tolist"):
        return encoded(value.tolist())
    return plain(value)


def _fields(value: Any) -> dict[str, Any]:
    found = {"type": type(value).__name__} if isinstance(value, Event) else {}
    for name in _NAMES_OF[type(value)]:
        found[name] = encoded(getattr(value, name))
    return found


def packed(value: Any) -> bytes:
    """`value` as JSON bytes: ASCII, without blanks."""
    return _JSON.encode(encoded(value)).encode()


def unpacked(data: bytes | str) -> dict[str, Any]:
    """A message.

    Raises:
        WireError: It is no JSON object.
    """
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise WireError(f"it is no JSON: {str(error)[:100]}") from None
    if not isinstance(found, dict):
        raise WireError("a message is a JSON object")
    return found


def event_of(record: Any) -> Event | None:
    """An event; None for one that a newer Midas has and this one does not know.

    Raises:
        WireError: It is none.
    """
    if not isinstance(record, dict) or not isinstance(record.get("type"), str):
        raise WireError("it is no event")
    kind = event_types().get(record["type"])
    if kind is None:
        return None
    found = decoded(kind, {k: v for k, v in record.items() if k != "type"})
    assert isinstance(found, Event)
    return found


def decoded(kind: Any, value: Any) -> Any:
    """`value` as `kind` wants it.

    Raises:
        WireError: It does not fit.
    """
    try:
        return _decoded(kind, value)
    except WireError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise WireError(f"{getattr(kind, '__name__', kind)} cannot be read: {str(error)[:200]}") from None


def _decoded(kind: Any, value: Any) -> Any:
    if kind is Any or kind is object:
        return value
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _decoded(next(a for a in arguments if a is not type(None)), value)
    if origin in (tuple,):
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_decoded(arguments[0], v) for v in _listed(value))
        return tuple(_decoded(a, v) for a, v in zip(arguments, _listed(value), strict=True))
    if origin in (list, abc.Sequence, abc.Collection):
        return [_decoded(arguments[0], v) for v in _listed(value)]
    if origin in (dict, abc.Mapping):
        if not isinstance(value, dict):
            raise WireError(f"a mapping is not {type(value).__name__}")
        return {k: _decoded(arguments[1], v) for k, v in value.items()}
    return _simple(kind, value) if isinstance(kind, type) else value


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise WireError(f"a list is not {type(value).__name__}")
    return value


def _simple(kind: type, value: Any) -> Any:
    if kind is float:
        if value is None:
            return math.nan
        if isinstance(value, str):
            return _INFINITE[value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif kind is datetime:
        return datetime.fromisoformat(value)
    elif kind is date:
        return date.fromisoformat(value)
    elif kind is Path:
        return Path(str(value))
    elif issubclass(kind, StrEnum):
        return kind(value)
    elif dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise WireError(f"{kind.__name__} is not {type(value).__name__}")
        hints = _hints(kind)
        return kind(**{name: _decoded(hints[name], v) for name, v in value.items() if name in hints})
    elif kind in (str, bool) and isinstance(value, kind):
        return value
    elif kind is int and not isinstance(value, bool) and isinstance(value, int):
        return int(value)
    elif kind in (dict, tuple, list):
        return kind(value)
    raise WireError(f"{kind.__name__} is not {type(value).__name__}")


def _hints(kind: type) -> dict[str, Any]:
    if kind not in _HINTS:
        own = vars(sys.modules[kind.__module__])  # what its module calls so goes first
        _HINTS[kind] = typing.get_type_hints(kind, localns={**_NAMES, **own})
    return _HINTS[kind]
