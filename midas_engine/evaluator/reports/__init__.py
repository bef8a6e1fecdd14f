"""Verdicts as text, pages and explanations."""
