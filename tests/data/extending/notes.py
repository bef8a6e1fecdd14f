"""A mode that a contributor adds."""

from textual.widgets import Static

from midas_tui.screens.base import ModeScreen


class NotesScreen(ModeScreen):
    mode_name = "notes"

    def compose_body(self):
        yield Static("", id="notes", markup=False)

    def flush(self, topics):
        self.query_one("#notes", Static).update("noted")
