"""Constants of the normal distribution."""

Z90 = 1.6448536269514722
"""Two-sided 90 %: an estimate less and plus this many standard errors is its 90 % interval."""
