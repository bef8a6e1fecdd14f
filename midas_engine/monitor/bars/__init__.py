"""Bars as they come in: the grid, late labels, inputs."""
