"""The feature pipeline. The engine's `promoter` under the documented path."""

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.promoter import FeaturePromoter

__all__ = ["FeaturePromoter"]
__getattr__, __dir__ = lazy_face(__name__, dict.fromkeys(__all__, "midas_engine.promoter"))
