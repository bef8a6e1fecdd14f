"""The expression language: one definition of a feature, computed over years and bar by bar alike."""

from __future__ import annotations

from midas_engine.lazy import lazy_face

_HOMES = {
    "AuditReport": ".leaks.report",
    "Complexity": ".measures",
    "ComputeAuditor": ".leaks.computes",
    "DSLValidator": ".validator",
    "Expression": ".expression",
    "ExpressionAuditor": ".leaks.expressions",
    "FeatureEngine": ".engine",
    "OPERATORS": ".registry",
    "Operator": ".registry",
    "StreamEngine": ".stream",
    "ValidationResult": ".validator",
    "audit": ".leaks.expressions",
    "audit_compute": ".leaks.computes",
    "canonical": ".expression",
    "complexity": ".measures",
    "explain": ".document",
    "expression_hash": ".expression",
    "parse": ".expression",
    "random_expression": ".generate",
    "similarity": ".measures",
    "skill_document": ".document",
    "units_warnings": ".units",
    "warm_kernels": ".warm",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = lazy_face(__name__, _HOMES)
