"""OpenAI, and anything that speaks its chat completions."""

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

DEFAULT_MODEL = "gpt-4.1-mini"


class OpenAIClient(StreamingClient):
    """Chat completions, streamed. A reply counts only when it ended with `stop`."""

    package, sdk_error = "openai", "OpenAIError"

    def __init__(
        self,
        endpoint: Endpoint,
        clock: Clock,
        *,
        model: str = "",
        deadline_seconds: float = 120.0,
        provider: str = "openai",
    ) -> None:
        super().__init__(
            endpoint, clock, model=model or DEFAULT_MODEL, deadline_seconds=deadline_seconds, provider=provider
        )

    def connect(self, sdk: ModuleType) -> Any:
        """The SDK's client, which sends the key to this endpoint alone."""
        hooks = {"request": [sending_only(self.endpoint, "authorization")]}
        return sdk.AsyncOpenAI(
            api_key=self.endpoint.key.reveal() or "none",
            base_url=self.endpoint.url,
            max_retries=2,
            timeout=self._deadline,
            http_client=sdk.DefaultAsyncHttpxClient(**self.endpoint.http_options(), event_hooks=hooks),
        )

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
