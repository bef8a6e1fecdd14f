"""Checks a proof without its maker: the chain, the heads that left, the times, and every digest from public bars."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import rankdata

from midas_engine.errors import MidasError, SettingsError
from midas_engine.outbound.proof import KINDS, Head, read_head, values_digest
from midas_engine.outbound.signal_log import START, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from midas_engine.market import Panel

MOST_FAULTS = 20
_Pairs = dict[tuple[str, str, tuple[str, ...]], list[tuple[int, int]]]
"""Feature, expression, symbols -> the rows of what was said and of what came of it."""
_LEAST_SYMBOLS = 3


@dataclass(slots=True)
class Verified:
    """What was found.

    Attributes:
        faults: What is wrong, the first ones; empty: nothing.
        signals: Bars with signals; `recomputed` of them from the bars given, `labels` outcomes likewise.
        unchecked: Bars that the data does not have.
        late: Bars whose signals were written when their outcome could be known (computed after an outage).
        heads: Heads that fit.
        proven_until: The newest bar that a head which left the machine covers; empty: no head was given.
        rank_ic: Per feature mean rank IC of what was committed in time, its t and its bars.
    """

    faults: list[str] = field(default_factory=list)
    entries: int = 0
    signals: int = 0
    recomputed: int = 0
    labels: int = 0
    unchecked: int = 0
    late: int = 0
    heads: int = 0
    proven_until: str = ""
    rank_ic: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Nothing is wrong."""
        return not self.faults

    @property
    def words(self) -> str:
        """The verdict, which never says more than was shown."""
        if self.faults:
            return "NOT VERIFIED"
        if not self.heads:
            return "consistent; without a head that left the machine nothing says that it was made before"
        done = "recomputed from the bars given" if self.recomputed else "nothing was recomputed: give --data"
        return f"verified up to the bar of {self.proven_until}; {done}"


class Truth:
    """What public bars say, computed once however many chains are checked.

    Args:
        panel: The bars.
    """

    def __init__(self, panel: Panel) -> None:
        from midas_engine.dsl import FeatureEngine

        self.panel = panel
        self._engine = FeatureEngine(panel)
        stamps = panel.timestamps.astype("datetime64[s]").astype(np.int64)
        self.rows = {int(stamp): row for row, stamp in enumerate(stamps)}
        self.returns = panel.values("returns")
        self._values: dict[str, NDArray[np.float64] | None] = {}
        self._digests: dict[tuple[str, int, tuple[str, ...]], str] = {}
        self._columns: dict[tuple[str, ...], NDArray[np.intp] | None] = {}

    def row(self, bar: str) -> int | None:
        """The row of a bar; None where the data does not have it."""
        return self.rows.get(int(datetime.fromisoformat(bar).timestamp()))

    def columns(self, symbols: tuple[str, ...]) -> NDArray[np.intp] | None:
        """Where the symbols stand; None where one is not in the data."""
        if symbols not in self._columns:
            place = {name: column for column, name in enumerate(self.panel.symbols)}
            found = [place.get(name) for name in symbols]
            self._columns[symbols] = None if None in found else np.array(found, np.intp)
        return self._columns[symbols]

    def values(self, expression: str) -> NDArray[np.float64] | None:
        """A feature's values, [T, S]; None where it cannot be computed on this data."""
        if expression not in self._values:
            try:
                self._values[expression] = self._engine.values(expression)
            except MidasError:
                self._values[expression] = None
        return self._values[expression]

    def digest(self, expression: str, row: int, symbols: tuple[str, ...]) -> str | None:
        """Digest of a feature's values (of the returns, for an empty expression) at a row."""
        key = (expression, row, symbols)
        if key not in self._digests:
            array, columns = (self.values(expression) if expression else self.returns), self.columns(symbols)
            if array is None or columns is None:
                return None
            self._digests[key] = values_digest(array[row, columns].tolist())
        return self._digests[key]


