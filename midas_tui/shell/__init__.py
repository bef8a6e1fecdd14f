"""What stands behind the screens: each object one job, put together in `shell.py`."""
