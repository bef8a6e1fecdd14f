"""One discovery session as the screen shows it, folded from its events: its tree, its text, what it used up."""

from __future__ import annotations

import math
import re
from collections import deque
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING

from midas_engine import events as ev
from midas_tui.sanitise import StreamCleaner, clean

if TYPE_CHECKING:
    from datetime import datetime

STREAM_LINES = 2000
_AGENT = re.compile(r"(?:(?<=^)|(?<=; ))[a-z]+(?:_[a-z]+)*: ")


@dataclass(slots=True)
class TrialRow:
    """One expression of a session as the tree shows it.

    Attributes:
        key: Its place in the session.
        parent: Key of the expression it was to improve; empty for one that stands for itself.
        depth: How many it comes from.
        note: Why it was proposed.
        why: Why it was refused, in words.
        scored: What the six agents said; None before that.
        looked: The look at the sealed part; None without one.
    """

    key: str
    iteration: int
    name: str
    expression: str
    status: str
    note: str = ""
    parent: str = ""
    depth: int = 0
    why: str = ""
    scored: ev.CandidateScored | None = None
    looked: ev.HoldoutLooked | None = None

    @property
    def words(self) -> str:
        """Where it stands, with the reason where it was refused."""
        match self.status:
            case "accepted":
                return "saved as a candidate: enter"
            case "proposed":
                return "being scored"
            case "refused":
                return f"not scored: {self.why}" if self.why else "not scored"
            case "repeat":
                return self.why or "tried before"
        return self.why or self.status

    @property
    def brief(self) -> str:
        """The same without the names of the agents, which are in the detail: the reason comes first."""
        return _AGENT.sub("", self.words)


