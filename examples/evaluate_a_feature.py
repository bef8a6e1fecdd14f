"""Score a feature that pandas holds: one market, one year of hours, a planted relation.

python examples/evaluate_a_feature.py
"""

import numpy as np
import pandas as pd

from midas.evaluator import AlphaEvaluator, MultiAgentEvaluator
from midas_engine.evaluator import render

index = pd.date_range("2025-01-01", periods=8760, freq="h", tz="UTC")
rng = np.random.default_rng(7)
feature = pd.Series(rng.normal(size=len(index)), index, name="mine").ewm(halflife=12).mean()
noise = 0.01 * rng.standard_t(4, size=len(index))
returns = pd.DataFrame({"ret_1h": 0.05 * 0.01 * feature / feature.std() + noise}, index)

# How many variants were tried counts: it draws the line of acceptance.
verdict = MultiAgentEvaluator(AlphaEvaluator()).evaluate(feature, returns, trials=20)
print(render(verdict))
print("the statistics hold:", verdict.statistical_pass)
