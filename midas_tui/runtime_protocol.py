"""What the terminal needs of the engine: one object with these parts. `midas_engine.runtime.Runtime` is it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from midas_engine.book.figures import BookFigures
    from midas_engine.bus import EventBus
    from midas_engine.events import ReplayMoved, Trouble
    from midas_engine.models import Alert, FeatureMetrics, PipelineSummary
    from midas_engine.monitor.daily.brief import Brief
    from midas_engine.sentence import Money
    from midas_tui.sessions_protocol import SessionsPort


class Document(Protocol):
    """One file of the knowledge base as the tree shows it."""

    @property
    def path(self) -> str: ...  # noqa: D102
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def damaged(self) -> str: ...  # noqa: D102


class TodaysFigure(Protocol):
    """One gate on today's data: value, standard error (NaN: none), and what it is held against."""

    @property
    def gate(self) -> str: ...  # noqa: D102
    @property
    def value(self) -> float: ...  # noqa: D102
    @property
    def error(self) -> float: ...  # noqa: D102
    @property
    def comparison(self) -> str: ...  # noqa: D102
    @property
    def threshold(self) -> float: ...  # noqa: D102
    @property
    def passed(self) -> bool: ...  # noqa: D102


class Preview(Protocol):
    """What an action would change, for the dialog that asks."""

    @property
    def changes(self) -> Sequence[tuple[str, str]]: ...  # noqa: D102
    @property
    def unmet(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def needs_reason(self) -> bool: ...  # noqa: D102
    @property
    def command(self) -> str: ...  # noqa: D102
    @property
    def undoable(self) -> bool: ...  # noqa: D102
    @property
    def figures(self) -> Sequence[TodaysFigure]: ...  # noqa: D102
    @property
    def data(self) -> str: ...  # noqa: D102
    @property
    def worth(self) -> str: ...  # noqa: D102
    @property
    def effects(self) -> Sequence[str]: ...  # noqa: D102


class ChartData(Protocol):
    """Recent bars of one feature: a series of floats per figure, oldest first, NaN where unknown; `at` their times."""

    @property
    def series(self) -> Mapping[str, Sequence[float]]: ...  # noqa: D102
    @property
    def at(self) -> Sequence[datetime]: ...  # noqa: D102


class Mark(Protocol):
    """Something that happened: promotion, demotion, alert, warning, diagnosis or kill."""

    @property
    def at(self) -> datetime: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def feature(self) -> str: ...  # noqa: D102
    @property
    def text(self) -> str: ...  # noqa: D102


class Timeline(Protocol):
    """Bars on one axis, oldest first: sums of net returns, drawdown, regime, and what happened when."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def at(self) -> tuple[datetime, ...]: ...  # noqa: D102
    @property
    def net_bps(self) -> tuple[float, ...]: ...  # noqa: D102
    @property
    def drawdown_bps(self) -> tuple[float, ...]: ...  # noqa: D102
    @property
    def regimes(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def marks(self) -> Sequence[Mark]: ...  # noqa: D102


class Portfolio(Protocol):
    """The test on the mean score of all live features; it calls when `log_s` reaches `threshold`."""

    @property
    def log_s(self) -> float: ...  # noqa: D102
    @property
    def threshold(self) -> float: ...  # noqa: D102
    @property
    def features(self) -> int: ...  # noqa: D102


class ForwardRecord(Protocol):
    """What a feature did on the bars it was watched; `forward` when they came after it was frozen."""

    @property
    def since(self) -> datetime: ...  # noqa: D102
    @property
    def bars(self) -> int: ...  # noqa: D102
    @property
    def score(self) -> float: ...  # noqa: D102
    @property
    def se(self) -> float: ...  # noqa: D102
    @property
    def t(self) -> float: ...  # noqa: D102
    @property
    def pnl_bps(self) -> float: ...  # noqa: D102
    @property
    def forward(self) -> bool: ...  # noqa: D102
    @property
    def graduation(self) -> str: ...  # noqa: D102
    @property
    def proposed(self) -> str: ...  # noqa: D102


class Unwatched(Protocol):
    """A live feature that nobody watches here, and why; `damaged` when its file cannot be used."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def why(self) -> str: ...  # noqa: D102
    @property
    def damaged(self) -> bool: ...  # noqa: D102


class Left(Protocol):
    """A feature that left the watch today: how, when and why."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def how(self) -> str: ...  # noqa: D102
    @property
    def at(self) -> datetime: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102


class WatchReport(Protocol):
    """The watch as it differs from the pipeline."""

    @property
    def unwatched(self) -> Sequence[Unwatched]: ...  # noqa: D102
    @property
    def left(self) -> Sequence[Left]: ...  # noqa: D102


class PipelinePort(Protocol):
    """The pipeline, shown and changed."""

    async def summary(self) -> PipelineSummary: ...  # noqa: D102
    async def preview(self, action: str, name: str) -> Preview: ...  # noqa: D102
    async def act(self, action: str, name: str, reason: str = "") -> str:
        """promote, book, demote, reject, kill, pause, resume, shadow, redeploy or rollback; says what happened."""
        ...

    async def live(self) -> Sequence[str]:
        """Live features that are not killed, by name."""
        ...

    async def kill_all(self, reason: str) -> AllDone: ...  # noqa: D102
    async def pause_all(self, reason: str) -> AllDone: ...  # noqa: D102
    async def undo(self) -> str: ...  # noqa: D102
    async def redo(self) -> str: ...  # noqa: D102


class AllDone(Protocol):
    """What one command on everything live did: for whom, whose file moves later, and for whom it failed, and why."""

    @property
    def features(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def waits(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def failed(self) -> Mapping[str, str]: ...  # noqa: D102


class SinceLeftPort(Protocol):
    """When somebody looked last, and what changed since."""

    async def note(self) -> None:
        """All that happened until now was seen."""
        ...

    async def brief(self, since: datetime | None = None) -> Brief | None:
        """What changed since `since`, or since somebody looked last; None where nobody ever did."""
        ...

    def returned(self) -> datetime | None:
        """When the engine was heard of last before a break that is over; None where there was none."""
        ...


class QueriesPort(Protocol):
    """What is known of live features, and the answers to their alerts."""

    def metrics(self) -> Mapping[str, FeatureMetrics]: ...  # noqa: D102
    def watch_report(self, summary: PipelineSummary) -> WatchReport: ...  # noqa: D102
    @property
    def stale(self) -> bool:
        """No bar of the last two intervals was scored."""
        ...

    def chart(self, name: str) -> ChartData | None: ...  # noqa: D102
    def timeline(self, name: str = "", summary: PipelineSummary | None = None) -> Timeline | None: ...  # noqa: D102
    def money(self, name: str = "") -> Money | None: ...  # noqa: D102
    def moment(  # noqa: D102
        self, at: datetime, summary: PipelineSummary | None = None
    ) -> Mapping[str, FeatureMetrics]: ...
    def alerts(self, *, include_resolved: bool = False) -> Sequence[Alert]: ...  # noqa: D102
    async def acknowledge(self, alert_id: str) -> str: ...  # noqa: D102
    async def snooze(self, alert_id: str, hours: float) -> str: ...  # noqa: D102
    async def reopen(self, alert_id: str) -> str: ...  # noqa: D102
    def portfolio(self) -> Portfolio | None: ...  # noqa: D102
    def forward(self, name: str) -> ForwardRecord | None: ...  # noqa: D102
    def kill_proposals(self) -> Mapping[str, str]: ...  # noqa: D102


class DiagnosingPort(Protocol):
    """What explains a feature."""

    async def ask(self, feature: str) -> str: ...  # noqa: D102


class Link(Protocol):
    """What belongs to a document, a feature or a session: a document, a feature or a session, and why."""

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def target(self) -> str: ...  # noqa: D102
    @property
    def why(self) -> str: ...  # noqa: D102


class Found(Protocol):
    """One thing that a search found: a learning, a feature or a tried form."""

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def where(self) -> str: ...  # noqa: D102
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def excerpt(self) -> str: ...  # noqa: D102


class DocumentsPort(Protocol):
    """The base's documents."""

    async def list(self) -> Sequence[Document]: ...  # noqa: D102
    async def read(self, path: str) -> str: ...  # noqa: D102
    async def related(self, path: str) -> Sequence[str]: ...  # noqa: D102
    async def links(self, subject: str) -> Sequence[Link]:
        """What belongs to a path, `feature:NAME` or `session:ID`, both ways."""
        ...

    async def search(self, text: str) -> Sequence[Found]: ...  # noqa: D102
    async def memory(self) -> str: ...  # noqa: D102
    async def revoke(self, path: str, reason: str) -> str: ...  # noqa: D102
    def file(self, path: str) -> str:
        """Absolute path of a document, for an editor."""
        ...


class BookPort(Protocol):
    """All deployed features together."""

    async def figures(self, *, again: bool = False) -> BookFigures: ...  # noqa: D102


class RuntimePort(Protocol):
    """The engine, seen from the terminal, by its parts. Methods that touch disk or models are async."""

    @property
    def bus(self) -> EventBus: ...  # noqa: D102
    @property
    def mode(self) -> str:
        """LIVE, OFFLINE or REPLAY; READ-ONLY is `read_only`."""
        ...

    @property
    def read_only(self) -> bool: ...  # noqa: D102
    @property
    def attached(self) -> str:
        """Address of the service that runs the engine; empty where it runs in this process."""
        ...

    @property
    def source(self) -> str: ...  # noqa: D102
    @property
    def bar_seconds(self) -> int: ...  # noqa: D102
    @property
    def phase(self) -> str:
        """starting, warming, running, degraded or stopping."""
        ...

    @property
    def data_ends(self) -> datetime | None:
        """When the recorded data ends; None on a feed."""
        ...

    def now(self) -> datetime: ...  # noqa: D102
    async def start(self) -> None: ...  # noqa: D102
    async def stop(self) -> None: ...  # noqa: D102

    @property
    def pipeline(self) -> PipelinePort: ...  # noqa: D102
    @property
    def queries(self) -> QueriesPort: ...  # noqa: D102
    @property
    def sessions(self) -> SessionsPort: ...  # noqa: D102
    @property
    def documents(self) -> DocumentsPort: ...  # noqa: D102
    @property
    def diagnosing(self) -> DiagnosingPort: ...  # noqa: D102
    @property
    def book(self) -> BookPort: ...  # noqa: D102
    @property
    def since_left(self) -> SinceLeftPort: ...  # noqa: D102
    def troubles(self) -> Sequence[Trouble]:
        """What is wrong now, the worst first."""
        ...

    # replay; None when the source is no recording
    @property
    def replay(self) -> ReplayPort | None: ...  # noqa: D102
    def status(self) -> Mapping[str, Any]:
        """Queues, drops and lag, for the log drawer."""
        ...


class ReplayPort(Protocol):
    """The replay bar's engine."""

    @property
    def playing(self) -> bool: ...  # noqa: D102
    @property
    def speed(self) -> float: ...  # noqa: D102
    @property
    def position(self) -> int: ...  # noqa: D102
    @property
    def total(self) -> int: ...  # noqa: D102
    @property
    def jumps(self) -> int:
        """Moves so far that did not show every bar between."""
        ...

    @property
    def alert_bars(self) -> Sequence[int]: ...  # noqa: D102
    def play(self) -> None: ...  # noqa: D102
    async def pause(self) -> None: ...  # noqa: D102
    async def step(self, bars: int = 1) -> None: ...  # noqa: D102
    def faster(self) -> None: ...  # noqa: D102
    def slower(self) -> None: ...  # noqa: D102
    async def seek(self, position: int) -> None: ...  # noqa: D102
    async def seek_time(self, at: datetime) -> None: ...  # noqa: D102
    async def next_alert(self) -> bool: ...  # noqa: D102
    async def previous_alert(self) -> bool: ...  # noqa: D102
    async def restart(self) -> None: ...  # noqa: D102
    @property
    def moved(self) -> ReplayMoved: ...  # noqa: D102
