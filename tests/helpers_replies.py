"""Whole replies of a strong model, played through a real session."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine import events as ev
from midas_engine.llm import Budget
from midas_engine.llm.replies import parse_reply
from tests.helpers_cli import ROOT
from tests.helpers_llm import learning, plan, scripted
from tests.helpers_loops import FakeAssessor, events_of, loop_of

if TYPE_CHECKING:
    from pathlib import Path

PLAYED = ROOT / "tests" / "data" / "strong_model_replies.txt"
COLUMNS = (
    "open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume", "funding_rate",
    "open_interest",
)  # fmt: skip


@dataclass(frozen=True)
class Played:
    """What became of the replies: expressions as written, those scored, those refused, replies asked for again."""

    written: list[str]
    scored: list[ev.ExpressionProposed]
    refused: list[str]
    asked_again: int


class Market(FakeAssessor):
    """A market with ten columns."""

    columns = COLUMNS


def read_replies(path: Path = PLAYED) -> dict[str, list[str]]:
    """Replies by kind."""
    found: dict[str, list[str]] = {}
    for part in re.split(r"^%%%% ", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
        kind, _, text = part.partition("\n")
        found.setdefault(kind, []).append(text.rstrip("\n"))
    return found


async def first_pass(folder: Path, replies: list[str]) -> Played:
    """Play them, an iteration each."""
    answers = [answer for reply in replies for answer in (plan(), reply)]
    researcher = scripted(*answers, learning(), budget=Budget(10 * len(answers), 100.0, 100.0))
    loop = loop_of(folder, researcher, max_iterations=len(replies), candidates_per_iter=9, refinements=0)
    events = await events_of(loop, Market())
    asked = [r.purpose for r in researcher._client.requests]  # type: ignore[attr-defined]
    written = [c["expression"] for reply in replies for c in parse_reply(reply, {"candidates": list})["candidates"]]
    refused = [f"{e.expression}: {e.reason}" for e in events if isinstance(e, ev.ExpressionRefused)]
    return Played(
        written,
        [e for e in events if isinstance(e, ev.ExpressionProposed)],
        [line.splitlines()[0] for line in refused],
        sum("repair" in purpose for purpose in asked),
    )
