"""How many expressions of a strong model are valid at first pass, and how many would be without borrowed spellings.

    python benchmarks/search/bench_first_pass.py [--replies tests/data/strong_model_replies.txt]

The replies are whole answers to the prompt `generate`, as a strong model writes them: half as it is asked to, half with
the habits of other libraries. One real session plays them; an expression is valid at first pass when the session scores
it and no reply is asked for again.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from midas_engine.dsl.expression import parse
from midas_engine.errors import ExpressionError
from tests.helpers_replies import COLUMNS, PLAYED, first_pass, read_replies


def strict(texts: list[str]) -> int:
    """How many the language itself reads."""
    valid = 0
    for text in texts:
        try:
            parse(text, columns=COLUMNS)
            valid += 1
        except ExpressionError:
            continue
    return valid


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replies", type=Path, default=PLAYED)
    given = parser.parse_args()
    for kind, replies in read_replies(given.replies).items():
        with tempfile.TemporaryDirectory() as folder:
            played = asyncio.run(first_pass(Path(folder), replies))
        total, valid = len(played.written), len(played.scored)
        print(f"{kind}: {len(replies)} replies, {played.asked_again} asked again; of {total} expressions {valid} valid")
        print(f"  at first pass, {valid / total:.1%}; {strict(played.written)} without borrowed spellings")
        for reason in played.refused:
            print(f"  {reason}")


if __name__ == "__main__":
    main()
