"""What is worth a message, and when: severities, one message for what has one cause, quiet hours."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from midas_engine.errors import SettingsError
from midas_engine.events import (
    AlertRaised,
    AlertUpdated,
    FaultReported,
    FeatureMoved,
    FeedGapped,
    KillProposed,
    ShadowProposal,
)
from midas_engine.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from midas_engine.events import Event

LOUDNESS = {"info": 0, "warning": 1, "critical": 2}
GATHER_SECONDS = 30.0
FORGET_HOURS = 24.0
_MOST_LINES, _LINE = 20, 300


@dataclass(frozen=True, slots=True)
class Hours:
    """A part of the day in UTC; one that ends before it begins goes over midnight."""

    begins: time
    ends: time

    def hold(self, at: datetime) -> bool:
        """Whether an instant lies within.

        Example:
            >>> Hours(time(22), time(7)).hold(datetime(2026, 1, 1, 3, tzinfo=UTC))
            True
        """
        now = at.astimezone(UTC).time()
        if self.begins <= self.ends:
            return self.begins <= now < self.ends
        return now >= self.begins or now < self.ends


def read_hours(text: str) -> Hours | None:
    """Quiet hours such as "22:00-07:00"; None where none are set.

    Raises:
        SettingsError: They cannot be read.
    """
    if not text:
        return None
    begins, _, ends = text.partition("-")
    return Hours(read_time(begins, "outbound.quiet_hours"), read_time(ends, "outbound.quiet_hours"))


def read_time(text: str, key: str) -> time:
    """A time of day in UTC.

    Raises:
        SettingsError: It is none.
    """
    try:
        return datetime.strptime(text.strip(), "%H:%M").time()
    except ValueError:
        raise SettingsError(f"{key}: {text!r} is no time of day", hint="as in 07:00, UTC") from None


@dataclass(frozen=True, slots=True)
class Word:
    """One line of a message.

    Attributes:
        cause: What has one cause has one of these: an incident, a part of the program, a feature's move.
    """

    cause: str
    severity: str
    text: str


def word_of(event: Event) -> Word | None:
    """What an event is worth saying; None: nothing."""
    if isinstance(event, AlertRaised | AlertUpdated):
        alert = event.alert
        return Word(alert.incident or alert.id, alert.severity.value, f"{alert.feature}: {alert.message}")
    if isinstance(event, FeatureMoved) and event.action == "kill":
        return Word(f"kill {event.feature}", "critical", f"{event.feature} is killed by {event.actor}: {event.reason}")
    if isinstance(event, KillProposed):
        return Word(
            f"kill proposed {event.feature}", "critical", f"{event.feature}: a kill is proposed: {event.reason}"
        )
    if isinstance(event, ShadowProposal):
        return Word(f"shadow {event.feature}", "warning", f"{event.feature} in shadow: {event.action}, {event.reason}")
    if isinstance(event, FeedGapped):
        return Word("feed", "warning", f"{event.missing_bars} bar(s) are missing from {event.first_missing:%H:%M} on")
    if isinstance(event, FaultReported):
        return Word(f"fault {event.where}", event.severity, f"{event.where}: {event.message}")
    return None


@dataclass(frozen=True, slots=True)
class Message:
    """Something to send.

    Attributes:
        causes: How loud each of its causes is: they are silent until they are louder.
    """

    title: str
    text: str
    causes: dict[str, int] = field(default_factory=dict)


@dataclass
class Gathering:
    """Words that came close together make one message; a cause that was told is silent until it is louder.

    Args:
        least: Least severity that is told.
        quiet: Hours in which only what is critical is told; the rest waits for their end.
    """

    least: str = "warning"
    quiet: Hours | None = None
    _told: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    _words: dict[str, list[Word]] = field(default_factory=dict)
    _since: datetime | None = None
    _more: int = 0

    def restore(self, heard: Sequence[Word], told: Mapping[str, tuple[int, datetime]], now: datetime) -> None:
        """Go on where another process ended: what it heard and did not tell, and what it told."""
        self._told.update(told)
        for word in heard:
            self.take(word, now)

    def take(self, word: Word, now: datetime) -> bool:
        """Hear a word; whether it will be told."""
        loud = LOUDNESS.get(word.severity, 1)
        if loud < LOUDNESS[self.least]:
            return False
        before = self._told.get(word.cause)
        if before is not None and _recent(before[1], now) and loud <= before[0]:
            return False
        said = self._words.setdefault(word.cause, [])
        if any(w.text == word.text for w in said):
            return False
        fits = len(said) < _MOST_LINES
        if fits:
            said.append(word)
        else:
            self._more += 1
        self._since = self._since or now
        return fits

    def due(self, now: datetime, *, at_once: bool = False) -> Message | None:
        """A message that is to be sent now; None: nothing is. `at_once`: wait for nothing more."""
        if self._since is None:
            return None
        # a clock that was set back must not make anybody wait for it
        if not at_once and 0 <= (now - self._since).total_seconds() < GATHER_SECONDS:
            return None
        quiet = self.quiet is not None and self.quiet.hold(now)
        ready = [cause for cause, words in self._words.items() if not quiet or _loudest(words) == "critical"]
        if not ready:
            return None
        words = [self._words.pop(cause) for cause in ready]
        causes = {cause: LOUDNESS.get(_loudest(said), 1) for cause, said in zip(ready, words, strict=True)}
        self._told.update({cause: (loud, now) for cause, loud in causes.items()})
        self._told = {c: v for c, v in self._told.items() if _recent(v[1], now)}
        more, self._more = self._more, 0
        self._since = now if self._words else None
        return Message(*message(words, more), causes)


def _recent(then: datetime, now: datetime) -> bool:
    """Within a day, before or after: a clock that was ahead for a while silences nothing for longer."""
    return abs(now - then) < timedelta(hours=FORGET_HOURS)


def _loudest(words: list[Word]) -> str:
    return max((w.severity for w in words), key=lambda s: LOUDNESS.get(s, 1))


def message(causes: list[list[Word]], more: int = 0) -> tuple[str, str]:
    """Title and text: a cause is one line, with how many it concerns."""
    causes = sorted(causes, key=lambda words: -LOUDNESS.get(_loudest(words), 1))
    lines = []
    for words in causes[:_MOST_LINES]:
        first = redact(words[0].text)[:_LINE]
        rest = f" (and {len(words) - 1} more with the same cause)" if len(words) > 1 else ""
        lines.append(f"{_loudest(words)}: {first}{rest}")
    left = more + sum(len(words) for words in causes[_MOST_LINES:])
    if left:
        lines.append(f"and {left} more")
    loud = _loudest(causes[0])
    return f"Midas: {len(causes)} {loud} thing(s)" if len(causes) > 1 else f"Midas: {loud}", "\n".join(lines)
