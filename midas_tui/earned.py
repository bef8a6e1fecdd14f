"""What the book earned on paper: asked at every bar, with the chart, and the same in every mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from midas_engine.events import BarProcessed
    from midas_engine.sentence import Money
    from midas_tui.runtime_protocol import RuntimePort


class Earned:
    """The answer that all modes share.

    Attributes:
        money: What was earned; None where it is not known.
    """

    def __init__(self) -> None:
        self.money: Money | None = None
        self._asked: object = None

    def at(self, runtime: RuntimePort | None, bar: BarProcessed | None, answers: int) -> Money | None:
        """What is known at a bar.

        Args:
            runtime: The engine; None: none yet.
            bar: The newest bar; None: none came.
            answers: How often the engine's state was taken whole, or a service answered.
        """
        asked = (bar, answers)
        if runtime is not None and bar is not None and asked != self._asked:
            self.money = runtime.queries.money()
            self._asked = asked
        return self.money
