"""OpenAI, by chat completions or responses, and anything that speaks its chat completions."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from midas_engine.llm.reply_pieces import CUTS, ENDS, broke_off, chunks_of, counted, text_of
from midas_engine.llm.streaming import Ended, StreamingClient

if TYPE_CHECKING:
    from midas_engine.llm.client import ModelRequest
    from midas_engine.llm.streaming import Said

DEFAULT_MODEL = "gpt-5.4-mini"
_LIMITS = ("max_completion_tokens", "max_tokens")
_UNKNOWN = (
    "unknown",
    "unsupported",
    "not supported",
    "unrecognized",
    "unexpected",
    "not permitted",
    "extra",
    "invalid param",
)
_ENDINGS = ("response.completed", "response.incomplete", "response.failed")


class OpenAIClient(StreamingClient):
    """Streamed. A reply counts only when it ended by itself (`stop`), or its response was completed."""

    package, sdk_error, sdk_client = "openai", "OpenAIError", "AsyncOpenAI"
    key_header, default_model = "authorization", DEFAULT_MODEL
    _renamed = False

    def adapt(self, told: str, asked: ModelRequest) -> bool:
        """See `StreamingClient.adapt`: token counts, and the limit's name, which endpoints differ in."""
        if super().adapt(told, asked):
            return True
        options = self.asking.options
        if options.api == "responses" or not any(word in told for word in _UNKNOWN):
            return False
        limit = options.tokens_parameter or _LIMITS[0]
        if "stream_options" in told and options.usage != "no":
            options = dataclasses.replace(options, usage="no")
        elif limit in told and limit in _LIMITS and not self._renamed:
            self._renamed = True
            options = dataclasses.replace(options, tokens_parameter=_LIMITS[1 - _LIMITS.index(limit)])
        else:
            return False
        self.asking = dataclasses.replace(self.asking, options=options)
        return True

    async def stream(self, client: Any, request: ModelRequest, said: Said) -> Ended:
        """One call."""
        if self.asking.options.api == "responses":
            return await self._response(client, request, said)
        return await self._completion(client, request, said)

    async def _completion(self, client: Any, request: ModelRequest, said: Said) -> Ended:
        options = self.asking.options
        messages = [{"role": "user", "content": request.prompt}]
        if request.system:
            messages.insert(0, {"role": "system", "content": request.system})
        more: dict[str, Any] = {options.tokens_parameter or "max_completion_tokens": self.limit(request)}
        if options.usage != "no":
            more["stream_options"] = {"include_usage": True}
        if options.effort:
            more["reasoning_effort"] = options.effort
        if request.schema is not None:
            more["response_format"] = {"type": "json_schema", "json_schema": _named(request)}
        known = {"max_completion_tokens", "max_tokens", "stream_options", "reasoning_effort", "response_format"}
        foreign = {name: more.pop(name) for name in [*more] if name not in known}
        stream = await client.chat.completions.create(
            model=self.model, messages=messages, stream=True, extra_body=foreign or None, **more
        )
        reason, usage = "", None
        async for chunk in chunks_of(stream, self.provider):
            usage = getattr(chunk, "usage", None) or usage
            for choice in getattr(chunk, "choices", None) or ():
                if getattr(choice, "index", None):  # another answer, which nobody asked for
                    continue
                delta = getattr(choice, "delta", None) or getattr(choice, "message", None)
                if text := text_of(getattr(delta, "content", None)):
                    await said.add(text)
                reason = str(getattr(choice, "finish_reason", None) or reason).lower()
                if getattr(delta, "refusal", None):
                    reason = "refusal"
        # An endpoint that counts no tokens is charged four characters a token.
        tokens_in = counted(usage, "prompt_tokens", len(request.prompt) // 4)
        tokens_out = counted(usage, "completion_tokens", len(said.text) // 4)
        kept = counted(getattr(usage, "prompt_tokens_details", None), "cached_tokens", 0)
        return Ended(reason, reason in ENDS, reason in CUTS, tokens_in, tokens_out, kept)

    async def _response(self, client: Any, request: ModelRequest, said: Said) -> Ended:
        options = self.asking.options
        more: dict[str, Any] = {"instructions": request.system} if request.system else {}
        if options.effort:
            more["reasoning"] = {"effort": options.effort}
        if request.schema is not None:
            more["text"] = {"format": {"type": "json_schema", **_named(request)}}
        stream = await client.responses.create(
            model=self.model, input=request.prompt, max_output_tokens=self.limit(request), stream=True, store=False,
            **more,
        )  # fmt: skip
        reason, usage = "", None
        async for event in chunks_of(stream, self.provider):
            kind = getattr(event, "type", "")
            if kind == "response.output_text.delta":
                await said.add(event.delta)
            elif kind == "response.refusal.delta":
                reason = "refusal"
            elif kind == "error":
                raise broke_off(self.provider, event)
            elif kind in _ENDINGS or getattr(event, "object", "") == "response":
                whole = getattr(event, "response", event)
                if whole is event:
                    await said.add("".join(text_of(getattr(part, "content", None)) for part in whole.output))
                if (ended := str(whole.status or kind.rpartition(".")[2])) == "failed":
                    raise broke_off(self.provider, getattr(whole, "error", None))
                usage, details = getattr(whole, "usage", None), getattr(whole, "incomplete_details", None)
                reason = reason or getattr(details, "reason", None) or ended
        tokens_in = counted(usage, "input_tokens", len(request.prompt) // 4)
        tokens_out = counted(usage, "output_tokens", len(said.text) // 4)
        kept = counted(getattr(usage, "input_tokens_details", None), "cached_tokens", 0)
        return Ended(reason, reason == "completed", reason == "max_output_tokens", tokens_in, tokens_out, kept)


def _named(request: ModelRequest) -> dict[str, Any]:
    name = request.purpose.split(" ")[0] or "reply"
    return {"name": name, "schema": dict(request.schema or {}), "strict": True}
