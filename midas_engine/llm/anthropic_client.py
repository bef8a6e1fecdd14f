"""Anthropic's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.errors import ModelError, ModelOutageError, ModelTruncatedError
from midas_engine.llm.budget import price_usd
from midas_engine.llm.client import ModelReply, ModelRequest, OnText
from midas_engine.llm.endpoint import sending_only
from midas_engine.llm.guard import Circuit, guarded, take_turns

if TYPE_CHECKING:
    from midas_engine.clock import Clock
    from midas_engine.llm.endpoint import Endpoint

DEFAULT_MODEL = "claude-sonnet-5-5"


class AnthropicClient:
    """Messages, streamed. A reply counts only when it ended with `end_turn`."""

    provider = "anthropic"

    def __init__(self, endpoint: Endpoint, clock: Clock, *, model: str = "", deadline_seconds: float = 120.0) -> None:
        self.model = model or DEFAULT_MODEL
        self.endpoint, self._clock, self._deadline = endpoint, clock, deadline_seconds
        self._circuit = Circuit(clock)
        self._client: Any = None

    def _sdk(self) -> Any:
        if self._client is None:
            try:
                import anthropic
            except ImportError as error:
                raise ModelError(
                    "the anthropic package is not installed", hint="pip install anthropic, or use --provider local"
                ) from error
            self._client = anthropic.AsyncAnthropic(
                api_key=self.endpoint.key.reveal() or "none",
                base_url=self.endpoint.url,
                max_retries=2,
                timeout=self._deadline,
                http_client=anthropic.DefaultAsyncHttpxClient(
                    **self.endpoint.http_options(), event_hooks={"request": [sending_only(self.endpoint, "x-api-key")]}
                ),
            )
        return self._client

    async def complete(self, request: ModelRequest, on_text: OnText | None = None) -> ModelReply:
        """See `ModelClient.complete`."""
        client = self._sdk()
        import anthropic
        import httpx2

        self._circuit.check()
        began = self._clock.monotonic()
        try:
            text, tokens_in, tokens_out = await guarded(
                lambda: self._stream(client, request, on_text),
                provider=self.provider,
                deadline_seconds=self._deadline,
                sdk_error=anthropic.AnthropicError,
                transport=httpx2.HTTPError,
            )
        except ModelError:
            self._circuit.failed()
            raise
        self._circuit.succeeded()
        cost = price_usd(self.model, tokens_in, tokens_out)
        return ModelReply(text, self.provider, self.model, tokens_in, tokens_out, self._clock.monotonic() - began, cost)

    async def _stream(self, client: Any, request: ModelRequest, on_text: OnText | None) -> tuple[str, int, int]:
        more = {"system": request.system} if request.system else {}
        stream = await client.messages.create(
            model=self.model,
            max_tokens=request.max_tokens,
            messages=[{"role": "user", "content": request.prompt}],
            stream=True,
            **more,
        )
        pieces: list[str] = []
        reason: str | None = None
        tokens_in = tokens_out = size = 0
        async for event in stream:
            if event.type == "message_start":
                tokens_in = event.message.usage.input_tokens
            elif event.type == "content_block_delta" and event.delta.type == "text_delta":
                pieces.append(event.delta.text)
                size += len(event.delta.text)
                if on_text is not None:
                    on_text(event.delta.text)
                await take_turns(self.provider, len(pieces), size)
            elif event.type == "message_delta":
                reason = event.delta.stop_reason or reason
                tokens_out = event.usage.output_tokens
        if reason is None:
            raise ModelOutageError("the stream of anthropic stopped before its end", hint="nothing of it was used")
        if reason != "end_turn":
            why = {"max_tokens": "it was longer than max_tokens"}.get(reason, f"stop reason {reason}")
            raise ModelTruncatedError(f"the reply of anthropic ended early: {why}", hint="nothing of it was used")
        return "".join(pieces), tokens_in, tokens_out

    async def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            await self._client.close()
