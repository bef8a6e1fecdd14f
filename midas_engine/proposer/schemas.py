"""The form of each reply as a JSON schema, for providers that keep to one: the same fields that are read."""

from __future__ import annotations

from typing import Any

_TEXT: dict[str, Any] = {"type": "string"}
_TEXTS: dict[str, Any] = {"type": "array", "items": _TEXT}
_NUMBER: dict[str, Any] = {"type": "number"}
_WHOLE: dict[str, Any] = {"type": "integer"}


def _object(**fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


_CLAIM = _object(
    mechanism=_TEXT, sign=_WHOLE, horizon=_WHOLE, holding=_WHOLE, turnover=_NUMBER, columns=_TEXTS, confidence=_NUMBER
)
_CANDIDATE = {
    "name": _TEXT, "expression": _TEXT, "rationale": _TEXT, "gate": _TEXT, "hold": _WHOLE, "hypothesis": _CLAIM,
}  # fmt: skip

SCHEMAS: dict[str, dict[str, Any]] = {
    "plan": _object(hypothesis=_TEXT, approach=_TEXT, avoid=_TEXTS),
    "generate": _object(candidates={"type": "array", "items": _object(**_CANDIDATE)}),
    "refine": _object(**(_CANDIDATE | {"expression": {"type": ["string", "null"]}})),
    "learn": _object(
        title=_TEXT, pattern_identified=_TEXT, what_worked=_TEXT, what_failed=_TEXT, recommendation=_TEXT, tags=_TEXTS
    ),
    "diagnose": _object(
        root_cause=_TEXT, evidence=_TEXTS, fix_expression=_TEXT, fix_reason=_TEXT, kill={"type": "boolean"},
        kill_reason=_TEXT, learning=_TEXT,
    ),
}  # fmt: skip
