"""Verdicts on histories that are larger than memory: values and scores a few thousand bars at a time."""
