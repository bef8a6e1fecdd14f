"""Anthropic's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.llm.endpoint import sending_only
from midas_engine.llm.streaming import Ended, StreamingClient

if TYPE_CHECKING:
    from types import ModuleType

    from midas_engine.clock import Clock
    from midas_engine.llm.client import ModelRequest
    from midas_engine.llm.endpoint import Endpoint
    from midas_engine.llm.streaming import Said

DEFAULT_MODEL = "claude-sonnet-5-5"


class AnthropicClient(StreamingClient):
    """Messages, streamed. A reply counts only when it ended with `end_turn`."""

    package, sdk_error = "anthropic", "AnthropicError"

    def __init__(
        self,
        endpoint: Endpoint,
        clock: Clock,
        *,
        model: str = "",
        deadline_seconds: float = 120.0,
        provider: str = "anthropic",
    ) -> None:
        super().__init__(
            endpoint, clock, model=model or DEFAULT_MODEL, deadline_seconds=deadline_seconds, provider=provider
        )

    def connect(self, sdk: ModuleType) -> Any:
        """The SDK's client, which sends the key to this endpoint alone."""
        hooks = {"request": [sending_only(self.endpoint, "x-api-key")]}
        return sdk.AsyncAnthropic(
            api_key=self.endpoint.key.reveal() or "none",
            base_url=self.endpoint.url,
            max_retries=2,
            timeout=self._deadline,
            http_client=sdk.DefaultAsyncHttpxClient(**self.endpoint.http_options(), event_hooks=hooks),
        )

    async def stream(self, client: Any, request: ModelRequest, said: Said) -> Ended:
        """One message."""
        more = {"system": request.system} if request.system else {}
        stream = await client.messages.create(
            model=self.model,
            max_tokens=request.max_tokens,
            messages=[{"role": "user", "content": request.prompt}],
            stream=True,
            **more,
        )
        reason, tokens_in, tokens_out = "", 0, 0
        async for event in stream:
            if event.type == "message_start":
                tokens_in = event.message.usage.input_tokens
            elif event.type == "content_block_delta" and event.delta.type == "text_delta":
                await said.add(event.delta.text)
            elif event.type == "message_delta":
                reason = event.delta.stop_reason or reason
                tokens_out = event.usage.output_tokens
        return Ended(reason, reason == "end_turn", reason == "max_tokens", tokens_in, tokens_out)
