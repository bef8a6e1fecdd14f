"""How many well-known features are promoted on real markets, and whether they went on.

    python benchmarks/statistics/real_bank.py --market perps_4h.parquet:6 --market perps_4h.parquet@1D:5 \
        --market sample:24 --bank qlib158 --bank benchmarks/statistics/crypto_bank.txt [--funding funding.parquet]

Every bank is judged on every market, at one horizon fixed beforehand: shipped banks with both signs, a file with the
signs that are written in it. Every third symbol and the last fifth of the time are put aside as truth; the product sees
the rest. Printed first, before anything is promoted: the features whose net of costs is above zero beyond doubt in the
truth (later period and other symbols together). Then the product's own path on a fresh base: the family's test, sealed
looks, promotion for itself, promotion to the book; what is sound and short of its line goes to shadow, and lives
through the later bars of the symbols that were searched (the other symbols are its truth then). At the end a table of
markets and banks: what survived, what is true of it, what it earns, what refused it and what became of it.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bank_markets import Market, at_bars, read_market
from bank_money import Money, money_of
from bank_path import Fate, promote
from bank_truth import SIGNIFICANT, Truth, truth_of

from midas_engine.banks import Bank, judge_bank, read_bank
from midas_engine.banks.reading import SHIPPED
from midas_engine.settings import Settings, load_settings

if TYPE_CHECKING:
    from midas_engine.banks.result import BankResult


@dataclass(frozen=True, slots=True)
class Row:
    """A bank on a market: what its family's test said, what became of it, and what is true."""

    market: str
    bank: str
    result: BankResult
    money: Money
    fate: Fate
    truth: dict[str, Truth]
    elsewhere: dict[str, Truth]

    @property
    def earn(self) -> list[str]:
        """What earns net beyond doubt in the truth, most first."""
        return sorted((n for n, t in self.truth.items() if t.earns), key=lambda n: -self.truth[n].net)

    def truth_after(self, name: str) -> Truth:
        """What is true of a promoted feature: of one that graduated on later bars, by the other symbols alone."""
        graduated = self.fate.promoted[name] == "graduated"
        return (self.elsewhere if graduated else self.truth).get(name, Truth())

    @property
    def cells(self) -> list[str]:
        """The row of the table."""
        survivors = self.result.survivors
        found = [self.truth.get(r.name, Truth()) for r in survivors]
        refused: dict[str, int] = {}
        for gate in (gate for row in survivors for gate in row.refused_by):
            refused[gate] = refused.get(gate, 0) + 1
        doors = [sum(a == door for a in self.fate.promoted.values()) for door in ("promote", "book", "graduated")]
        even = [r.break_even_bps for r in survivors]
        kept, sure = (sum(t.t > line for t in found) for line in (0.0, SIGNIFICANT))
        return [
            self.market,
            self.bank,
            f"{self.result.trials} ({self.result.effective:.0f})",
            str(len(survivors)),
            f"{kept} / {sure} / {sum(t.earns for t in found)}" if survivors else "-",
            f"{sum(x <= 0.0 for x in even)}; {max(even):.1f}" if survivors else "-",
            f"{self.money.held_t[0]:.1f}" if survivors else "-",
            self.money.book,
            ", ".join(f"{k} {v}" for k, v in sorted(refused.items(), key=lambda x: -x[1])) or "-",
            str(len(self.result.accepted)),
            f"{self.fate.held} of {self.fate.looks}",
            " / ".join(map(str, doors)),
            str(len(self.earn)),
            f"{self.money.gross_t[0]:.1f}",
        ]


HEAD = (
    "market", "bank", "judged (like)", "survive", "of those: sign / significant / earn in the truth",
    "no gross; best break-even, bps", "best net t, any holding", "netted, bps a year", "refused by", "pass all",
    "looks held", "promoted / book / graduated", "earn in the truth", "best gross t of all",
)  # fmt: skip


