"""What memory offers a researcher: forms that lessons claim, and how much of it the base's own record lets it use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recalled:
    """A form that may work here.

    Attributes:
        text: The best spelling of it so far.
        form: Its skeleton.
        worked: Data sets on which it passed every gate of a research part.
        tried: Data sets on which it was tried.
        snapshots: Those data sets.
        lesson: Who claims it.
    """

    text: str
    form: str
    worked: int = 0
    tried: int = 0
    snapshots: tuple[str, ...] = ()
    lesson: str = ""


@dataclass(frozen=True, slots=True)
class Recall:
    """The forms, and how much of memory the base's record lets a session use.

    Attributes:
        forms: Forms of the lessons chosen for this session.
        factor: 1 uses all of it; 0.25 is the least.
        told: Why it is less than all, in words; empty when it is not.
    """

    forms: tuple[Recalled, ...] = ()
    factor: float = 1.0
    told: str = ""
