"""The face of Midas: `from midas import create_midas`, `python -m midas ...` and the documented module paths.

The engine lives in `midas_engine`, the terminal in `midas_tui`.
"""

from typing import TYPE_CHECKING

from midas_engine.lazy import lazy_face

if TYPE_CHECKING:
    from midas_engine.dsl import DSLValidator
    from midas_engine.evaluator import AlphaEvaluator, MultiAgentEvaluator
    from midas_engine.factory import Midas, create_midas

__all__ = ["AlphaEvaluator", "DSLValidator", "Midas", "MultiAgentEvaluator", "create_midas"]
_HOME = {"Midas": "factory", "create_midas": "factory", "DSLValidator": "dsl"}
__getattr__, __dir__ = lazy_face(__name__, {name: f"midas_engine.{_HOME.get(name, 'evaluator')}" for name in __all__})
