"""Label columns: numbers that only say same or other, such as a sector or a cluster; known by their name."""

from __future__ import annotations

import re

_LABEL = re.compile(r"(.*_)?(sector|industry|subindustry|cluster|group)")


def is_label(column: str) -> bool:
    """Whether a column's numbers only say same or other: `sector`, `cluster`, or a name that ends `_group`.

    Example:
        >>> is_label("sector"), is_label("my_cluster"), is_label("close")
        (True, True, False)
    """
    return _LABEL.fullmatch(column) is not None
