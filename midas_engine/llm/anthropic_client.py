"""Anthropic's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.llm.reply_pieces import chunks_of, counted, text_of
from midas_engine.llm.streaming import CHARACTERS_A_TOKEN, Ended, StreamingClient

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
        reason, asked, answered = "", None, None
        async for event in chunks_of(stream, self.provider):
            kind = getattr(event, "type", "")
            if kind == "message_start":
                asked = getattr(event.message, "usage", None)
            elif kind == "content_block_delta" and event.delta.type == "text_delta":
                await said.add(event.delta.text)
            elif kind == "message_delta":
                reason = event.delta.stop_reason or reason
                answered = getattr(event, "usage", None)
            elif kind == "message":  # all in one piece
                await said.add(text_of(event.content))
                reason, asked = event.stop_reason or "", getattr(event, "usage", None)
                answered = asked
        # An endpoint that counts no tokens is charged four characters a token.
        kept = counted(asked, "cache_read_input_tokens", 0)
        tokens_in = counted(asked, "input_tokens", (len(request.system) + len(request.prompt)) // CHARACTERS_A_TOKEN)
        tokens_in += kept + counted(asked, "cache_creation_input_tokens", 0)
        tokens_out = counted(answered, "output_tokens", len(said.text) // CHARACTERS_A_TOKEN)
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