@dataclass(slots=True)
class SessionView:
    """One discovery session: its state, its text, its trials.

    Attributes:
        started: How it began, with its budget; None when its start was not heard.
        plans: The hypothesis of each iteration.
        trials: By key, in the order tried.
        looks: Looks at the sealed part that were paid for.
        calls: Model calls that were paid for.
        at: When it was last heard of.
        earlier: Known from the journal's list alone: it ended before this run.
        told: How many it tried, as the list says.
    """

    session_id: str
    goal: str = ""
    researcher: str = ""
    status: str = "running"
    iteration: int = 0
    max_iterations: int = 0
    phase: str = ""
    accepted: tuple[str, ...] = ()
    reason: str = ""
    learning: str = ""
    tokens: int = 0
    cost_usd: float = 0.0
    calls: int = 0
    started: ev.SessionStarted | None = None
    at: datetime | None = None
    earlier: bool = False
    told: int = 0
    plans: dict[int, str] = field(default_factory=dict)
    trials: dict[str, TrialRow] = field(default_factory=dict)
    looks: list[ev.HoldoutLooked] = field(default_factory=list)
    lines: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=STREAM_LINES))
    dropped: int = 0
    cleaner: StreamCleaner = field(default_factory=StreamCleaner)

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.status == "running"

    @property
    def began(self) -> datetime | None:
        """When it began; None when nobody told."""
        return self.started.at if self.started is not None else self.at

    @property
    def tried(self) -> int:
        """How many expressions it tried."""
        return len(self.trials) or self.told

    @property
    def replayed(self) -> bool:
        """Whether it repeats another from its record."""
        return self.started is not None and bool(self.started.replays)

    @property
    def minutes(self) -> float:
        """Time from its start to when it was last heard of; NaN when its start was not heard."""
        if self.started is None or self.at is None:
            return math.nan
        return max(0.0, (self.at - self.started.at).total_seconds() / 60.0)

    # -- text ------------------------------------------------------------------------------------

    def add_text(self, text: str, role: str = "") -> None:
        """Append streamed text: whole lines and the growing last one."""
        parts = self.cleaner.feed(text).split("\n")
        if self.lines and self.lines[-1][1] == role and role == "":
            self.lines[-1] = (self.lines[-1][0] + parts[0], role)
            parts = parts[1:]
        for part in parts:
            self._append(part, role)

    def add_line(self, text: str, role: str) -> None:
        """Append a line of our own (a heading, a verdict)."""
        while self.lines and not self.lines[-1][0].strip() and not self.lines[-1][1]:
            self.lines.pop()
        self._append(clean(text, newlines=False), role)
        self._append("", "")

    def _append(self, text: str, role: str) -> None:
        if len(self.lines) == STREAM_LINES:
            self.dropped += 1
        self.lines.append((text, role))

    # -- events ----------------------------------------------------------------------------------

    def apply(self, event: ev.SessionEvent) -> tuple[str, ...]:
        """Fold an event in; the topics that it touches besides the session's own."""
        self.at = event.at
        match event:
            case ev.SessionStarted():
                self._begin(event)
            case ev.PhaseStarted():
                self.iteration, self.phase = event.iteration, event.phase
                self.add_line(f"{event.iteration}. {event.phase}", "muted")
            case ev.TokensStreamed():
                self.tokens += 1
                self.add_text(event.text)
            case ev.PlanMade():
                self.plans[event.iteration] = event.hypothesis
                self.add_line(f"hypothesis: {event.hypothesis}", "accent")
            case ev.ExpressionProposed():
                row = self._plant(event.iteration, event.name, event.expression, event.refined_from)
                row.note = event.rationale
            case ev.ExpressionRefused():
                row = self._plant(event.iteration, event.name or "refused", event.expression, event.refined_from)
                row.status, row.why = "refused", event.reason
                self.add_line(
                    f"refused: {event.expression}: {event.reason.splitlines()[0] if event.reason else ''}", "warn"
                )
            case ev.CandidateScored():
                self._score(event)
            case ev.HoldoutLooked():
                self._look(event)
            case ev.CandidateAccepted():
                self.accepted = (*self.accepted, event.name)
                self.add_line(f"accepted: {event.name} = {event.expression}", "ok")
                return ("pipeline",)
            case ev.ModelCalled():
                self.cost_usd += 0.0 if event.again else event.cost_usd
                self.calls += not event.again
            case ev.SessionEnded():
                self._end(event)
                return ("documents", "pipeline")
            case _:
                pass
        return ()

    def _begin(self, event: ev.SessionStarted) -> None:
        self.started = event
        self.goal, self.researcher, self.max_iterations = event.goal, event.researcher, event.max_iterations
        self.add_line(f"goal: {event.goal}", "accent")
        if event.replays:
            self.add_line(f"session {event.replays} again, from its record: nothing is asked, written or charged", "ok")
        if event.destination:
            self.add_line(f"asks {event.destination}", "muted")

    def _plant(self, iteration: int, name: str, expression: str, refined_from: str) -> TrialRow:
        """A new row. A refinement follows what it improves, whatever the researcher calls the two."""
        parent: TrialRow | None = None
        if refined_from:
            own = list(takewhile(lambda t: t.iteration == iteration, reversed(self.trials.values())))
            parent = next((t for t in own if t.name == refined_from), own[0] if own else None)
        row = TrialRow(str(len(self.trials) + 1), iteration, name, expression, "proposed")
        if parent is not None:
            row.parent, row.depth = parent.key, parent.depth + 1
        self.trials[row.key] = row
        return row

    def _newest(self, iteration: int, name: str) -> TrialRow | None:
        own = takewhile(lambda t: t.iteration == iteration, reversed(self.trials.values()))
        return next((t for t in own if t.name == name), None)

    def _score(self, event: ev.CandidateScored) -> None:
        row = self._newest(event.iteration, event.name)
        if row is None:  # its proposal was not heard
            row = self._plant(event.iteration, event.name, event.expression, "")
        row.status = "accepted" if event.accepted else "repeat" if event.repeated else "rejected"
        row.scored, row.why = event, "" if event.accepted else event.why or _agents_words(event)
        verdict = "passes" if event.accepted else "fails"
        self.add_line(
            f"{event.name}: t {event.score_t:+.2f} against {event.line_t:.2f}, IC {event.rank_ic:+.3f}: {verdict}",
            "ok" if event.accepted else "muted",
        )

    def _look(self, event: ev.HoldoutLooked) -> None:
        if not event.repeated:
            self.looks.append(event)
        row = self._newest(event.iteration, event.name)
        if row is not None:
            row.looked = event

    def _end(self, event: ev.SessionEnded) -> None:
        self.add_text(self.cleaner.flush())
        self.status, self.reason, self.learning = event.result, event.reason, event.learning_path
        for row in self.trials.values():
            row.status = "not scored" if row.status == "proposed" else row.status
        role = {"success": "ok", "error": "crit"}.get(event.result, "accent")
        self.add_line(f"{event.result}: {event.reason or f'{event.tried} tried'}", role)


def _agents_words(event: ev.CandidateScored) -> str:
    """Why it was refused, of an event that does not say so itself."""
    failed = [f"{row.agent}: {row.summary}" for row in event.agents if not row.passed]
    if failed or event.repeated:
        return "; ".join(failed) or "tried before"
    if event.score_t < event.line_t:
        return f"t {event.score_t:+.2f} is below the line {event.line_t:.2f}"
    return "passed research, not confirmed on the sealed part"
