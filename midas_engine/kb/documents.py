"""Features as text and back, with a seal that tells a flipped bit from a file that was left alone."""

from __future__ import annotations

import hashlib
import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from midas_engine.errors import DocumentDamagedError, NameRefusedError
from midas_engine.kb.frontmatter import Document, clean, decode, parse, render
from midas_engine.kb.names import check_name, split_version
from midas_engine.models import FeatureRecord, FeatureState
from midas_engine.redaction import redacted
from midas_engine.text import markdown_table

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_EXPRESSION = 4096
MAX_HISTORY = 200

_TEXTS = ("hypothesis", "session_id", "reason", "gate", "role")
_FLAGS = ("paused", "killed")
_TIMES = ("created_at", "changed_at")
_NUMBERS = ("expected_score", "breadth")
_BARS = ("hold_bars", "horizon_bars")
_ORIGINAL = {"dsl": "expression", "formula": "expression", "created": "created_at", "status": "state"}


def seal(fields: Mapping[str, Any], body: str) -> str:
    """Hashes of front matter and body, as `front-body`."""
    front = json.dumps({k: v for k, v in fields.items() if k != "seal"}, sort_keys=True, separators=(",", ":"))
    return f"{_short(front)}-{_short(body.strip())}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def seal_state(document: Document) -> tuple[bool, bool]:
    """Whether front matter and body are as Midas left them; both True for a file without a seal."""
    found = document.fields.get("seal")
    if not isinstance(found, str):
        return found is None, True
    front, _, body = seal(document.fields, document.body).partition("-")
    known_front, _, known_body = found.partition("-")
    return front == known_front, body == known_body


def feature_text(record: FeatureRecord, body: str | None = None) -> str:
    """The file of a feature.

    Args:
        record: What to write; fields at their default are left out.
        body: Notes to keep below the front matter; None writes the standard ones.

    Raises:
        NameRefusedError: The name is not allowed.
        DocumentDamagedError: The expression is empty or too long, or a figure cannot be written.
    """
    record = redacted(record)  # before it is sealed
    check_name(record.name)
    if not record.expression.strip() or len(record.expression) > MAX_EXPRESSION:
        raise DocumentDamagedError(f"{record.name}: the expression is empty or longer than {MAX_EXPRESSION} characters")
    fields: dict[str, Any] = {
        "name": record.name,
        "state": record.state.value,
        "version": record.version,
        "expression": record.expression,
    }
    fields |= {key: stamp.isoformat() for key in _TIMES if (stamp := getattr(record, key)) is not None}
    for key in (*_TEXTS, *_FLAGS, *_NUMBERS, *_BARS, "lineage", "metrics"):
        value = getattr(record, key)
        if value not in ("", None, False, 0, (), {}) or (key in _NUMBERS and value is not None):
            fields[key] = value
    if record.history:
        fields["history"] = record.history[-MAX_HISTORY:]
    fields = clean(fields)
    text = standard_body(record) if body is None else body
    fields["seal"] = seal(fields, text)
    return render(fields, text)


def standard_body(record: FeatureRecord) -> str:
    """What a new feature's file says below the front matter."""
    lines = [f"# {record.name}", ""]
    if record.hypothesis.strip():
        lines += [record.hypothesis.strip(), ""]
    lines += ["## Expression", "", "```", record.expression.strip(), "```", ""]
    if record.gate:
        lines += ["## Gate", "", f"Held {record.hold_bars} bars after each trigger:", "", "```", record.gate, "```", ""]
    flat = {k: v for k, v in record.metrics.items() if isinstance(v, int | float | str) and len(str(v)) < 80}
    if flat:
        figures = [(name, f"{value:.6g}" if isinstance(value, float) else value) for name, value in flat.items()]
        lines += ["## Figures at acceptance", "", markdown_table(("figure", "value"), figures)]
    lines += ["## Notes", ""]
    return str(clean("\n".join(lines))).replace("\r\n", "\n").replace("\r", "\n")


