"""The Midas engine: discovery, evaluation and monitoring of alpha features. Knows no terminal."""
