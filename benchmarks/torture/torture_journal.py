"""Damage a journal in every way a disk may, open it, and count what became of its rows.

Usage: python benchmarks/torture/torture_journal.py [--flips 500] [--rows 120] [--seed 7] [--check]

The journal holds `rows` actions, as many bars, trials and a few states. Each damage is one of: a flipped bit, a page
of zeros, a page of noise, a cut at an offset, two pages that changed places, and bits flipped in the log of a journal
whose writer was killed. None may raise what is no MidasError, none may read an altered row as a good one, none may
lose rows in silence, and none may lose every row of a table while the rows' own pages are whole.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from midas_engine.clock import ManualClock
from midas_engine.errors import JournalError, MidasError
from midas_engine.evaluator.trials.ledger import TrialKey, TrialLedger
from midas_engine.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator

AT = datetime(2026, 1, 2, 3, tzinfo=UTC)
STATES = {"engine": b"x" * 9_000, "detector": b"y" * 500, "kills": b"z" * 40}
PAGE = 4096


@dataclass(frozen=True)
class Damage:
    """One way to break the file: `kind` groups, `name` tells which."""

    kind: str
    name: str
    data: bytes
    log: bytes = b""
    pages: frozenset[int] = frozenset()


def fill(path: Path, rows: int, *, leave_log: bool = False) -> tuple[bytes, bytes]:
    """The bytes of a journal with `rows` rows a table, and of its log."""
    clock = ManualClock(AT)
    journal = Journal(path, clock=clock)
    for n in range(rows):
        journal.append_action("promote", f"feature_{n}", id=f"id{n}", body={"n": n})
    journal.put_states(STATES)
    for n in range(rows):
        journal.record_shadow("bar", AT + timedelta(hours=n), {"n": n})
    with TrialLedger(path, clock=clock) as ledger:
        ledger.plan("s", 60)
        for n in range(rows // 2):
            ledger.record(TrialKey(f"(rank {n})", "snap"), "s", score_t=1.0, p=0.1)
    log = Path(f"{path}-wal").read_bytes() if leave_log else b""
    data = path.read_bytes() if leave_log else b""
    journal.close()
    return data or path.read_bytes(), log


def damages(data: bytes, flips: int, seed: int, step: int = 1) -> Iterator[Damage]:
    """Every damage to the main file; `step` takes each so many-th page and cut."""
    generator = random.Random(seed)
    for _ in range(flips):
        bit = generator.randrange(len(data) * 8)
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        yield Damage("flip", f"bit {bit}", bytes(flipped), pages=frozenset({bit // 8 // PAGE}))
    count = len(data) // PAGE
    for page in range(0, count, step):
        for kind, content in (("zeroed page", bytes(PAGE)), ("garbled page", generator.randbytes(PAGE))):
            broken = data[: page * PAGE] + content + data[(page + 1) * PAGE :]
            yield Damage(kind, f"page {page + 1}", broken, pages=frozenset({page}))
        other = generator.randrange(count)
        swapped = [data[n * PAGE : (n + 1) * PAGE] for n in range(count)]
        swapped[page], swapped[other] = swapped[other], swapped[page]
        yield Damage("swapped pages", f"{page + 1} and {other + 1}", b"".join(swapped), pages=frozenset({page, other}))
    for size in range(0, len(data), (PAGE - 13) * step):
        yield Damage("cut", f"{size} bytes", data[:size], pages=frozenset(range(size // PAGE, count)))


def log_damages(data: bytes, log: bytes, flips: int, seed: int) -> Iterator[Damage]:
    """Bits flipped in the log."""
    generator = random.Random(seed + 1)
    for _ in range(flips):
        bit = generator.randrange(len(log) * 8)
        flipped = bytearray(log)
        flipped[bit // 8] ^= 1 << bit % 8
        yield Damage("flip in the log", f"bit {bit}", data, bytes(flipped))


def homes(data: bytes, rows: int) -> dict[str, frozenset[int]]:
    """The pages that hold each table's rows in the sound file, found by the rows' own text."""
    found: dict[str, set[int]] = {"actions": set(), "shadow": set(), "evaluator_trials": set()}
    marks = {"actions": b"promote", "shadow": b"barforward", "evaluator_trials": b'"canonical"'}
    for page in range(len(data) // PAGE):
        body = data[page * PAGE : (page + 1) * PAGE]
        for table, mark in marks.items():
            if body[0] == 13 and mark in body:
                found[table].add(page)
    return {table: frozenset(pages) for table, pages in found.items()}


def outcome(damage: Damage, folder: Path, rows: int, home: dict[str, frozenset[int]]) -> tuple[str, str]:
    """What became of it, and what is wrong with that; no fault is an empty text."""
    path = folder / "journal.sqlite"
    for stray in folder.glob("journal.sqlite*"):
        stray.unlink()
    path.write_bytes(damage.data)
    if damage.log:
        Path(f"{path}-wal").write_bytes(damage.log)
    try:
        with Journal(path, clock=ManualClock(AT)) as journal, TrialLedger(path, clock=ManualClock(AT)) as ledger:
            told = [*journal.notices, *ledger.notices, *journal.verify(), *ledger.verify()]
            actions, trials = journal.actions(), ledger.history()
            bars = journal.tables.rows("shadow")
            states = {key: journal.get_state(key) for key in STATES}
            told += [n for n in journal.notices if n not in told]
            journal.append_action("demote", "after_all")
            again = journal.actions()[-1].feature
    except JournalError as error:
        named = "newer Midas" in error.message
        return "refused in words", "" if named else f"it is not mended: {error.message}"
    except MidasError as error:
        return "refused in words", f"not as the journal's fault: {error.message}"
    except Exception as error:
        return "raised", f"{type(error).__name__}: {error}"
    if any(a.feature != f"feature_{a.body['n']}" or a.kind_is_wrong for a in map(_Seen, actions)) or any(
        t.canonical != f"(rank {t.seq - 1})" for t in trials
    ):
        return "altered", "an altered row is read as a good one"
    if any(b.at != AT + timedelta(hours=b.body["n"]) for b in bars):
        return "altered", "an altered bar is read as a good one"
    if any(value not in (None, STATES[key]) for key, value in states.items()):
        return "altered", "an altered state is read as a good one"
    if again != "after_all":
        return "stuck", "it cannot be written after"
    left = {"actions": len(actions), "shadow": len(bars), "evaluator_trials": len(trials)}
    asked = {"actions": rows, "shadow": rows, "evaluator_trials": rows // 2}
    lost = sum(asked.values()) - sum(left.values()) + sum(v is None for v in states.values())
    if lost and not told:
        return "silent", f"{lost} rows are gone and nobody says so"
    whole = [t for t in left if not left[t] and not home[t] & damage.pages] if not damage.log else []
    if whole:
        return "emptied", f"all rows of {', '.join(whole)} are lost, and their pages are whole"
    size = "none" if not lost else "1 to 5" if lost <= 5 else "6 to 60" if lost <= 60 else "more than 60"
    return f"{'told' if told else 'unseen'}, {size} lost", ""


class _Seen:
    def __init__(self, action: object) -> None:
        self.feature, self.body = action.feature, action.body  # type: ignore[attr-defined]
        self.kind_is_wrong = action.action != "promote" or action.at != AT  # type: ignore[attr-defined]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--flips", type=int, default=500)
    parser.add_argument("--rows", type=int, default=120)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--check", action="store_true", help="exit 1 at the first kind of fault")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    faults: list[str] = []
    try:
        (folder / "a").mkdir()
        data, _ = fill(folder / "a" / "journal.sqlite", options.rows)
        (folder / "b").mkdir()
        main_file, log = fill(folder / "b" / "journal.sqlite", options.rows, leave_log=True)
        home = homes(data, options.rows)
        counts: dict[str, Counter[str]] = {}
        start = time.perf_counter()
        every = [
            *damages(data, options.flips, options.seed),
            *log_damages(main_file, log, options.flips // 2, options.seed),
        ]
        for damage in every:
            fate, fault = outcome(damage, folder / "a", options.rows, home)
            counts.setdefault(damage.kind, Counter())[fate] += 1
            if fault:
                faults.append(f"{damage.kind}, {damage.name}: {fault}")
        print(f"{len(data):,} bytes, {len(every)} damages, {time.perf_counter() - start:.0f} s, seed {options.seed}")
        for kind, fates in counts.items():
            print(f"{kind:18}" + "; ".join(f"{fate}: {n}" for fate, n in sorted(fates.items())))
        print(f"faults: {len(faults)}", *faults[:40], sep="\n  ")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if faults and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
