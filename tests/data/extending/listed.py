"""A researcher that a contributor adds: it proposes one expression."""

from midas_engine.proposer import LearningDraft, Plan, Proposal


class Listed:
    name = "listed"

    def __init__(self, seed):
        self.seed = seed

    async def plan(self, context, on_text):
        return Plan("one")

    async def write(self, context, plan, count, on_text):
        return [Proposal("one", "half(returns(close, 24))")]

    async def refine(self, context, proposal, result, on_text):
        return None

    async def learn(self, context, outcome, on_text):
        return LearningDraft("The list")

    async def diagnose(self, brief, on_text):
        raise NotImplementedError

    async def close(self):
        pass
