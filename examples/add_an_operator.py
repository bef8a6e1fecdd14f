"""Add an operator to the language and use it at once; a package does the same by entry point.

python examples/add_an_operator.py
"""

import numpy as np

from midas_engine.dsl import FeatureEngine, StreamEngine, explain
from midas_engine.dsl.registry import OPERATORS, Operator, series
from midas_engine.market import load_panel


def _softsign(args, params, need, state, out):
    np.divide(args[0], 1.0 + np.abs(args[0]), out=out)


doc = "x / (1 + |x|): the sign, but smooth around zero."
example = "softsign(ts_zscore(close, 24))"
OPERATORS.register(Operator("softsign", "arithmetic", (series(),), doc, example, "pure", run=_softsign, odd=True))

panel = load_panel("sample")
whole = FeatureEngine(panel).values(example)[:100]
stream = StreamEngine({"f": example}, tuple(panel.fields), panel.symbols)
steps = [stream.update({name: column[t] for name, column in panel.fields.items()})["f"] for t in range(100)]
print(explain(example))
print("batch and stream agree to the bit:", np.array_equal(whole, np.stack(steps), equal_nan=True))
