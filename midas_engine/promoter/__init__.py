"""The feature pipeline: every transition is one change on disk, journalled, and undoable except kill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.promoter.preview import Preview
    from midas_engine.promoter.promoter import FeaturePromoter
    from midas_engine.promoter.rules import unmet_gates


__all__ = ["FeaturePromoter", "Preview", "unmet_gates"]

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "FeaturePromoter": ".promoter",
        "Preview": ".preview",
        "unmet_gates": ".rules",
    },
)
