"""The six agents, their thresholds and the verdict."""