def read_heads(text: str) -> list[tuple[Head, str]]:
    """Heads with the time each left, from `N:DIGEST` or from lines of a heads file; none where there are none."""
    one = read_head(text)
    if one is not None:
        return [(one, "")]
    found = []
    for line in text.splitlines():
        try:
            record = json.loads(line)
            if "previous" in record and "kind" in record:
                raise SettingsError(
                    "--head names a proof, and its own entries prove nothing about it",
                    hint="a head is what left the machine while the bars came: ask who kept it",
                )
            found.append((Head(int(record["n"]), str(record["digest"])), str(record.get("at", ""))))
        except (ValueError, KeyError, TypeError, OverflowError):
            if (single := read_head(line)) is not None:
                found.append((single, ""))
    return found


def read_chain(path: Path) -> list[Any]:
    """The entries of a file, as they are; a line that is no JSON is an entry that is none."""
    entries: list[Any] = []
    for line in path.read_bytes().splitlines():
        try:
            entries.append(json.loads(line))
        except (ValueError, RecursionError):
            entries.append(None)
    return entries


def verify(entries: Sequence[Any], heads: Iterable[tuple[Head, str]] = (), truth: Truth | None = None) -> Verified:
    """Check a chain.

    Args:
        entries: From `read_chain`.
        heads: Heads that left the machine, as somebody else kept them.
        truth: Public bars; None: nothing is recomputed.
    """
    found = Verified(entries=len(entries))
    try:
        _links(entries, found)
        if found.sound:
            _heads(entries, list(heads), found)
            _contents(entries, truth, found)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        _fault(found, f"an entry lacks something: {type(error).__name__}: {error}")
    return found


def _fault(found: Verified, words: str) -> None:
    if len(found.faults) < MOST_FAULTS:
        found.faults.append(words)


def _links(entries: Sequence[Any], found: Verified) -> None:
    if not entries:
        return _fault(found, "it holds no entry")
    previous = START
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or entry.get("kind") not in KINDS:
            return _fault(found, f"entry {number} is no entry of a proof")
        if entry["n"] != number or entry["previous"] != previous:
            return _fault(found, f"entry {number} does not follow the one before it")
        if digest_of(entry) != entry["digest"]:
            return _fault(found, f"entry {number} is not what its digest says")
        previous = entry["digest"]
    return None


def _heads(entries: Sequence[Any], heads: list[tuple[Head, str]], found: Verified) -> None:
    for head, left_at in heads:
        if not 0 < head.n <= len(entries):
            _fault(found, f"a head of entry {head.n} left the machine; the chain has {len(entries)}")
        elif entries[head.n - 1]["digest"] != head.digest:
            _fault(found, f"entry {head.n} is not the one whose digest left the machine: the chain was made anew")
        elif left_at and entries[head.n - 1]["at"] > left_at:
            _fault(found, f"entry {head.n} says that it was written after its digest had left")
        else:
            found.heads += 1
            covered = [e["bar"] for e in entries[: head.n] if e["kind"] == "signals"]
            found.proven_until = max([found.proven_until, *covered])


def _contents(entries: Sequence[dict[str, Any]], truth: Truth | None, found: Verified) -> None:
    specs: dict[str, str] = {}
    written, bar, close = "", "", None
    committed: dict[str, Any] | None = None
    pairs: _Pairs = {}
    for entry in entries:
        at = datetime.fromisoformat(entry["at"])
        if entry["at"] < written:
            _fault(found, f"entry {entry['n']} was written before the one before it")
        written = entry["at"]
        if entry["kind"] == "spec":
            specs[entry["feature"]] = entry["expression"]
        elif entry["kind"] == "label":
            if entry["bar"] != bar or committed is None or not entry["until"] > bar:
                _fault(found, f"entry {entry['n']} is the outcome of no bar whose signals stand before it")
            else:
                _label(entry, truth, found, specs, committed, pairs)
            committed = None
        else:
            opened = datetime.fromisoformat(entry["bar"])
            length = timedelta(seconds=float(entry["bar_seconds"]))
            if not entry["bar"] > bar:
                _fault(found, f"entry {entry['n']}: its bar does not follow the one before")
            if close is not None and opened < close - length / 2:
                _fault(found, f"entry {entry['n']}: its bar begins before the last one ended")
            bar, close = entry["bar"], opened + length
            if at < close - timedelta(seconds=2):
                _fault(found, f"entry {entry['n']} was written before its bar had closed")
            late = at >= close + length
            found.late += late
            if late and not entry["late"]:
                _fault(found, f"entry {entry['n']} was written when its outcome was known, and does not say so")
            found.signals += 1
            committed = entry
            _signals(entry, truth, found, specs)
    found.rank_ic = {name: _mean(values) for name, values in sorted(_scores(truth, pairs).items()) if values}


