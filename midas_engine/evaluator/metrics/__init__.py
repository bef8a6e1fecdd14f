"""The figures of one feature."""
