"""The six modes."""
