"""Read a knowledge base and its journal: pipeline, learnings, trials, actions.

python examples/read_the_base.py [FOLDER]
"""

import sys

from midas import create_midas
from midas_engine.evaluator import TrialLedger

folder = sys.argv[1] if len(sys.argv) > 1 else "./midas-kb"
with create_midas(kb_path=folder) as midas:
    for record in midas.kb.features():
        print(record.state.value, record.name, record.expression)
    for learning in midas.kb.learnings(3):
        print("learned:", learning.title, "->", learning.result)
    for action in midas.promoter.journal.actions(limit=5):
        print("done:", action)
    with TrialLedger(midas.kb.path / "journal.sqlite", read_only=True) as ledger:
        print("trials ever:", len(ledger.history()))