def signed(bank: str, market: Market, settings: Settings, folder: Path) -> Bank:
    """A shipped bank with both signs, a file with its own."""
    limits = settings.dsl.at(float(market.panel.bar_seconds))
    if bank in SHIPPED:
        entries = read_bank(bank, limits=limits).entries
        lines = [f"{e.name}: {e.expression}\n{e.name}_neg: -({e.expression})" for e in entries]
    else:
        lines = [at_bars(Path(bank).read_text(encoding="utf-8"), market.panel.bar_seconds)]
    file = folder / f"{Path(bank).stem}.txt"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_bank(str(file), limits=limits)


def run(market: Market, bank_name: str, seed: int, cost: float | None) -> Row:
    """One bank on one market, from the family's test to what became of it."""
    with tempfile.TemporaryDirectory() as folder:
        flags = {"kb": f"{folder}/kb", "data": market.name, "seed": seed, "evaluation.target": market.target,
                 "evaluation.workers": 0}  # fmt: skip
        if cost is not None:
            flags |= {"costs.fee_bps": cost, "costs.half_spread_bps": 0.0, "costs.slippage_bps": 0.0}
        settings = load_settings(environ={}, flags=flags)
        bank, seen = signed(bank_name, market, settings, Path(folder)), market.seen
        print(f"\n== {bank.name} on {market.name}: {seen.S} symbols, {seen.T} bars, {market.target} bar(s) ahead, "
              f"{settings.costs.one_way_bps:g} bps a trade", flush=True)  # fmt: skip
        truth, elsewhere = truth_of(market, {e.name: e.expression for e in bank.entries}, settings)
        row = Row(market.name, Path(bank_name).stem, result := judge_bank(bank, seen, settings), Money(), Fate(), truth,
                  elsewhere)  # fmt: skip
        print(
            f"in the truth {len(row.earn)} of {len(truth)} earn net beyond doubt: {', '.join(row.earn[:12]) or 'none'}"
        )
        told(result, truth)
        money = money_of(result, seen, settings)
        return dataclasses.replace(row, money=money, fate=promote(result, market, settings))


def told(result: BankResult, truth: dict[str, Truth]) -> None:
    """The survivors, a line each."""
    print(f"{result.trials} judged (like {result.effective:.0f} independent), {len(result.survivors)} survive, "
          f"{len(result.accepted)} pass every agent, {len(result.unpaid)} fail on costs alone")  # fmt: skip
    for row in result.survivors:
        e, found = row.verdict.evaluation, truth.get(row.name, Truth())
        own = e.extra["net"]
        print(
            f"  {row.name:18} t {e.score_t:5.1f} gross {e.gross_bps:+6.2f} net {own['value']:+6.2f} ± {own['se']:.2f}, "
            f"even at {row.break_even_bps:4.1f} bps; {', '.join(row.refused_by) or 'passes'}; truth: t {found.t:+.1f} "
            f"net {found.net:+.2f} ± {found.se:.2f}"
        )


def table(rows: list[Row]) -> None:
    """Everything, and the bar."""
    print("\n| " + " | ".join(HEAD) + " |\n" + "| --- " * len(HEAD) + "|")
    for r in rows:
        print("| " + " | ".join(r.cells) + " |")
    promoted = [(r, n) for r in rows for n in r.fate.promoted]
    kept = sum(r.truth_after(n).t > 0.0 for r, n in promoted)
    sure = sum(r.truth_after(n).t > SIGNIFICANT for r, n in promoted)
    earn = sum(len(r.earn) for r in rows)
    found = sum(n in r.earn for r, n in promoted)
    print(f"promoted {len(promoted)} (asked: 8); kept their sign {kept}, significant {sure}")
    print(f"of {earn} that earn net in the truth, found {found}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--market", action="append", required=True, help="PATH[@BAR][:TARGET][,SINCE]; several may be given"
    )
    parser.add_argument("--bank", action="append", required=True, help="a shipped bank or a file; several may be given")
    parser.add_argument("--funding", help="settlements that are joined to perpetuals")
    parser.add_argument("--cost", type=float, help="one-way cost in bps in place of the settings' 6")
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    began = time.process_time()
    rows = []
    for text in args.market:
        market = read_market(text, args.funding)
        for bank in args.bank:
            rows.append(run(market, bank, args.seed, args.cost))
            print(f"  {time.process_time() - began:.0f} s of CPU so far", flush=True)
    table(rows)


if __name__ == "__main__":
    main()
