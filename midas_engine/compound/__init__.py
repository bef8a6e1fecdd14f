"""Does memory make the next session cheaper? Paired campaigns with and without it, on markets whose truth is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.compound.figures import Compounding
    from midas_engine.compound.plan import CompoundPlan
    from midas_engine.compound.run import compound

__all__ = ["CompoundPlan", "Compounding", "compound"]

__getattr__, __dir__ = lazy_face(__name__, {"CompoundPlan": ".plan", "Compounding": ".figures", "compound": ".run"})