def _signals(entry: dict[str, Any], truth: Truth | None, found: Verified, specs: Mapping[str, str]) -> None:
    for name in entry["features"]:
        if name not in specs:
            _fault(found, f"entry {entry['n']}: {name} says something before its expression was committed")
    row = None if truth is None else truth.row(entry["bar"])
    symbols = tuple(entry["symbols"])
    if truth is None or row is None or truth.columns(symbols) is None:
        found.unchecked += 1
        return
    done = True
    for name, digest in entry["features"].items():
        wanted = truth.digest(specs.get(name, ""), row, symbols) if name in specs else None
        if wanted is None:
            done = False
        elif wanted != digest:
            _fault(
                found, f"entry {entry['n']}: {name} at {entry['bar']} is not what its expression gives on these bars"
            )
    found.recomputed += done


def _label(
    entry: dict[str, Any],
    truth: Truth | None,
    found: Verified,
    specs: Mapping[str, str],
    committed: Mapping[str, Any],
    pairs: _Pairs,
) -> None:
    if truth is None:
        return
    symbols = tuple(committed["symbols"])
    row, before, columns = truth.row(entry["until"]), truth.row(committed["bar"]), truth.columns(symbols)
    if row is None or columns is None:
        return
    if truth.digest("", row, symbols) != entry["returns"]:
        _fault(found, f"entry {entry['n']}: the returns of {entry['until']} are not those of these bars")
        return
    found.labels += 1
    if before is None or committed["late"]:
        return
    for name in committed["features"]:
        if name in specs:
            pairs.setdefault((name, specs[name], symbols), []).append((before, row))


def _scores(truth: Truth | None, pairs: _Pairs) -> dict[str, list[float]]:
    """Rank IC of every bar that was committed in time, by feature."""
    found: dict[str, list[float]] = {}
    for (name, expression, symbols), rows in pairs.items():
        assert truth is not None
        values, columns = truth.values(expression), truth.columns(symbols)
        if values is not None and columns is not None:
            said, came = np.array(rows).T
            ics = _rank_ics(values[np.ix_(said, columns)], truth.returns[np.ix_(came, columns)])
            found.setdefault(name, []).extend(ics[np.isfinite(ics)].tolist())
    return found


def _rank_ics(values: NDArray[np.float64], returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rank correlation over the symbols of each bar, [N]; with fewer than three, the sign of their product."""
    both = np.isfinite(values) & np.isfinite(returns)
    count = both.sum(axis=1)
    a, b = (rankdata(np.where(both, x, np.nan), axis=1, nan_policy="omit") for x in (values, returns))
    a, b = (np.where(both, x, 0.0) for x in (a, b))
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = (np.where(both, x - (x.sum(axis=1) / count)[:, None], 0.0) for x in (a, b))
        ics = (a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    few = np.sign(np.where(both, values * returns, 0.0).sum(axis=1))
    found: NDArray[np.float64] = np.where(count >= _LEAST_SYMBOLS, ics, np.where(count > 0, few, np.nan))
    return found


def _mean(values: Sequence[float]) -> dict[str, float]:
    size, mean = len(values), float(np.mean(values))
    error = float(np.std(values, ddof=1)) / size**0.5 if size > 1 else float("nan")
    return {"mean": mean, "t": mean / error if error > 0 else float("nan"), "bars": float(size)}
