"""What a newcomer without a base is asked, and the ways that the answers show."""

from __future__ import annotations

WELCOME = (
    ("demo", "play a case: find, promote, alarm, kill, and the truth (2 minutes)"),
    ("sample", "look around on the bundled sample: real perpetuals, recorded"),
    ("data", "get real bars: fetch a venue's history, or import files"),
    ("live", "watch live bars"),
)
WAYS = {
    "sample": "Nothing is live yet.\n3 then r searches for features, 2 then p promotes one.\n\n"
    "midas-tui --replay shows the sample as it happened, with features that are watched.",
    "data": "midas data fetch binance --symbols BTCUSDT,ETHUSDT --since 2024-01-01\nfetches into ./midas-store; "
    "then midas-tui --data store:binance\n\nmidas data import FILE... takes CSV, Parquet and archives as vendors "
    "write them.\n\nq leaves.",
    "live": "pip install 'midas-alpha[live]', then\nmidas-tui --data live:binance\n\nNo key is needed to watch. "
    "q leaves.",
}
