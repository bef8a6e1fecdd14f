"""The monitor's state over a restart."""
