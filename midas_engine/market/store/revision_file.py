"""What restated bars said before: files beside the bars, so that no figure is overwritten in silence."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.market.durable import write_durably

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from midas_engine.market.provenance import Provenance
    from midas_engine.market.store.manifest import Series
    from midas_engine.market.store.merge import Merged
    from midas_engine.market.store.transaction import Transaction


def write_revisions(
    change: Transaction,
    series: Series,
    revised: Sequence[tuple[str, Merged]],
    provenance: Mapping[str, Provenance],
) -> Series:
    """The series with one more file a month of figures that were restated.

    Its columns: timestamp, symbol, column, old, new, revision (number of the manifest), and how, source and at of
    the new figure.

    Raises:
        OSError: The disk refused.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    entries: list[dict[str, Any]] = []
    for month, held in revised:
        parts = []
        for one in held.revisions:
            origin, count = provenance[one.column], len(one.seconds)
            columns = {
                "timestamp": pa.array(one.seconds.astype("datetime64[s]").astype("datetime64[us]"),
                                      pa.timestamp("us", "UTC")),
                "symbol": pa.array(one.symbols, pa.string()),
                "column": pa.array([one.column] * count, pa.string()),
                "old": pa.array(one.old),
                "new": pa.array(one.new),
                "revision": pa.array(np.full(count, change.number)),
                "how": pa.array([origin.how] * count, pa.string()),
                "source": pa.array([origin.source] * count, pa.string()),
                "at": pa.array([origin.at] * count, pa.timestamp("us", "UTC")),
            }  # fmt: skip
            parts.append(pa.table(columns))
        buffer = io.BytesIO()
        table = pa.concat_tables(parts)
        pq.write_table(table, buffer, compression="zstd")
        data = buffer.getvalue()
        file = change.new_file(series, month, "revisions")
        target = change.folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        write_durably(target, lambda stream, data=data: stream.write(data))  # type: ignore[misc]
        entries.append(
            {"file": file, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "rows": table.num_rows}
        )
    restated = sum(int(e["rows"]) for e in entries)
    return replace(series, revisions=(*series.revisions, *entries), restated=series.restated + restated)
