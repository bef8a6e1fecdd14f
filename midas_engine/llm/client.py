"""What a model client is: one request in, one whole reply out, text streamed on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from midas_engine.redaction import REDACTOR

OnText = Callable[[str], None]
# A stream that is all there already gives the event loop no turn of itself: after so many pieces it gets one.
PIECES_A_TURN = 16


class Secret:
    """A key that prints as dots everywhere but where it is sent, and is redacted in every text from now on.

    Example:
        >>> str(Secret("sk-123")), repr(Secret("sk-123"))
        ('••••', "Secret('••••')")
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        REDACTOR.register(value)

    def reveal(self) -> str:
        """The key itself."""
        return self._value

    def __str__(self) -> str:
        return "••••"

    def __repr__(self) -> str:
        return "Secret('••••')"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret is not pickled")


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One question.

    Attributes:
        prompt: The user's turn.
        system: Standing instructions.
        max_tokens: Longest reply.
        purpose: plan, write, refine, learn or diagnose; for transcript and ledger.
        constant: Where parts of the prompt end that are the same from call to call, in characters from its start: a
            provider that is told may keep them.
        schema: JSON schema of the reply, for providers that keep to one.
        longer: How often the limit was multiplied since it was first asked.
    """

    prompt: str
    system: str = ""
    max_tokens: int = 2000
    purpose: str = ""
    constant: tuple[int, ...] = ()
    schema: Mapping[str, Any] | None = None
    longer: int = 1


@dataclass(frozen=True, slots=True)
class ModelReply:
    """One whole answer: it ended of itself, nothing was cut.

    Attributes:
        cached: It was given from a record, not by the provider.
        tokens_cached: How many of `tokens_in` the provider had kept from an earlier call.
    """

    text: str
    provider: str
    model: str
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    cost_usd: float = 0.0
    cached: bool = False
    tokens_cached: int = 0


class ModelClient(Protocol):
    """A provider."""

    provider: str
    model: str

    async def complete(self, request: ModelRequest, on_text: OnText | None = None) -> ModelReply:
        """The whole reply; its text goes to `on_text` as it comes.

        Raises:
            ModelKeyError: No key, or it was refused.
            ModelTruncatedError: The reply ended early.
            ModelError: Anything else, after the retries.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
