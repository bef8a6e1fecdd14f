"""What the book earned on paper: asked once a day of bars, and the same in every mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.sentence import Money

if TYPE_CHECKING:
    from datetime import datetime

    from midas_tui.runtime_protocol import RuntimePort


class Earned:
    """The answer that all modes share.

    Attributes:
        money: What was earned; None where it is not known.
        asked: The day and the state of the engine it was asked for.
    """

    def __init__(self) -> None:
        self.money: Money | None = None
        self.asked: object = None

    def at(self, runtime: RuntimePort | None, bar: datetime | None, answers: int) -> Money | None:
        """What is known at a bar.

        Args:
            runtime: The engine; None: none yet.
            bar: Open time of the newest bar; None: none came.
            answers: How often the engine's state was taken whole: after that what was unknown is asked again.
        """
        asked = (bar.date() if bar is not None else None, answers if self.money is None else None)
        if runtime is not None and bar is not None and asked != self.asked:
            axis = runtime.queries.timeline()  # reads the whole history
            self.money = Money.of(axis.at, axis.net_bps) if axis is not None else None
            self.asked = (bar.date(), answers if self.money is None else None)
        return self.money
