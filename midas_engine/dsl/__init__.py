"""The expression language: one definition of a feature, computed over years and bar by bar alike."""

from __future__ import annotations

import importlib
from typing import Any

_EXPORTS = {
    "Expression": "expression",
    "parse": "expression",
    "canonical": "expression",
    "expression_hash": "expression",
    "FeatureEngine": "engine",
    "StreamEngine": "stream",
    "DSLValidator": "validator",
    "ValidationResult": "validator",
    "OPERATORS": "registry",
    "Operator": "registry",
    "explain": "document",
    "skill_document": "document",
    "similarity": "measures",
    "complexity": "measures",
    "Complexity": "measures",
    "units_warnings": "units",
    "random_expression": "generate",
    "warm_kernels": "warm",
    "AuditReport": "leaks.report",
    "ExpressionAuditor": "leaks.expressions",
    "audit": "leaks.expressions",
    "ComputeAuditor": "leaks.computes",
    "audit_compute": "leaks.computes",
}
__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for; importing the package imports nothing heavy."""
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"midas_engine.dsl.{_EXPORTS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return __all__
