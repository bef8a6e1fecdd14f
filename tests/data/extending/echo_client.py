"""A client of a provider that a contributor adds: it says everything again."""

from midas_engine.llm.client import ModelReply


class EchoClient:
    def __init__(self, endpoint, clock, *, model, deadline_seconds, provider, asking):
        self.endpoint, self.model, self.provider = endpoint, model, provider

    async def complete(self, request, on_text=None):
        return ModelReply(request.prompt, self.provider, self.model)

    async def close(self):
        pass
