"""A language model as researcher, through the prompts of the knowledge base."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from midas_engine.clock import WallClock
from midas_engine.errors import EvaluationError, ModelReplyError, SettingsError
from midas_engine.hypothesis import read_hypothesis
from midas_engine.llm.client import ModelReply, ModelRequest
from midas_engine.llm.patience import ask_patiently
from midas_engine.llm.replies import parse_reply
from midas_engine.proposer import prompts
from midas_engine.proposer.prompt_places import constant_parts, context_values
from midas_engine.proposer.protocol import DiagnosisDraft, LearningDraft, Plan, Proposal
from midas_engine.proposer.schemas import SCHEMAS
from midas_engine.redaction import StreamRedactor, redact

if TYPE_CHECKING:
    from midas_engine.clock import Clock
    from midas_engine.llm.budget import Budget
    from midas_engine.llm.client import ModelClient
    from midas_engine.proposer.protocol import DiagnosisBrief, OnText, ResearchContext, TrialResult

T = TypeVar("T")
OnReply = Callable[[ModelRequest, ModelReply], None]
LONG_REPLY = 20_000
_PROPOSAL: dict[str, type] = {
    "name": str, "expression": str, "rationale": str, "gate": str, "hold": int, "hypothesis": dict,
}  # fmt: skip
_PROPOSAL_OPTIONAL = frozenset({"rationale", "gate", "hold", "hypothesis"})


class LLMResearcher:
    """Asks a model. A reply that cannot be read gets one repair round, then a named failure.

    Args:
        client: The provider.
        budget: Refuses the call that would be too many.
        on_reply: Told of every reply.
        clock: Measures the waits after an outage.
    """

    def __init__(
        self, client: ModelClient, budget: Budget, *, on_reply: OnReply | None = None, clock: Clock | None = None
    ) -> None:
        self._client = self._asked = client
        self._budget = budget
        self._listeners = [on_reply] if on_reply is not None else []
        self._clock: Clock = clock or WallClock()
        self.name = f"{client.provider}:{client.model}"
        endpoint = getattr(client, "endpoint", None)
        self.destination: str = endpoint.description if endpoint is not None else ""

    def listen(self, on_reply: OnReply) -> None:
        """Tell `on_reply` of every reply from now on."""
        self._listeners.append(on_reply)

    def through(self, wrap: Callable[[ModelClient], ModelClient]) -> tuple[str, str]:
        """See `AsksModel.through`."""
        self._asked = wrap(self._client)
        return self._client.provider, self._client.model

    async def plan(self, context: ResearchContext, on_text: OnText) -> Plan:
        """See `Researcher.plan`."""

        def read(text: str) -> Plan:
            found = parse_reply(
                text, {"hypothesis": str, "approach": str, "avoid": list}, optional=frozenset({"approach", "avoid"})
            )
            if not found["hypothesis"].strip():
                raise ModelReplyError("the hypothesis is empty")
            return Plan(found["hypothesis"], found.get("approach", ""), _strings(found.get("avoid", [])))

        return await self._ask("plan", context_values(context), context, on_text, read)

    async def write(self, context: ResearchContext, plan: Plan, count: int, on_text: OnText) -> list[Proposal]:
        """See `Researcher.write`."""
        values = context_values(dataclasses.replace(context, current_plan=plan)) | {"count": str(count)}

        def read(text: str) -> list[Proposal]:
            items = parse_reply(text, {"candidates": list})["candidates"]
            if not items:
                raise ModelReplyError("the list of candidates is empty")
            return [_proposal(item) for item in items[:count]]

        return await self._ask("generate", values, context, on_text, read)

    async def refine(
        self, context: ResearchContext, proposal: Proposal, result: TrialResult, on_text: OnText
    ) -> Proposal | None:
        """See `Researcher.refine`."""
        values = context_values(context) | {
            "name": proposal.name,
            "expression": proposal.expression,
            "rationale": prompts.quoted(proposal.rationale, proposal.name),
            "verdicts": "\n".join(result.verdicts),
            "suggestions": "\n".join(result.suggestions) or "none",
        }

        def read(text: str) -> Proposal | None:
            fields: dict[str, type | tuple[type, ...]] = {**_PROPOSAL}
            fields |= {"name": (str, type(None)), "expression": (str, type(None))}
            found = parse_reply(text, fields, optional=_PROPOSAL_OPTIONAL | {"name"})
            if not found["expression"]:
                return None
            return _proposal(found | {"name": found.get("name") or proposal.name})

        return await self._ask("refine", values, context, on_text, read)

    async def learn(self, context: ResearchContext, outcome: str, on_text: OnText) -> LearningDraft:
        """See `Researcher.learn`."""
        fields = {
            "title": str,
            "pattern_identified": str,
            "what_worked": str,
            "what_failed": str,
            "recommendation": str,
            "tags": list,
        }

        def read(text: str) -> LearningDraft:
            found = parse_reply(
                text, fields, optional=frozenset({"what_worked", "what_failed", "recommendation", "tags"})
            )
            found["tags"] = _strings(found.get("tags", []))[:12]
            return LearningDraft(**found)

        return await self._ask("learn", context_values(context) | {"outcome": outcome}, context, on_text, read)

    async def diagnose(self, brief: DiagnosisBrief, on_text: OnText) -> DiagnosisDraft:
        """See `Researcher.diagnose`."""
        values = {
            "feature": brief.feature,
            "expression": brief.expression,
            "alert": brief.alert,
            "cause": brief.cause,
            "confidence": f"{brief.confidence:.2f}",
            "figures": "\n".join(brief.figures),
            "regime": brief.regime,
            "learnings": prompts.learnings_text(brief.learnings),
            "columns": ", ".join(brief.columns),
            "operators": prompts.operators_text(),
        }
        fields: dict[str, type | tuple[type, ...]] = {
            "root_cause": str, "evidence": list, "fix_expression": (str, type(None)), "fix_reason": str, "kill": bool,
            "kill_reason": str, "learning": str,
        }  # fmt: skip

        def read(text: str) -> DiagnosisDraft:
            found = parse_reply(
                text,
                fields,
                optional=frozenset({"evidence", "fix_expression", "fix_reason", "kill", "kill_reason", "learning"}),
            )
            found["evidence"] = _strings(found.get("evidence", []))
            found["fix_expression"] = found.get("fix_expression") or ""
            return DiagnosisDraft(**found)

        return await self._ask("diagnose", values, brief, on_text, read)

    async def close(self) -> None:
        """Close the client."""
        await self._client.close()

    async def _ask(
        self, name: str, values: dict[str, str], context: Any, on_text: OnText, read: Callable[[str], T]
    ) -> T:
        template = "\n".join(f"{k}: {{{{{k}}}}}" for k in values)
        if context.prompt is not None:
            template = await asyncio.to_thread(context.prompt, name)
        # What a prompt quotes was written by others: a key in it would be sent to whoever answers.
        filled = redact(prompts.fill(template, values, name))
        if len(filled) > prompts.MAX_PROMPT:
            raise SettingsError(
                f"the prompt {name!r} has {len(filled):,} characters, at most {prompts.MAX_PROMPT:,} are sent",
                hint=f"shorten proposer/prompts/{name}.md or the skill documents",
            )
        request = ModelRequest(
            filled, prompts.SYSTEM, context.max_tokens, name, constant_parts(filled, values), SCHEMAS.get(name)
        )  # fmt: skip
        text = await self._call(request, on_text)
        try:
            return await _aside(read, text)
        except ModelReplyError as error:
            on_text(f"\n(the reply could not be read: {error.message}; asking once more)\n")
            repair = (
                f"{request.prompt}\n\nYour last reply could not be used: {error.message}. {error.hint}\n"
                f"It was:\n{prompts.quoted(text, 'reply')}\n\nReply again, with exactly one valid JSON block."
            )
            text = await self._call(dataclasses.replace(request, prompt=repair, purpose=f"{name} repair"), on_text)
            try:
                return await _aside(read, text)
            except ModelReplyError as second:
                raise ModelReplyError(
                    f"{self.name} gave no usable reply to {name!r}, twice: {second.message}", hint="try another model"
                ) from second

    async def _call(self, request: ModelRequest, on_text: OnText) -> str:
        """One reply, waiting out what passes: the session goes on at the same candidate."""
        reply = await ask_patiently(self._complete, request, on_text, budget=self._budget, clock=self._clock)
        for listener in self._listeners:
            listener(request, reply)
        return reply.text

    async def _complete(self, request: ModelRequest, on_text: OnText) -> ModelReply:
        """One call; no key that the reply echoes goes further, not even in two pieces of the stream."""
        stream = StreamRedactor()

        def hear(piece: str) -> None:
            if shown := stream.feed(piece):
                on_text(shown)

        reply = await self._asked.complete(request, hear)
        if rest := stream.flush():
            on_text(rest)
        return dataclasses.replace(reply, text=await _aside(redact, reply.text))


async def _aside(work: Callable[[str], T], text: str) -> T:
    """`work(text)`; a long text is worked on beside the loop, which gets its turns between the steps."""
    return await asyncio.to_thread(work, text) if len(text) > LONG_REPLY else work(text)


def _strings(items: list[Any]) -> tuple[str, ...]:
    return tuple(item for item in items if isinstance(item, str) and item.strip())


def _proposal(item: Any) -> Proposal:
    if not isinstance(item, dict):
        raise ModelReplyError("every candidate must be an object with name and expression")
    found: dict[str, Any] = {}
    for key, kind in _PROPOSAL.items():
        value = item.get(key)
        if value is None and key in _PROPOSAL_OPTIONAL:
            continue
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ModelReplyError(f"the candidate's {key!r} must be {kind.__name__}")
        found[key] = value
    if "hypothesis" in found:
        try:
            found["hypothesis"] = read_hypothesis(found["hypothesis"])
        except EvaluationError as error:
            raise ModelReplyError(f"the hypothesis of {found['name'][:80]!r}: {error.message}") from error
    return Proposal(**found)
