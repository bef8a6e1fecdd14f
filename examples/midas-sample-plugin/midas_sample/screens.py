"""A mode of the terminal: how many features live in which state."""

from collections import Counter

from textual.app import ComposeResult
from textual.widgets import Static

from midas_tui.sanitise import plain
from midas_tui.screens.base import ModeScreen


class SampleScreen(ModeScreen):
    """One line that follows the pipeline."""

    mode_name = "sample"

    def compose_body(self) -> ComposeResult:
        """One line."""
        yield Static("", id="sample", markup=False)

    def flush(self, topics: set[str]) -> None:
        """Count the features that the store knows."""
        if topics & {"all", "pipeline"}:
            counts = Counter(m.status for m in self.store.metrics.values())
            words = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
            self.query_one("#sample", Static).update(plain(f"sample plug-in: {words or 'nothing is watched'}"))
