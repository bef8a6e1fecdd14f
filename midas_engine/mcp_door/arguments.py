"""What is wrong with the arguments of a tool, in words that an agent can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.text import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_KINDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "object": "an object",
    "array": "a list",
    "boolean": "true or false",
}


def takes(tool: str, schema: Mapping[str, Any]) -> str:
    """What a tool takes, on one line.

    Args:
        tool: Its name.
        schema: The JSON schema of its arguments.
    """
    needed = set(schema.get("required", ()))
    known: Mapping[str, Any] = schema.get("properties", {})
    must = [f"{name} ({_kind(field)})" for name, field in known.items() if name in needed]
    may = [f"{name} ({_kind(field)})" for name, field in known.items() if name not in needed]
    parts = ([", ".join(must)] if must else []) + (["if wanted " + ", ".join(may)] if may else [])
    return f"{tool} takes {'; '.join(parts)}" if parts else f"{tool} takes no arguments"


def unknown(tool: str, schema: Mapping[str, Any], given: Iterable[str]) -> str:
    """Why arguments are refused that a tool does not have; empty where it has all of them."""
    known = list(schema.get("properties", {}))
    odd = [name for name in given if name not in known]
    if not odd:
        return ""
    near = nearest(odd[0][:40], known)
    meant = f"; did you mean {near}?" if near else ""
    return f"{tool} has no argument {', '.join(repr(name[:40]) for name in odd[:5])}{meant}; {takes(tool, schema)}"


def misfit(tool: str, schema: Mapping[str, Any], given: Mapping[str, Any], places: Iterable[str]) -> str:
    """Why arguments are refused that are missing, or of another kind than the tool's.

    Args:
        tool: Its name.
        schema: The JSON schema of its arguments.
        given: What came.
        places: The arguments at fault.
    """
    found = []
    for name in dict.fromkeys(places):
        if name not in given:
            found.append(f"{name} is missing")
        else:
            wanted = _kind(schema.get("properties", {}).get(name, {}))
            found.append(f"{name} is {_shown(given[name])}, where {wanted} belongs")
    return f"{tool}: {'; '.join(found) or 'its arguments cannot be read'}; {takes(tool, schema)}"


def _kind(field: Mapping[str, Any]) -> str:
    kinds = [str(one.get("type", "")) for one in field.get("anyOf", (field,))]
    return " or ".join(_KINDS[kind] for kind in kinds if kind in _KINDS) or "something else"


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)[:60]
