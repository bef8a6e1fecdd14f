"""What writing to the store did, in figures and in words."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AppendReport:
    """What an append did. A row is one bar of one symbol.

    Attributes:
        key: The series, such as `binance@1h`.
        added: Rows that were not there.
        equal: Rows that say what was known, or less; nothing was written for them.
        filled: Rows that brought figures a known bar lacked.
        restated: Rows that contradict a known figure: the new one is read from now on, the old one is kept as an
            earlier revision.
        restated_columns: How many figures of each column were restated.
        examples: The first of them, in words.
        replaced: Rows that were dropped because the caller replaced the series.
        revision: Number of the manifest that says so; unchanged when nothing was new.
    """

    key: str
    added: int = 0
    equal: int = 0
    filled: int = 0
    restated: int = 0
    restated_columns: dict[str, int] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
    replaced: int = 0
    revision: int = 0

    @property
    def changed(self) -> bool:
        """Whether the store holds anything else than before."""
        return bool(self.added or self.filled or self.restated or self.replaced)

    def __str__(self) -> str:
        """One line; what did not happen is left out."""
        said = [f"{self.added:,} bars added"]
        for count, words in ((self.equal, "known already"), (self.filled, "filled in")):
            said += [f"{count:,} {words}"] * (count > 0)
        if self.restated:
            columns = ", ".join(f"{c} {n:,}" for c, n in self.restated_columns.items())
            said.append(f"{self.restated:,} RESTATED ({columns}); the earlier figures are kept as revisions")
        if self.replaced:
            said.append(f"{self.replaced:,} replaced")
        return f"{self.key}: " + ", ".join(said)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong in the store's folder.

    Attributes:
        file: Which file, as a path in the store.
        what: What is wrong.
        fix: What to do.
        harmful: False for what only takes room.
    """

    file: str
    what: str
    fix: str
    harmful: bool = True


@dataclass(frozen=True, slots=True)
class Tidied:
    """What a compaction or a pruning did.

    Attributes:
        files_before: Files of bars before.
        files_after: Files of bars after.
        rows: Rows dropped.
        bytes_freed: Room given back, leftovers and caches included; negative where it takes more.
    """

    files_before: int
    files_after: int
    rows: int = 0
    bytes_freed: int = 0
