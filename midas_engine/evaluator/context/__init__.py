"""What is scored on which bars: the market as the evaluator sees it."""
