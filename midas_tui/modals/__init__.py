"""Dialogs: one generic question, a few special ones."""
