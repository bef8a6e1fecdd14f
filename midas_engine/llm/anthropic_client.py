"""Anthropic's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.llm.streaming import Ended, StreamingClient

if TYPE_CHECKING:
    from midas_engine.llm.client import ModelRequest
    from midas_engine.llm.streaming import Said

DEFAULT_MODEL = "claude-sonnet-5-5"
_KEEP = {"type": "ephemeral"}


class AnthropicClient(StreamingClient):
    """Messages, streamed. A reply counts only when it ended with `end_turn`.

    The ends of a prompt's constant parts are marked, so that the provider keeps them: the next call pays a tenth.
    """

    package, sdk_error, sdk_client = "anthropic", "AnthropicError", "AsyncAnthropic"
    key_header, default_model = "x-api-key", DEFAULT_MODEL

    async def stream(self, client: Any, request: ModelRequest, said: Said) -> Ended:
        """One message."""
        options = self.asking.options
        more: dict[str, Any] = {"system": request.system} if request.system else {}
        output: dict[str, Any] = {}
        if options.effort:
            output["effort"] = options.effort
        if request.schema is not None:
            output["format"] = {"type": "json_schema", "schema": dict(request.schema)}
        if output:
            more["output_config"] = output
        if options.thinking:
            more["thinking"] = _thinking(options.thinking)
        stream = await client.messages.create(
            model=self.model,
            max_tokens=self.limit(request),
            messages=[{"role": "user", "content": _content(request)}],
            stream=True,
            **more,
        )
        reason, tokens_in, tokens_out, kept = "", 0, 0, 0
        async for event in stream:
            if event.type == "message_start":
                usage = event.message.usage
                kept = usage.cache_read_input_tokens or 0
                tokens_in = usage.input_tokens + kept + (usage.cache_creation_input_tokens or 0)
            elif event.type == "content_block_delta" and event.delta.type == "text_delta":
                await said.add(event.delta.text)
            elif event.type == "message_delta":
                reason = event.delta.stop_reason or reason
                tokens_out = event.usage.output_tokens
        return Ended(reason, reason == "end_turn", reason == "max_tokens", tokens_in, tokens_out, kept)


def _thinking(text: str) -> dict[str, Any]:
    if text == "off":
        return {"type": "disabled"}
    return {"type": "adaptive"} if text == "adaptive" else {"type": "enabled", "budget_tokens": int(text)}


def _content(request: ModelRequest) -> str | list[dict[str, Any]]:
    """The prompt, cut where a constant part ends; whole when none is marked."""
    ends = [end for end in request.constant if 0 < end < len(request.prompt)]
    if not ends:
        return request.prompt
    blocks: list[dict[str, Any]] = []
    begin = 0
    for end in ends:
        blocks.append({"type": "text", "text": request.prompt[begin:end], "cache_control": _KEEP})
        begin = end
    return [*blocks, {"type": "text", "text": request.prompt[begin:]}]
