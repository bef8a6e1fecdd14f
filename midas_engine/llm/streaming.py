"""Around every provider's stream: the SDK made once, a deadline, a circuit, named errors, a price."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from codecs import BOM_UTF8
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from midas_engine.errors import (
    ModelError,
    ModelLengthError,
    ModelOutageError,
    ModelRefusedError,
    ModelSetupError,
    ModelStallError,
    ModelTruncatedError,
    ModelUnfinishedError,
)
from midas_engine.llm.asking import Asking
from midas_engine.llm.budget import listed_price
from midas_engine.llm.client import ModelReply, ModelRequest, OnText
from midas_engine.llm.endpoint import sending_only
from midas_engine.llm.guard import Circuit, asked_wait, guarded, take_turns
from midas_engine.llm.reply_pieces import FAULTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import ModuleType

    from midas_engine.clock import Clock
    from midas_engine.llm.endpoint import Endpoint

# What OpenAI, Anthropic and those who speak like them call a reply that was withheld.
REFUSALS = frozenset({"content_filter", "refusal", "safety", "sensitive"})
CHARACTERS_A_TOKEN = 4
_SCHEMA_WORDS = ("response_format", "json_schema", "output_config", "schema", "text.format")


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
    tokens_cached: int = 0


class Said:
    """The text of a reply as it comes."""

    def __init__(self, provider: str, on_text: OnText | None) -> None:
        self._provider, self._on_text = provider, on_text
        self._pieces: list[str] = []
        self._size = 0
        self._half = ""

    async def add(self, piece: str) -> None:
        """Take a piece, hand it on, and let the loop go round.

        Half a character (a surrogate, which no file takes) waits for the piece with its other half; alone it is `?`.

        Raises:
            TypeError: It is no text.
            ModelTruncatedError: More has come than a reply may hold.
        """
        if not isinstance(piece, str):
            raise TypeError("a piece of the reply is no text")
        piece, self._half = self._half + piece, ""
        if piece[-1:] and "\ud800" <= piece[-1] <= "\udbff":
            piece, self._half = piece[:-1], piece[-1]
        if not piece.isascii():
            piece = piece.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
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
        model: The model's name; empty takes the provider's usual one.
        deadline_seconds: For one call, its retries included.
        provider: The name that errors and records give it; empty takes the SDK's.
        asking: How the model is asked and what it costs; None: by what is known of its name.
    """

    package: ClassVar[str]
    """The SDK's package: it is imported when the first call is made."""
    sdk_error: ClassVar[str]
    """The root of the SDK's errors."""
    sdk_client: ClassVar[str]
    """The SDK's asynchronous client."""
    key_header: ClassVar[str]
    """The header that carries the key, lower case."""
    default_model: ClassVar[str]
    """The model where none is named."""

    def __init__(
        self, endpoint: Endpoint, clock: Clock, *, model: str = "", deadline_seconds: float = 120.0, provider: str = "",
        asking: Asking | None = None,
    ) -> None:  # fmt: skip
        self.provider, self.model, self.endpoint = provider or self.package, model or self.default_model, endpoint
        self._clock, self._deadline = clock, deadline_seconds
        self._circuit = Circuit(clock)
        self._client: Any = None
        self.asking = asking or Asking(price=listed_price(self.model))
        self._note = self.asking.note
        self._plain = self.asking.options.structured != "yes"

    def connect(self, sdk: ModuleType) -> Any:
        """The SDK's own client, which sends the key to this endpoint alone."""
        hooks = {
            "request": [sending_only(self.endpoint, self.key_header)],
            "response": [waiting_outside(self._clock, self._deadline / 4), without_mark],
        }
        return getattr(sdk, self.sdk_client)(
            api_key=self.endpoint.key.reveal() or "none",
            base_url=self.endpoint.url,
            max_retries=2,
            timeout=self._deadline,
            http_client=sdk.DefaultAsyncHttpxClient(**self.endpoint.http_options(), event_hooks=hooks),
        )

    @abstractmethod
    async def stream(self, client: Any, request: ModelRequest, said: Said) -> Ended:
        """One call: every piece of text goes to `said`; why it ended and what it cost in tokens comes back."""

    def _sdk(self) -> ModuleType:
        import importlib

        try:
            return importlib.import_module(self.package)
        except ImportError as error:
            raise ModelSetupError(
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
        said = Said(self.provider, on_text)
        if self._note and on_text is not None:
            on_text(self._note)
            self._note = ""
        try:
            ended = await guarded(
                lambda: self._whole(request, said),
                provider=self.provider,
                deadline_seconds=self._deadline,
                sdk_error=getattr(sdk, self.sdk_error),
                transport=httpx2.HTTPError,
                now=self._clock.now,
            )
        except ModelError as error:
            # What the reply itself is at fault for says nothing of the provider's health.
            if isinstance(error, ModelTruncatedError):
                self._circuit.succeeded()
            else:
                self._circuit.failed(error.message)
            self._charge(error, request, said)
            raise
        self._circuit.succeeded()
        cost = self.asking.usd(ended.tokens_in, ended.tokens_out, ended.tokens_cached)
        seconds = self._clock.monotonic() - began
        return ModelReply(
            said.text, self.provider, self.model, ended.tokens_in, ended.tokens_out, seconds, cost,
            tokens_cached=ended.tokens_cached,
        )  # fmt: skip

    def _charge(self, error: ModelError, request: ModelRequest, said: Said) -> None:
        """Charge a call that failed after it was taken: providers bill what a cut, refused or slow reply had used."""
        taken = isinstance(error, ModelTruncatedError | ModelStallError) or said.text
        if not taken or error.tokens_in:
            return
        error.tokens_in = (len(request.system) + len(request.prompt)) // CHARACTERS_A_TOKEN
        error.tokens_out = len(said.text) // CHARACTERS_A_TOKEN
        if isinstance(error, ModelLengthError):  # the limit was used up, in thoughts that are not shown too
            error.tokens_out = max(error.tokens_out, self.limit(request))
        error.cost_usd = self.asking.usd(error.tokens_in, error.tokens_out)

    async def _whole(self, request: ModelRequest, said: Said) -> Ended:
        ended = await self._asked(request, said)
        if not ended.reason:
            raise ModelOutageError(
                f"the stream of {self.provider} stopped before its end", hint="nothing of it was used"
            )
        if ended.cut:
            raise ModelLengthError(
                f"the reply of {self.provider} ended early: it was longer than max_tokens ({request.max_tokens:,})",
                hint="nothing of it was used; raise model.max_tokens",
            )
        if ended.reason in REFUSALS:
            raise ModelRefusedError(
                f"{self.provider} would not answer: it gave the reason {ended.reason!r}", hint="word the goal otherwise"
            )
        if ended.reason in FAULTS:
            raise ModelOutageError(
                f"{self.provider} broke its reply off: it gave the reason {ended.reason!r}",
                hint="nothing of it was used",
            )
        if not ended.well:
            raise ModelUnfinishedError(
                f"the reply of {self.provider} ended early: it gave the reason {ended.reason!r}",
                hint="nothing of it was used",
            )
        return ended

    def limit(self, request: ModelRequest) -> int:
        """The token limit that is sent."""
        return self.asking.limit(request, self.model)

    async def _asked(self, request: ModelRequest, said: Said) -> Ended:
        """One call; who refuses a parameter by name is asked without it, or by its other name, for good."""
        while True:
            asked = dataclasses.replace(request, schema=None) if self._plain else request
            try:
                return await self.stream(self._client, asked, said)
            except Exception as error:
                refused = getattr(error, "status_code", None) in (400, 404, 422)
                if not refused or not self.adapt(str(error)[:20_000].lower(), asked):
                    raise

    def adapt(self, told: str, asked: ModelRequest) -> bool:
        """Ask otherwise from now on, as the words of a refusal (small letters) want it; False: there is no other way.

        Every change is made once.
        """
        if asked.schema is None or not any(word in told for word in _SCHEMA_WORDS):
            return False
        self._plain = True
        return True

    async def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            await self._client.close()


def waiting_outside(clock: Clock, longest: float) -> Any:
    """A hook for the transport: a longer wait that a provider asks for is not slept unseen in the call's own time.

    It is told, and waited for between two calls.
    """

    async def look(response: Any) -> None:
        if response.status_code >= 400 and asked_wait(response.headers, clock.now()) > longest:
            response.headers["x-should-retry"] = "false"

    return look


async def without_mark(response: Any) -> None:
    """A hook for the transport: a byte-order mark before a stream is no part of its first line.

    The SDKs take it for one, and lose the first event.
    """
    whole = response.aiter_bytes

    async def pieces(*how: Any, **more: Any) -> AsyncIterator[bytes]:
        held, begun = b"", False
        async with aclosing(whole(*how, **more)) as coming:
            async for piece in coming:
                if begun:
                    yield piece
                    continue
                held += piece
                if begun := not BOM_UTF8.startswith(held) or held == BOM_UTF8:
                    yield held.removeprefix(BOM_UTF8)
        if not begun and held:
            yield held

    response.aiter_bytes = pieces
