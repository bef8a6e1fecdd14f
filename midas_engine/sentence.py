"""One sentence about everything that is watched: how many are healthy, the most important thing now, who must act."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from midas_engine.text import one_line

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence
    from datetime import datetime

    from midas_engine.events import Trouble
    from midas_engine.models import Alert, FeatureMetrics

# Names in a sentence; the rest is a number.
MOST_NAMED = 2
# Fewer daily sums say nothing of how far they vary.
LEAST_DAYS = 5
_NOT_YET = ("starting", "warming")


@dataclass(frozen=True, slots=True)
class Money:
    """What the book earned on paper, in bps net of costs, with its standard error, over so many days."""

    net_bps: float
    se_bps: float
    days: int

    @classmethod
    def of(cls, days: Sequence[float], first: datetime, last: datetime) -> Money | None:
        """The sum of its days and the error of that sum; None below five days.

        Args:
            days: What each day with a known bar earned, in bps.
            first: Open time of the first known bar.
            last: And of the newest bar.
        """
        n = len(days)
        if n < LEAST_DAYS:
            return None
        net = math.fsum(days)
        squares = math.fsum((day - net / n) ** 2 for day in days)
        return cls(net, math.sqrt(squares / (n - 1) * n), round((last - first).total_seconds() / 86_400))

    @property
    def told(self) -> str:
        """A loss in words."""
        return f"the book lost {-self.net_bps:,.0f} ± {self.se_bps:,.0f} bps net on paper in {self.days} days"

    @property
    def loses(self) -> bool:
        """Whether it lost more than chance does in one book of twenty."""
        return self.net_bps + 1.645 * self.se_bps < 0.0


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known now; the sentence says the most important part of it.

    Attributes:
        phase: starting, warming, running, degraded, failed, stopping or stopped; `detail` says why.
        metrics: Newest figures of every watched feature.
        incidents: Running alerts, those of one incident as one, the loudest first.
        troubles: What is wrong with the base or the watch, the worst first.
        unwatched: How many live features nobody watches.
        proposals: Kills that wait for an operator, by feature, and why.
        ended: When recorded data ended; None where bars come.
        past: The moment that is looked at; None: now. Nothing of the past needs anybody.
        money: What the book earned; None where it is not known.
    """

    phase: str = "running"
    detail: str = ""
    metrics: Sequence[FeatureMetrics] = ()
    incidents: Sequence[Alert] = ()
    troubles: Sequence[Trouble] = ()
    unwatched: int = 0
    proposals: Mapping[str, str] = field(default_factory=dict)
    ended: datetime | None = None
    past: datetime | None = None
    money: Money | None = None


@dataclass(frozen=True, slots=True)
class Phrase:
    """A part of the sentence that is said whole or not at all.

    Attributes:
        text: Its words.
        rank: What is left out last where there is no room: 0 is said first of all.
        after: What stands between it and the next one.
        before: What stands before it instead of that.
    """

    text: str
    rank: int = 0
    after: str = "; "
    before: str = ""


@dataclass(frozen=True, slots=True)
class Sentence:
    """What to read first.

    Attributes:
        text: The sentence.
        level: "critical", "warning", "unknown" or "healthy"; healthy only where every live feature is known to be.
        needs: How many things wait for an operator.
        short: A few words, for a window's title.
        phrases: What it is made of, in the order read; empty: it is one phrase.
        names: Features, which are written as they are called wherever they stand.
    """

    text: str
    level: str
    needs: int = 0
    short: str = ""
    phrases: tuple[Phrase, ...] = ()
    names: frozenset[str] = frozenset()

    def within(self, room: int, ellipsis: str = "...") -> str:
        """The sentence in at most `room` characters: whole phrases, what needs somebody first.

        Only where the first phrase alone is too long is it cut, behind a word, and says so by `ellipsis`.

        Example:
            >>> head, ask = Phrase("1 of 5 healthy", 2, ". "), Phrase("stop carry?", 0, " ")
            >>> told = (head, ask, Phrase("its test says it died", 3), Phrase("1 needs you", 1))
            >>> Sentence("", "critical", 1, phrases=told).within(40)
            '1 of 5 healthy. Stop carry? 1 needs you.'
            >>> Sentence("", "critical", 1, phrases=told).within(26)
            'Stop carry? 1 needs you.'
        """
        whole = self.phrases or (Phrase(self.text.removesuffix(".")),)
        kept: list[Phrase] = []
        for phrase in sorted(whole, key=lambda p: p.rank):
            tried = [p for p in whole if p in (*kept, phrase)]
            if len(_joined(tried, self.names)) <= room:
                kept = tried
        first = min(whole, key=lambda p: p.rank)
        if first in kept:
            return _joined(kept, self.names)
        # The loudest fact is longer than the line: cut it, and keep what somebody is asked for.
        needed = _joined([p for p in kept if p.rank == 1 and self.needs], self.names)
        end = needed if len(needed) < room // 2 else ""
        left = room - len(ellipsis) - (len(end) + 1 if end else 0)
        words = _capital(first.text[: max(0, left)], self.names)
        cut = words[: words.rfind(" ")] if " " in words else words
        return f"{cut.rstrip(' ,;:')}{ellipsis}{' ' + end if end else ''}"


