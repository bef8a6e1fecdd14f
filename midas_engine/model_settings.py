"""Settings of the model that proposes: which, how much of it, what it costs, how it is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which model, and how much of it. Keys are no settings: see `midas keys`.

    Attributes:
        provider: Who proposes.
        model: Model name; empty takes the provider's default.
        base_url: Address of the model; empty takes the provider's own.
        max_tokens: Longest reply.
        session_calls: Model calls a discovery session may make.
        session_usd: US dollars a session may spend.
        day_usd: US dollars a UTC day may spend, sessions and diagnoses together.
        deadline_seconds: Time for one call with all its retries.
        session_minutes: Wall time of a discovery session; then it ends with its learning. 0: no limit.
        session_failures: Failed steps in a row (each after its retries) that end a discovery session.
        cutoffs: Date up to which a model has read about the market, by the name of the model, or of the provider
            whose default model is used. Its sessions seal nothing before that date: only what came later
            can it not remember.
        prices: US dollars per million tokens by model, "in,out" or "in,out,cached": `"my-model" = [1.0, 4.0, 0.1]`.
            An exact name comes before a name that begins so. Unlisted models are charged as the dearest, and said.
        transcripts_mb: Size of all kept transcripts in megabytes: the oldest go when a session starts.
        transcripts_days: Days that a transcript is kept; older ones go when a session starts. 0: no limit.
        options: By model, `[model.options."NAME"]`, "*" for all: effort, thinking (off, adaptive or tokens),
            max_tokens, tokens_parameter, api (chat or responses), structured (yes or no), usage (yes or no).
    """

    provider: str = "local"
    model: str = ""
    base_url: str = ""
    max_tokens: int = 2000
    session_calls: int = 60
    session_usd: float = 2.0
    day_usd: float = 10.0
    deadline_seconds: float = 120.0
    session_minutes: float = 0.0
    session_failures: int = 3
    cutoffs: dict[str, str] = field(default_factory=dict)
    transcripts_mb: int = 200
    transcripts_days: float = 0.0
    prices: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)

    @property
    def knowledge_ends(self) -> datetime | None:
        """First instant that the model in use has not read about (UTC); None when none is set for it."""
        text = self.cutoffs.get(self.model or self.provider)
        return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC) + timedelta(days=1)
