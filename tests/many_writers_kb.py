"""One of many writers of one base; started by the tests as a process of its own. Prints one JSON line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from helpers_kb import learning, record
from midas_engine.errors import TransitionError
from midas_engine.kb.store import KnowledgeBase
from midas_engine.promoter.promoter import FeaturePromoter


def work(folder: str, number: int, rounds: int) -> dict[str, int]:
    kb = KnowledgeBase(folder, lock_timeout=60)
    promoter = FeaturePromoter(kb, actor=f"writer {number}")
    won = doubles = 0
    for i in range(rounds):
        own = f"own_{number}_{i}"
        promoter.save_candidate(record(own))
        promoter.promote(own)
        kb.save_learning(learning("The same title"))
        try:  # everybody wants this one
            promoter.save_candidate(record(f"shared_{i}"))
            won += 1
        except TransitionError:
            pass
        names = [r.name for r in kb.features()]
        doubles += len(names) - len(set(names)) + len(kb.damaged_features())
        assert own in names
    promoter.close()
    return {"won": won, "doubles": doubles}


if __name__ == "__main__":
    print(json.dumps(work(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