def sentence(now: Standing) -> Sentence:
    """The most important thing now, with its figure. Nothing is healthy by default.

    Example:
        >>> sentence(Standing()).text, sentence(Standing(phase="warming", detail="computing features")).text
        ('Nothing is live: nothing is watched, nothing earns.', 'Warming: computing features; nothing is known yet.')
    """
    if now.troubles:
        worst = now.troubles[0]
        whole = tuple(Phrase(one_line(t), rank) for rank, t in enumerate((worst.what, worst.hint)) if t)
        return Sentence(_joined(whole, ()), "critical", len(now.troubles), worst.badge, whole)
    if now.phase == "failed":
        return Sentence(f"Midas cannot run: {one_line(now.detail)}.", "critical", 1, "cannot run")
    if now.phase in _NOT_YET and not now.metrics:
        why = f": {one_line(now.detail)}" if now.detail else ""
        return Sentence(f"{now.phase.capitalize()}{why}; nothing is known yet.", "unknown", 0, now.phase)
    total = len(now.metrics) + now.unwatched
    if not total:
        return Sentence("Nothing is live: nothing is watched, nothing earns.", "unknown", 0, "nothing is live")
    return _of_features(now, total)


def _of_features(now: Standing, total: int) -> Sentence:
    status = {m.feature: m.status for m in now.metrics}
    healthy = sum(s == "healthy" for s in status.values())
    stale = sum(s == "stale" for s in status.values())
    head = f"{healthy} of {total} healthy" if healthy else f"None of {total} is known to be healthy"
    when = ""
    if now.ended is not None:
        # The day of the last bar, not of its close, as the badge beside it says.
        when = f"when the recording ended, {now.ended - timedelta(seconds=1):%Y-%m-%d}"
    if now.phase == "degraded":
        more = f": {one_line(now.detail)}" if now.detail else ""
        return Sentence(
            f"Bars are in doubt{more}; {f'{head} {when}'.rstrip().lower()} by what came.",
            "critical",
            1,
            "bars are in doubt",
        )
    if stale and stale == len(now.metrics):
        last = max(m.at for m in now.metrics)
        text = f"No bar was scored since {last:%m-%d %H:%M}: the figures of all {stale} are old, none is healthy."
        return Sentence(text, "critical", 1, f"no bar since {last:%H:%M}")
    killed = [name for name, s in status.items() if s == "killed"]
    open_ = [a for a in now.incidents if a.status == "open" and status.get(a.feature) != "killed"]
    loud = [a for a in open_ if a.severity == "critical"]
    if now.past is not None:
        head = f"On {now.past:%Y-%m-%d at %H:%M} {head[:1].lower()}{head[1:]}"
    needs = (
        0
        if now.past is not None
        else len(now.proposals) + len([a for a in loud if a.feature not in now.proposals]) + bool(now.unwatched)
    )
    loss = now.money if now.money is not None and now.money.loses else None
    urgent = bool(loud or now.proposals)
    gone = [Phrase(f"{_names(killed)} killed", 5)] if killed else []
    lost = [Phrase(loss.told, 6 if urgent else 2)] if loss is not None else []
    told = _most_important(now, open_, loud)
    facts = [*gone, *told, *lost] if urgent else [*gone, *lost, *told]  # a warning costs nothing yet
    calm = "nothing needs you" if now.ended is None and now.past is None and loss is None else ""
    asked = f"{needs} {'needs' if needs == 1 else 'need'} you" if needs else calm
    whole = tuple(
        phrase
        for phrase in (
            Phrase(head, 4 if urgent else 0, ". "),
            Phrase(when, 6, ". ", " "),
            *facts,
            Phrase(asked, 1 if needs else 7),
        )
        if phrase.text
    )
    names = frozenset(status)
    level = "critical" if loud or now.proposals else "warning" if open_ or now.unwatched or killed else "healthy"
    if level == "healthy" and healthy < total:
        level = "unknown"
    if level == "healthy" and loss is not None:
        level = "warning"  # no test calls, and it costs all the same
    short = f"{healthy} of {total} healthy" + (f", {needs} {'needs' if needs == 1 else 'need'} you" if needs else "")
    return Sentence(_joined(whole, names), level, needs, short, whole, names)


