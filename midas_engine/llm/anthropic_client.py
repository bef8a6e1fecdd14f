"""Anthropic's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.llm.streaming import Ended, StreamingClient

if TYPE_CHECKING:
    from midas_engine.llm.client import ModelRequest
    from midas_engine.llm.streaming import Said

DEFAULT_MODEL = "claude-sonnet-5-5"


class AnthropicClient(StreamingClient):
    """Messages, streamed. A reply counts only when it ended with `end_turn`."""

    package, sdk_error, sdk_client = "anthropic", "AnthropicError", "AsyncAnthropic"
    key_header, default_model = "x-api-key", DEFAULT_MODEL

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
