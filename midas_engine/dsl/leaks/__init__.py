"""Leak-proofing by execution: take the future away, change it, vary the start, and see whether the past moves.

Reading code for look-ahead misses what it was not taught to see. A value that moves when bars after it move has
seen them, however it was written.
"""

from __future__ import annotations

from midas_engine.lazy import lazy_face

_HOMES = {
    "AuditReport": ".report",
    "Check": ".report",
    "ComputeAuditor": ".computes",
    "ExpressionAuditor": ".expressions",
    "audit": ".expressions",
    "audit_compute": ".computes",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = lazy_face(__name__, _HOMES)
