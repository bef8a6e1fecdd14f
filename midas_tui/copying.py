"""What `y` and `Y` copy: the row under the cursor, as text or as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from midas_engine.events import AlertRaised, FeatureTicked, to_dict
from midas_tui.screens.alerts import AlertsScreen
from midas_tui.screens.discovery import DiscoveryScreen
from midas_tui.screens.learnings import LearningsScreen
from midas_tui.screens.live import LiveScreen
from midas_tui.screens.pipeline import PipelineScreen
from midas_tui.widgets.document_view import DocumentView
from midas_tui.widgets.line_table import LineTable

if TYPE_CHECKING:
    from midas_tui.app import MidasApp


def copied_text(app: MidasApp, *, as_json: bool) -> str:
    """Text for the clipboard; empty when there is nothing under the cursor."""
    text, record = _chosen(app)
    if as_json and record is not None:
        return json.dumps(record, indent=2, default=str)
    return text


def _chosen(app: MidasApp) -> tuple[str, dict[str, Any] | None]:
    screen = app.screen
    if isinstance(screen, PipelineScreen) and screen.chosen is not None:
        r = screen.chosen
        return r.expression, {"name": r.name, "expression": r.expression, "state": r.state.value, "metrics": r.metrics}
    if isinstance(screen, LiveScreen) and screen.chosen in app.store.metrics:
        m = app.store.metrics[screen.chosen or ""]
        return m.feature, to_dict(FeatureTicked(at=m.at, metrics=m))["metrics"]
    if isinstance(screen, AlertsScreen) and screen.chosen is not None:
        a = screen.chosen
        return f"{a.feature} {a.alert_type}: {a.message}", to_dict(AlertRaised(at=a.raised_at, alert=a))["alert"]
    if isinstance(screen, DiscoveryScreen):
        key = screen.query_one("#trials", LineTable).cursor_key
        row = screen.view.trials.get(key or "") if screen.view is not None else None
        if row is not None:
            return row.expression, to_dict(row.scored) if row.scored is not None else {"expression": row.expression}
    if isinstance(screen, LearningsScreen):
        view = screen.query_one("#document", DocumentView)
        if view.path:
            return view.path, {"path": view.path, "text": view.text}
    return "", None
