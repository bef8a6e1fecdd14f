"""OpenAI, and anything that speaks its chat completions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_engine.llm.streaming import Ended, StreamingClient

if TYPE_CHECKING:
    from midas_engine.llm.client import ModelRequest
    from midas_engine.llm.streaming import Said

DEFAULT_MODEL = "gpt-4.1-mini"


class OpenAIClient(StreamingClient):
    """Chat completions, streamed. A reply counts only when it ended with `stop`."""

    package, sdk_error, sdk_client = "openai", "OpenAIError", "AsyncOpenAI"
    key_header, default_model = "authorization", DEFAULT_MODEL

    async def stream(self, client: Any, request: ModelRequest, said: Said) -> Ended:
        """One chat completion."""
        messages = [{"role": "user", "content": request.prompt}]
        if request.system:
            messages.insert(0, {"role": "system", "content": request.system})
        stream = await client.chat.completions.create(
            model=self.model,
            messages=messages,
            max_completion_tokens=request.max_tokens,
            stream=True,
            stream_options={"include_usage": True},
        )
        reason, usage = "", None
        async for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices[:1]:
                if choice.delta.content:
                    await said.add(choice.delta.content)
                reason = choice.finish_reason or reason
        # An endpoint that counts no tokens is charged four characters a token.
        tokens_in = usage.prompt_tokens if usage is not None else len(request.prompt) // 4
        tokens_out = usage.completion_tokens if usage is not None else len(said.text) // 4
        return Ended(reason, reason == "stop", reason == "length", tokens_in, tokens_out)
