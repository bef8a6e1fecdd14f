"""Rules, episodes and thresholds of alerts."""
