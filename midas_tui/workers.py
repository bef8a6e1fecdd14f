"""Background work of the screens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from textual.dom import DOMNode


def in_worker(node: DOMNode, work: Callable[[], Coroutine[Any, Any, Any]], group: str, *, exclusive: bool) -> None:
    """Run `work()` beside the message loop of `node`; `exclusive` cancels what still runs in its group.

    The coroutine is made when the worker starts: one that is cancelled before that leaves nothing unawaited.
    """
    node.run_worker(cast("Any", work), group=group, exclusive=exclusive)
