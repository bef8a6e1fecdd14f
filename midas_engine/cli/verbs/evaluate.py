"""`midas evaluate EXPR`: every figure of one expression and the six verdicts."""
