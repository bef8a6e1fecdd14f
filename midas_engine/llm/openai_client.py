"""OpenAI, and anything that speaks its chat completions."""

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

DEFAULT_MODEL = "gpt-4.1-mini"


class OpenAIClient:
    """Chat completions, streamed. A reply counts only when it ended with `stop`."""

    def __init__(
        self,
        endpoint: Endpoint,
        clock: Clock,
        *,
        model: str = "",
        deadline_seconds: float = 120.0,
        provider: str = "openai",
    ) -> None:
        self.provider = provider
        self.model = model or DEFAULT_MODEL
        self.endpoint, self._clock, self._deadline = endpoint, clock, deadline_seconds
        self._circuit = Circuit(clock)
        self._client: Any = None

    def _sdk(self) -> Any:
        if self._client is None:
            try:
                import openai
            except ImportError as error:
                raise ModelError(
                    "the openai package is not installed", hint="pip install openai, or use --provider local"
                ) from error
            self._client = openai.AsyncOpenAI(
                api_key=self.endpoint.key.reveal() or "none",
                base_url=self.endpoint.url,
                max_retries=2,
                timeout=self._deadline,
                http_client=openai.DefaultAsyncHttpxClient(
                    **self.endpoint.http_options(),
                    event_hooks={"request": [sending_only(self.endpoint, "authorization")]},
                ),
            )
        return self._client

    async def complete(self, request: ModelRequest, on_text: OnText | None = None) -> ModelReply:
        """See `ModelClient.complete`."""
        client = self._sdk()
        import httpx2
        import openai

        self._circuit.check()
        began = self._clock.monotonic()
        try:
            text, tokens_in, tokens_out = await guarded(
                lambda: self._stream(client, request, on_text),
                provider=self.provider,
                deadline_seconds=self._deadline,
                sdk_error=openai.OpenAIError,
                transport=httpx2.HTTPError,
            )
        except ModelError:
            self._circuit.failed()
            raise
        self._circuit.succeeded()
        cost = price_usd(self.model, tokens_in, tokens_out)
        return ModelReply(text, self.provider, self.model, tokens_in, tokens_out, self._clock.monotonic() - began, cost)

    async def _stream(self, client: Any, request: ModelRequest, on_text: OnText | None) -> tuple[str, int, int]:
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
        pieces: list[str] = []
        reason, usage, size = None, None, 0
        async for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices[:1]:
                piece = choice.delta.content or ""
                if piece:
                    pieces.append(piece)
                    size += len(piece)
                    if on_text is not None:
                        on_text(piece)
                    await take_turns(self.provider, len(pieces), size)
                reason = choice.finish_reason or reason
        text = "".join(pieces)
        if reason is None:
            raise ModelOutageError(
                f"the stream of {self.provider} stopped before its end", hint="nothing of it was used"
            )
        if reason != "stop":
            why = {"length": "it was longer than max_tokens"}.get(reason, f"finish reason {reason}")
            raise ModelTruncatedError(f"the reply of {self.provider} ended early: {why}", hint="nothing of it was used")
        counted = (
            (usage.prompt_tokens, usage.completion_tokens)
            if usage is not None
            else (len(request.prompt) // 4, len(text) // 4)
        )
        return text, counted[0], counted[1]

    async def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            await self._client.close()
