"""Replies are data: one fenced JSON object, bounded, typed, with nothing assumed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from midas_engine.errors import ModelReplyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_REPLY = 200_000
MAX_STRING = 8_000
MAX_ITEMS = 64
MAX_FENCES = 1_000
MAX_OPENED = 4_000  # brackets, those inside of texts too; building more holds up the loop
MAX_WHOLE = 2**53  # beyond it a whole number is none to other programs
MAX_NUMBER = 1e300
MOST_QUOTED = 16  # fences that one text of a reply may quote: the search stays linear
_TICKS = "```"
_ESCAPED = re.compile(r"\\.")
_THOUGHT = "</think>"  # what stands before it a model said to itself
_FENCE_LINE = 80  # characters of an opening line that are looked at: the search stays linear


def parse_reply(
    text: str, fields: Mapping[str, type | tuple[type, ...]], *, optional: frozenset[str] = frozenset()
) -> dict[str, Any]:
    r"""The JSON object of a reply, checked against `fields`.

    Args:
        text: The whole reply: one fenced block among any words, or one object without a fence.
        fields: Name -> type. `str`, `int`, `float`, `bool`, `list`, `dict`, or a tuple of them. A float takes a
            whole number; a bool takes only true and false; a list holds strings or objects.
        optional: Fields that may be missing.

    Raises:
        ModelReplyError: More or less than one block, bad JSON, duplicate keys, NaN, a missing field or a
            wrong type; the message can be shown to the model.

    Example:
        >>> parse_reply('```json\n{"kill": false}\n```', {"kill": bool})
        {'kill': False}
    """
    if len(text) > MAX_REPLY:
        raise ModelReplyError(f"the reply has {len(text):,} characters, at most {MAX_REPLY:,} are read")
    record = _load(_block(text))
    if not isinstance(record, dict):
        raise ModelReplyError(f"the JSON must be an object, not {type(record).__name__}")
    checked: dict[str, Any] = {}
    for name, kind in fields.items():
        if name not in record:
            if name in optional:
                continue
            raise ModelReplyError(f"the field {name!r} is missing", hint="fields: " + ", ".join(fields))
        checked[name] = _typed(name, record[name], kind if isinstance(kind, tuple) else (kind,))
    return checked


def _block(text: str) -> str:
    """The one object of a reply. A model's thoughts, and fences that show something else, are no part of its answer."""
    if text.count(_TICKS) > MAX_FENCES:
        raise ModelReplyError(f"the reply has more than {MAX_FENCES:,} fences, exactly one block is wanted")
    text = text.rpartition(_THOUGHT)[2]
    fenced = list(_fenced(text))
    blocks = [block for label, block in fenced if label or block.lstrip().startswith(("{", "["))]
    # A block without a name beside one that is named as JSON shows something, a formula or a draft.
    named = [block for label, block in fenced if label]
    if len(named) == 1 or len(blocks) == 1:
        return (named or blocks)[0]
    if not fenced:
        start, end = text.find("{"), text.rfind("}")
        if 0 <= start < end:
            return text[start : end + 1]
        raise ModelReplyError("the reply has no fenced JSON block", hint="reply with exactly one ```json block")
    if len(fenced) == 1:
        return fenced[0][1]
    raise ModelReplyError(f"the reply has {len(blocks) or len(fenced)} fenced blocks, exactly one is wanted")


def _fenced(text: str) -> Iterator[tuple[bool, str]]:
    """Every block that is closed and not marked as another language's: whether it says JSON, and its inside.

    One pass, no backtracking.
    """
    at = 0
    while (start := text.find(_TICKS, at)) >= 0:
        at = start + len(_TICKS)
        end = text.find("\n", at, at + _FENCE_LINE)
        if end < 0:
            continue
        label = text[at:end].strip(" \t\r")
        foreign = label.isalnum() and text[max(0, start - 1) : start] in ("", "\n")
        if label not in ("", "json", "JSON") and not foreign:
            continue
        close = _closing(text, end + 1)
        if close < 0:
            return
        at = close + len(_TICKS)
        if label in ("", "json", "JSON"):
            yield bool(label), text[end + 1 : close]


def _closing(text: str, begin: int) -> int:
    """Where the fence of a block closes; ticks inside of a JSON text, which a rationale may quote, close none."""
    first = close = text.find(_TICKS, begin)
    if not text[begin:first].lstrip().startswith(("{", "[")):
        return first
    inside = False
    for _ in range(MOST_QUOTED):
        if close < 0:
            break
        inside ^= _ESCAPED.sub("", text[begin:close]).count('"') % 2 == 1
        if not inside:
            return close
        begin = close + len(_TICKS)
        close = text.find(_TICKS, begin)
    return first


def _load(block: str) -> Any:
    if block.count("{") + block.count("[") > MAX_OPENED:
        raise ModelReplyError(f"the JSON cannot be read: it opens more than {MAX_OPENED:,} objects and lists")
    try:
        return json.loads(block, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ModelReplyError(f"the JSON cannot be read: {str(error)[:200]}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:60]!r} stands twice")
        found[key] = value
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _typed(name: str, value: Any, kinds: tuple[type, ...]) -> Any:
    if isinstance(value, bool):
        if bool in kinds:
            return value
    elif isinstance(value, str) and str in kinds:
        return _text(value)
    elif value is None and type(None) in kinds:
        return None
    elif isinstance(value, int) and int in kinds and abs(value) <= MAX_WHOLE:
        return value
    elif isinstance(value, int | float) and float in kinds and abs(value) < MAX_NUMBER:  # a NaN is not
        return float(value)
    elif isinstance(value, dict) and dict in kinds:
        return _bounded(value)
    elif isinstance(value, list) and list in kinds:
        if len(value) > MAX_ITEMS:
            raise ModelReplyError(f"the list {name!r} has {len(value)} items, at most {MAX_ITEMS} are read")
        return [_bounded(v) for v in value]
    wanted = " or ".join("null" if k is type(None) else k.__name__ for k in kinds)
    raise ModelReplyError(f"the field {name!r} must be {wanted}, not {json.dumps(value, default=str)[:60]}")


def _bounded(value: Any) -> Any:
    """An item of a list: its texts are cut as the reply's own are."""
    if isinstance(value, dict):
        return {k[:MAX_STRING]: _text(v) if isinstance(v, str) else v for k, v in value.items()}
    return _text(value) if isinstance(value, str) else value


def _text(value: str) -> str:
    # NUL and lone surrogates cannot be written to disk; everything else is kept and shown as data.
    return value.replace("\x00", "").encode("utf-8", "replace").decode()[:MAX_STRING]
