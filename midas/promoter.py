"""The feature pipeline. The engine's `promoter` under the documented path."""

from typing import TYPE_CHECKING

from midas._face import forward

if TYPE_CHECKING:
    from midas_engine.promoter import FeaturePromoter

__all__ = ["FeaturePromoter"]
__getattr__ = forward("midas_engine.promoter", __all__)
