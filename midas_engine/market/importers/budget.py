"""How much one import may unpack: its sum is bounded before anything is read."""

from __future__ import annotations

from dataclasses import dataclass

from midas_engine.errors import DataFormatError

# Klines pack to a third or a tenth of their text. A hundredth is no market: it is the same row again and again.
MOST_INFLATION = 100
# Below this the ratio says nothing: an hour of one price packs well, too.
FREE_BYTES = 32_000_000
# A year of one-minute klines of thirty symbols is 2 GB of text.
MAX_IMPORT_BYTES = 4_000_000_000


@dataclass(slots=True)
class Budget:
    """What one import has unpacked so far."""

    packed: int = 0
    inflated: int = 0

    def take(self, name: str, packed: int, inflated: int) -> None:
        """Charge what a file holds, before it is read.

        Args:
            name: The file.
            packed: Its bytes on disk.
            inflated: Its bytes in memory: of the text, or rows x columns x 8.

        Raises:
            DataFormatError: It is a bomb, or the import is past all memory. Nothing is charged then.
        """
        whole, room = self.inflated + inflated, self.room(packed)
        if inflated > room:
            if whole > MAX_IMPORT_BYTES:
                raise DataFormatError(
                    f"{name} would bring this import to {whole:,} bytes, more than {MAX_IMPORT_BYTES:,}",
                    hint="import fewer files at a time",
                )
            raise DataFormatError(
                f"{name} would unpack {packed:,} bytes to {inflated:,}, more than {MOST_INFLATION} times as many",
                hint="that is a pack bomb, or the same row again and again; no market data packs so well",
            )
        self.packed += packed
        self.inflated = whole

    def room(self, packed: int) -> int:
        """How many bytes a file of so many packed bytes may still unpack."""
        allowed = max(FREE_BYTES, MOST_INFLATION * (self.packed + packed))
        return min(MAX_IMPORT_BYTES, allowed) - self.inflated