def _joined(phrases: Sequence[Phrase], names: Container[str]) -> str:
    """Phrases as one sentence."""
    text, begins = "", True
    for place, phrase in enumerate(phrases):
        if place:
            between = phrase.before or phrases[place - 1].after
            text += between
            begins = between.startswith(".")
        text += _capital(phrase.text, names) if begins else phrase.text
    return text if text.endswith("?") else text.rstrip(". ") + "."


def _most_important(now: Standing, open_: Sequence[Alert], loud: Sequence[Alert]) -> list[Phrase]:
    """The loudest kind of fact there is."""
    if now.proposals:
        name = min(now.proposals)
        more = f" (and {len(now.proposals) - 1} more)" if len(now.proposals) > 1 else ""
        return [Phrase(f"stop {name}{more}?", 0, " "), Phrase(one_line(now.proposals[name]), 3)]
    if loud:
        return _told(loud, 0, now.metrics)
    if now.unwatched:
        return [Phrase(f"nobody watches {now.unwatched} live {'feature' if now.unwatched == 1 else 'features'}", 1)]
    if open_:
        return _told(open_, 3, now.metrics)
    blind = [m.feature for m in now.metrics if m.status == "uncalibrated"]
    if blind:
        return [Phrase(f"nothing would notice the death of {_names(blind)}: no score was promised", 1)]
    return [Phrase(_nearest(now.metrics), 3)]


def _told(alerts: Sequence[Alert], rank: int, metrics: Sequence[FeatureMetrics]) -> list[Phrase]:
    """The first of them: what it says, and behind a colon why; until when, if not now; how many are beside it."""
    what, _, why = one_line(alerts[0].message).partition(": ")
    told = [Phrase(f"{alerts[0].feature}: {what}", rank), Phrase(why, 3, before=": ")]
    last, newest = alerts[0].last_seen_at, max((m.at for m in metrics), default=None)
    if newest is not None and last < newest:  # it runs until it was clear for long enough: its figure is not today's
        told.append(Phrase(f"last on {last:%m-%d %H:%M}", rank, before=", "))
    more = Phrase(f"(and {len(alerts) - 1} more)", 2, before=" ") if len(alerts) > 1 else Phrase("")
    return [phrase for phrase in (*told, more) if phrase.text]


def _nearest(metrics: Sequence[FeatureMetrics]) -> str:
    """Which feature is nearest to its alarm."""
    known = [m for m in metrics if m.status == "healthy" and math.isfinite(share_of_gate(m))]
    if not known:
        return ""
    worst = max(known, key=lambda m: (share_of_gate(m), m.feature))
    return f"nearest to its alarm is {worst.feature}, {share_of_gate(worst):.0%} of the way"


def share_of_gate(m: FeatureMetrics) -> float:
    """How far the evidence that a feature died is on the way to its alarm: 0 none, 1 calls; NaN where unknown."""
    if m.expected_score is None or not (math.isfinite(m.decay_log_s) and m.decay_threshold > 0.0):
        return math.nan
    return max(0.0, m.decay_log_s / m.decay_threshold)


def _names(names: Sequence[str]) -> str:
    shown = sorted(names)
    if len(shown) <= MOST_NAMED:
        return " and ".join(shown)
    return f"{', '.join(shown[:MOST_NAMED])} and {len(shown) - MOST_NAMED} more"


def _capital(text: str, names: Container[str] = ()) -> str:
    """`text` as a sentence begins; a feature's name is written as it is called."""
    return text if text.split(" ")[0].rstrip(":,") in names else text[:1].upper() + text[1:]
