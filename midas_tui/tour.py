"""The played case as steps: what a card at the edge says, which keys it names, and when a step is done.

The tour never acts for the person: it waits. The same steps are the end-to-end test and the sequence of pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from textual.content import Content

from midas_engine.events import DiagnosisFinished

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from midas_tui.runtime_protocol import RuntimePort
    from midas_tui.store import Store

GOAL = "funding carry"


class PlayedPort(Protocol):
    """What the tour needs of the played runtime beside what every runtime has."""

    @property
    def playing(self) -> bool: ...  # noqa: D102
    @property
    def over(self) -> bool: ...  # noqa: D102
    @property
    def called(self) -> dict[str, int]: ...  # noqa: D102
    def play(self) -> None: ...  # noqa: D102
    def truth(self, found: str = "") -> Sequence[str]: ...  # noqa: D102


class Tour:
    """Where in the case the person is.

    Args:
        store: What the steps look at.
        show: Shows a text over the page, under a title.
        runtime: The engine.
        played: The same, as what lets time pass.

    Attributes:
        place: Index of the step.
        found: What the session found first, once it did.
    """

    def __init__(
        self, store: Store, show: Callable[[str, Content], object], runtime: RuntimePort, played: PlayedPort
    ) -> None:
        self.store, self.show, self.played = store, show, played
        self._heard = runtime.bus.subscribe("tour", DiagnosisFinished)
        self.diagnosed: set[str] = set()
        self.place = 0
        self.found = ""
        self._live: frozenset[str] = frozenset()

    @property
    def step(self) -> Step:
        """The step that is waited for."""
        return STEPS[min(self.place, len(STEPS) - 1)]

    @property
    def victim(self) -> str:
        """The first feature that was called dead."""
        return min(self.played.called, key=lambda name: self.played.called[name], default="")

    def look(self) -> bool:
        """See whether the step is done; begin the next one then. True when it was."""
        self.diagnosed |= {e.feature for e in self._heard.take() if isinstance(e, DiagnosisFinished)}
        if self.place >= len(STEPS) - 1 or not self.step.done(self):
            return False
        self.place += 1
        if self.step.begin is not None:
            self.step.begin(self)
        return True

    def card(self, *, brief: bool = False) -> Content:
        """What the card says; `brief` in a sentence or two, below the keys."""
        step = self.step
        if brief:
            head = f"{self.place + 1} of {len(STEPS)}  {step.title}"
            said = step.brief.format(found=self.found or "it", victim=self.victim or "it")
            return Content.assemble((head, "$accent"), (f"   {step.keys}" if step.keys else "", "$ok"), f"\n{said}")
        head = f"{self.place + 1} of {len(STEPS)}  {step.title}\n"
        text = step.text.format(found=self.found or "it", victim=self.victim or "it")
        return Content.assemble((head, "$accent"), text, (f"\n{step.keys}" if step.keys else "", "$ok"))

    # -- what steps ask ------------------------------------------------------------------------------

    def session_runs(self) -> bool:
        """A session was started."""
        return bool(self.store.sessions)

    def session_found(self) -> bool:
        """A session is over, and left a candidate."""
        pipeline = self.store.pipeline
        accepted = [n for s in self.store.sessions.values() for n in s.accepted]
        waiting = {r.name for r in pipeline.candidates} if pipeline is not None else set()
        kept = [name for name in accepted if name in waiting]
        if self.store.running_session is not None or not kept:
            return False
        self.found = kept[0]
        self._live = self._deployed()
        return True

    def _deployed(self) -> frozenset[str]:
        pipeline = self.store.pipeline
        return frozenset(r.name for r in pipeline.deployed) if pipeline is not None else frozenset()

    def promoted(self) -> bool:
        """What was found is deployed, or another candidate that the person preferred."""
        chosen = self._deployed() - self._live
        if chosen and self.found not in chosen:
            self.found = min(chosen)
        return bool(chosen)

    def stopped(self) -> bool:
        """Time stands, and something was called."""
        return bool(self.played.called) and not self.played.playing

    def explained(self) -> bool:
        """The first that was called has a diagnosis that was asked for."""
        return self.victim in self.diagnosed

    def killed(self) -> bool:
        """The first that was called is not deployed any more."""
        pipeline = self.store.pipeline
        return pipeline is not None and not any(r.name == self.victim for r in pipeline.deployed)

    def second(self) -> bool:
        """Another one was called, or the year is over."""
        return not self.played.playing and (len(self.played.called) > 1 or self.played.over)

    def reveal(self) -> None:
        """The truth, over the page."""
        self.show("the truth", Content("\n".join(self.played.truth(self.found))))


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        title: In a word or two.
        brief: The text where there is little room.
        text: What is seen, and what to do; `{found}` and `{victim}` are features.
        keys: The keys it names.
        done: Whether it is done.
        begin: What happens when it begins.
    """

    title: str
    brief: str
    text: str
    keys: str
    done: Callable[[Tour], bool]
    begin: Callable[[Tour], None] | None = None


