"""Leak-proofing by execution: take the future away, change it, vary the start, and see whether the past moves.

Reading code for look-ahead misses what it was not taught to see. A value that moves when bars after it move has
seen them, however it was written.
"""

from __future__ import annotations

import importlib
from typing import Any

_EXPORTS = {
    "AuditReport": "report",
    "Check": "report",
    "ExpressionAuditor": "expressions",
    "audit": "expressions",
    "ComputeAuditor": "computes",
    "audit_compute": "computes",
}
__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
