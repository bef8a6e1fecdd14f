"""Rolling figures of what is watched."""
