"""One feature over the whole screen: what a narrow terminal has no pane for."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from midas_tui.modals.dialog import Dialog
from midas_tui.sanitise import plain
from midas_tui.screens.live_detail import FeatureDetail

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.content import Content

    from midas_engine.models import FeatureMetrics
    from midas_tui.runtime_protocol import ChartData
    from midas_tui.theme import Glyphs


class FeatureModal(Dialog[str]):
    """Charts and figures of a live feature; dismisses with "card" when its card is wanted."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "close", id="feature.close"),
        Binding("enter", "card", "card", id="feature.card"),
    ]
    DEFAULT_CSS = """
    FeatureModal { align: center middle; }
    FeatureModal > FeatureDetail { width: 100%; max-width: 90; height: 100%; border: round $accent; padding: 0 1;
        background: $background; border-title-color: $accent; border-subtitle-color: $muted; }
    """

    def __init__(self, metrics: FeatureMetrics, data: ChartData, words: Content, bars: int, glyphs: Glyphs) -> None:
        super().__init__()
        self._metrics, self._data, self._words, self._bars, self._glyphs = metrics, data, words, bars, glyphs

    def compose(self) -> ComposeResult:
        """The same detail as beside the table."""
        yield FeatureDetail(self._glyphs, id="feature-detail")

    def on_mount(self) -> None:
        """Draw once; the figures are those of the moment it was opened."""
        detail = self.query_one(FeatureDetail)
        detail.border_title = plain(self._metrics.feature)
        detail.border_subtitle = "enter card   esc close"
        detail.show_charts(self._metrics, self._data, self._bars)
        detail.show_facts(self._words)

    def action_close(self) -> None:
        """Back to the table."""
        self.dismiss("")

    def action_card(self) -> None:
        """On to the pipeline's card."""
        self.dismiss("card")
