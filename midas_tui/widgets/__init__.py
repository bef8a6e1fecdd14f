"""Widgets: each draws one thing from data it is given; none knows the engine."""
