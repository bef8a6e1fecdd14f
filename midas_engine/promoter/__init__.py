"""The feature pipeline: every transition is one change on disk, journalled, and undoable except kill."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from midas_engine.promoter.preview import Preview
    from midas_engine.promoter.promoter import FeaturePromoter
    from midas_engine.promoter.rules import unmet_gates

_HOMES = {"FeaturePromoter": "promoter", "Preview": "preview", "unmet_gates": "rules"}

__all__ = ["FeaturePromoter", "Preview", "unmet_gates"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