STEPS: tuple[Step, ...] = (
    Step(
        "find something",
        "A made-up market, so the truth is known. Search for 'funding carry': the example that enter alone takes.",
        "This market is made up, so that the truth is known. Something in it can be found, and two features that are "
        f"live already will die. Start a search for {GOAL!r}: it is the example that enter alone takes.",
        "3  r  enter",
        Tour.session_runs,
    ),
    Step(
        "watch it search",
        "Each try raises the line that t must pass. What passes is looked at on sealed bars. A minute at most.",
        "It proposes, measures and learns. Each try raises the line that t must pass. What passes is looked at once on "
        "bars that were sealed. This takes a minute at most.",
        "",
        Tour.session_found,
    ),
    Step(
        "promote",
        "It found {found}. Put the cursor on it and ask to promote it: the dialog says what is against it.",
        "It found {found}. Put the cursor on it and ask to promote it: the dialog measures it on today's data and says "
        "what speaks against it, what it is worth to the book, and how soon its death would be noticed.",
        "2  p  y",
        Tour.promoted,
    ),
    Step(
        "live",
        "{found} is live, on paper, beside two older ones. Time stops when a test calls one dead.",
        "{found} is live, on paper, beside two older features. Days pass in seconds now; the sentence on top says what "
        "matters. Time stops when a test calls something dead.",
        "1",
        Tour.stopped,
        lambda tour: tour.played.play(),
    ),
    Step(
        "alarm",
        "{victim} is called dead: its evidence bar is full. Put the cursor on it and ask for a diagnosis.",
        "{victim} is called dead. Its evidence bar is full; the axis below shows when. Put the cursor on it and ask "
        "for a diagnosis.",
        "1  D",
        Tour.explained,
        lambda tour: tour.diagnosed.clear(),  # the tests explain an alarm by themselves; this one is asked for
    ),
    Step(
        "kill",
        "The diagnosis is in 4 Learnings. On {victim} among the deployed (h and l): say why, type its name.",
        "The diagnosis stands in 4 Learnings. Stop {victim}: put the cursor on it among the deployed (h and l change "
        "the column), say why, type its name. A kill is the one thing that cannot be undone.",
        "2  K",
        Tour.killed,
    ),
    Step(
        "go on",
        "It is out of the book; the rest goes on. Watch what the others do.",
        "It is out of the book; the rest goes on. Watch what the others do.",
        "1",
        Tour.second,
        lambda tour: tour.played.play(),
    ),
    Step(
        "the truth",
        "That was the whole life of a feature. Yours: midas-tui --kb ./midas-kb, or midas data fetch.",
        "That was the whole life of a feature. Your own begins with midas-tui --kb ./midas-kb on the sample, or with "
        "midas data fetch for a venue's history.",
        "q",
        lambda _: False,
        Tour.reveal,
    ),
)
