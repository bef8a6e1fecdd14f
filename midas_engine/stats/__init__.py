"""One small statistic a file: pure functions on numpy arrays, T (time) x S (symbols), NaN where unknown.

Import from the modules; nothing is loaded here, so that `import midas_engine.stats` costs nothing.
"""
