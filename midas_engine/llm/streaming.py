"""Around every provider's stream: the SDK made once, a deadline, a circuit, named errors, a price."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from midas_engine.errors import ModelError, ModelOutageError, ModelTruncatedError
from midas_engine.llm.budget import price_usd
from midas_engine.llm.client import ModelReply, ModelRequest, OnText
from midas_engine.llm.guard import Circuit, guarded, take_turns

if TYPE_CHECKING:
    from types import ModuleType

    from midas_engine.clock import Clock
    from midas_engine.llm.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class Ended:
    """How a stream ended.

    Attributes:
        reason: The provider's word; empty when the stream broke off.
        well: It ended by itself.
        cut: It was cut at the token limit.
    """

    reason: str
    well: bool
    cut: bool
    tokens_in: int
    tokens_out: int


class Said:
    """The text of a reply as it comes."""

    def __init__(self, provider: str, on_text: OnText | None) -> None:
        self._provider, self._on_text = provider, on_text
        self._pieces: list[str] = []
        self._size = 0

    async def add(self, piece: str) -> None:
        """Take a piece, hand it on, and let the loop go round.

        Raises:
            ModelTruncatedError: More has come than a reply may hold.
        """
        self._pieces.append(piece)
        self._size += len(piece)
        if self._on_text is not None:
            self._on_text(piece)
        await take_turns(self._provider, len(self._pieces), self._size)

    @property
    def text(self) -> str:
        """What has come."""
        return "".join(self._pieces)


class StreamingClient(ABC):
    """A client whose replies are streamed and count only when they ended well.

    Args:
        endpoint: Where calls go, and with which key.
        clock: For deadlines and latencies.
        model: The model's name.
        deadline_seconds: For one call, its retries included.
        provider: The name that errors and records give it.
    """

    package: ClassVar[str]
    """The SDK's package: it is imported when the first call is made."""
    sdk_error: ClassVar[str]
    """The root of the SDK's errors."""

    def __init__(
        self, endpoint: Endpoint, clock: Clock, *, model: str, deadline_seconds: float = 120.0, provider: str
    ) -> None:
        self.provider, self.model, self.endpoint = provider, model, endpoint
        self._clock, self._deadline = clock, deadline_seconds
        self._circuit = Circuit(clock)
        self._client: Any = None

    @abstractmethod
    def connect(self, sdk: ModuleType) -> Any:
        """The SDK's own client."""

    @abstractmethod
    async def stream(self, client: Any, request: ModelRequest, said: Said) -> Ended:
        """One call: every piece of text goes to `said`; why it ended and what it cost in tokens comes back."""

    def _sdk(self) -> ModuleType:
        import importlib

        try:
            return importlib.import_module(self.package)
        except ImportError as error:
            raise ModelError(
                f"the {self.package} package is not installed",
                hint=f"pip install {self.package}, or use --provider local",
            ) from error

    async def complete(self, request: ModelRequest, on_text: OnText | None = None) -> ModelReply:
        """See `ModelClient.complete`."""
        sdk = self._sdk()
        if self._client is None:
            self._client = self.connect(sdk)
        import httpx2

        self._circuit.check()
        began = self._clock.monotonic()
        try:
            text, ended = await guarded(
                lambda: self._whole(request, on_text),
                provider=self.provider,
                deadline_seconds=self._deadline,
                sdk_error=getattr(sdk, self.sdk_error),
                transport=httpx2.HTTPError,
            )
        except ModelError:
            self._circuit.failed()
            raise
        self._circuit.succeeded()
        cost = price_usd(self.model, ended.tokens_in, ended.tokens_out)
        seconds = self._clock.monotonic() - began
        return ModelReply(text, self.provider, self.model, ended.tokens_in, ended.tokens_out, seconds, cost)

    async def _whole(self, request: ModelRequest, on_text: OnText | None) -> tuple[str, Ended]:
        said = Said(self.provider, on_text)
        ended = await self.stream(self._client, request, said)
        if not ended.reason:
            raise ModelOutageError(
                f"the stream of {self.provider} stopped before its end", hint="nothing of it was used"
            )
        if not ended.well:
            why = "it was longer than max_tokens" if ended.cut else f"it gave the reason {ended.reason!r}"
            raise ModelTruncatedError(f"the reply of {self.provider} ended early: {why}", hint="nothing of it was used")
        return said.text, ended

    async def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            await self._client.close()
