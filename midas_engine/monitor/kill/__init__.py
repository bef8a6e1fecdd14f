"""The kill switch and what it calls."""