def feature_from_bytes(data: bytes, name: str, folder_state: FeatureState, path: str) -> FeatureRecord:
    """The record in a feature's file; damage is carried in `damaged`, never raised.

    Args:
        data: The file's bytes.
        name: The name its file name gives.
        folder_state: The state its folder gives; a candidate's file may say that it is in shadow.
        path: Relative path, for the record.
    """
    try:
        check_name(name)
        document = parse(decode(data))
        if not seal_state(document)[0]:
            raise DocumentDamagedError(
                "the front matter is not what Midas wrote: damaged, or edited by hand",
                hint="if the edit is yours, delete the line that starts with 'seal:'",
            )
        return _feature(document, name, folder_state, path)
    except (DocumentDamagedError, NameRefusedError) as error:
        return damaged_feature(name, folder_state, path, str(error))


def damaged_feature(name: str, state: FeatureState, path: str, reason: str) -> FeatureRecord:
    """A record that stands for a file that cannot be read."""
    return FeatureRecord(name=name[:120], expression="", state=state, path=path, damaged=reason)


def _feature(document: Document, name: str, folder_state: FeatureState, path: str) -> FeatureRecord:
    fields = {_ORIGINAL.get(k, k) if document.style == "bold" else k: v for k, v in document.fields.items()}
    written = fields.get("name", name)
    if document.style != "bold" and written != name:
        raise DocumentDamagedError(f"the file says its name is {ascii(written)[:60]}")
    expression = fields.get("expression")
    if not isinstance(expression, str) or not expression.strip() or len(expression) > MAX_EXPRESSION:
        raise DocumentDamagedError("it has no usable `expression`")
    if document.style == "bold":
        fields = {k: v for k, v in fields.items() if k in ("expression", "hypothesis", *_TIMES)}
    state = folder_state
    if folder_state is FeatureState.CANDIDATE and fields.get("state") == FeatureState.SHADOW:
        state = FeatureState.SHADOW
    values: dict[str, Any] = {key: _text(fields, key) for key in _TEXTS}
    values |= {key: _flag(fields, key) for key in _FLAGS}
    values |= {key: moment(fields, key) for key in _TIMES}
    values |= {key: _number(fields, key) for key in _NUMBERS}
    values["version"] = _whole(fields, "version", split_version(name)[1], least=1)
    values |= {key: _whole(fields, key, 0, least=0) for key in _BARS}
    values["lineage"] = tuple(check_name(v) for v in _list(fields, "lineage", str))
    values["history"] = tuple(_list(fields, "history", dict))
    metrics = fields.get("metrics") or {}
    if not isinstance(metrics, dict):
        raise DocumentDamagedError("`metrics` is not a list of `key: value` lines")
    return FeatureRecord(name=name, expression=expression, state=state, metrics=metrics, path=path, **values)


def _text(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DocumentDamagedError(f"`{key}` is not text")
    return value


def _flag(fields: Mapping[str, Any], key: str) -> bool:
    value = fields.get(key, False)
    if not isinstance(value, bool):
        raise DocumentDamagedError(f"`{key}` is {ascii(value)[:40]}; only true or false will do")
    return value


def _number(fields: Mapping[str, Any], key: str) -> float | None:
    value = fields.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DocumentDamagedError(f"`{key}` is not a finite number")
    return float(value)


def _whole(fields: Mapping[str, Any], key: str, default: int, *, least: int) -> int:
    value = fields.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 1_000_000:
        raise DocumentDamagedError(f"`{key}` is not a whole number from {least} up")
    return value


def _list(fields: Mapping[str, Any], key: str, kind: type) -> list[Any]:
    value = fields.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(v, kind) for v in value):
        raise DocumentDamagedError(f"`{key}` is not a list of {'entries' if kind is dict else 'texts'}")
    return value


def moment(fields: Mapping[str, Any], key: str) -> datetime | None:
    """A UTC instant of a document; a date or a naive time is taken for UTC.

    Raises:
        DocumentDamagedError: It is there and is not a time.
    """
    value = fields.get(key)
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value)
    except (ValueError, TypeError) as error:
        raise DocumentDamagedError(f"`{key}` is not a time such as 2025-01-15T08:00:00+00:00") from error
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError as error:
        raise DocumentDamagedError(f"`{key}` is out of range") from error
