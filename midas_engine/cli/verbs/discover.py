"""`midas discover GOAL`: a discovery session, or several until one finds something, streamed as they happen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from midas_engine.cli.context import Shared, Verb
from midas_engine.cli.options import pass_options
from midas_engine.cli.session_lines import Narrator
from midas_engine.cli.signals import cancelling
from midas_engine.cli.verbs.mlflow import mirror_if_set
from midas_engine.loops.until_found import MOST_SESSIONS
from midas_engine.providers import PROVIDERS
from midas_engine.redaction import REDACTOR

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.events import SessionEnded
    from midas_engine.loops import OfflineLoopConfig
    from midas_engine.settings import Settings


PROVIDER_HELP = f"Who proposes: {', '.join(PROVIDERS)}, or a plug-in's researcher [default: local, needs no key]."


def provider_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--provider, --model and --api-key, as `discover` and `demo` take them."""
    options = (
        click.option("--provider", metavar="NAME", help=PROVIDER_HELP),
        click.option("--model", metavar="NAME", help="Model name [default: the provider's]."),
        click.option(
            "--api-key", metavar="KEY", help="Better in the environment: a command line is visible to others."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def take_key(shared: Shared, api_key: str | None, settings: Settings) -> str | None:
    """The key from the command line, with a warning, and never printed again; a key that nobody will use is said."""
    from midas_engine.providers import unused_keys

    if unused := unused_keys(settings.model.provider, given=bool(api_key)):
        shared.note(f"{' and '.join(unused)} not used: {settings.model.provider} asks no model (--provider NAME does)")
    if api_key:
        REDACTOR.register(api_key)
        shared.secrets.append(api_key)
        click.echo(
            "warning: --api-key can be seen in the process list and in your shell's history; "
            "OPENAI_API_KEY or ANTHROPIC_API_KEY in the environment cannot",
            err=True,
        )
    return api_key or None


@dataclass(frozen=True, slots=True)
class DiscoverOptions:
    """What `midas discover` is told, as it was typed."""

    goal: str
    provider: str | None
    model: str | None
    api_key: str | None = field(repr=False)  # no traceback shows it
    iterations: int
    candidates: int
    minutes: float | None
    regime: str
    target: str | None
    seed: int | None
    resume: str
    sessions: int


@click.command(
    cls=Verb,
    example=(
        'midas discover "short-term reversal after volume shocks" --provider local --data sample',
        'midas discover "funding carry on majors" --provider openai --iterations 3',
        'midas discover "anything that predicts the next day" --sessions 16 --minutes 30',
        "midas discover --resume 20260101-120000-ab12",
    ),
)
@click.argument("goal", default="")
@provider_options
@click.option("--iterations", type=click.IntRange(1, 10_000), default=5, show_default=True, help="Plans at most.")
@click.option("--candidates", type=click.IntRange(1, 100), default=3, show_default=True, help="Expressions a plan.")
@click.option(
    "--minutes",
    type=click.FloatRange(0),
    metavar="N",
    help="Wall time, of all --sessions together; then the session ends with its learning [default: the settings', "
    "none].",
)
@click.option("--regime", default="", metavar="NAME", help="Regime of interest, such as HIGH_VOL.")
@click.option(
    "--for", "target", metavar="SOURCE", help="Only columns that live:EXCHANGE[@BAR] has [default: the setting target]."
)
@click.option("--seed", type=int, help="Seed of the local search.")
@click.option(
    "--resume",
    default="",
    metavar="SESSION",
    help="Go on with a session that was killed or cancelled, with the goal and the budget it had.",
)
@click.option(
    "--sessions",
    type=click.IntRange(1, MOST_SESSIONS),
    default=1,
    show_default=True,
    help="Sessions at most, one after another, each with a seed of its own, until one leaves a candidate.",
)
@pass_options(DiscoverOptions)
def discover(shared: Shared, typed: DiscoverOptions) -> None:
    """Search for features towards GOAL: plan, write, assess, refine, learn.

    An accepted expression becomes a candidate; every session leaves a learning, also when it is interrupted.
    """
    from midas_engine.loops import OfflineLoopConfig
    from midas_engine.proposer.factory import screened_by

    goal, resume = typed.goal, typed.resume
    if not goal and not resume:
        raise click.UsageError("Missing argument 'GOAL'; only --resume SESSION needs none")
    if goal and resume:
        raise click.UsageError("--resume SESSION has its own goal: leave GOAL out")
    if resume and typed.sessions > 1:
        raise click.UsageError("--resume SESSION goes on with one session: leave --sessions out")
    settings = shared.settings(
        model__provider=typed.provider,
        model__model=typed.model,
        model__session_minutes=typed.minutes,
        seed=typed.seed,
        target=typed.target,
    )
    config = OfflineLoopConfig(
        max_iterations=typed.iterations,
        candidates_per_iter=typed.candidates,
        model=settings.model.model,
        max_tokens=settings.model.max_tokens,
        screened=screened_by(settings),
    )
    if resume:
        settings, config = _as_it_was(settings, shared, resume)
    key = take_key(shared, typed.api_key, settings)
    import asyncio  # 40 ms that `midas --help` need not pay

    code = asyncio.run(_until_found(shared, typed, settings, config, key))
    mirror_if_set(shared, settings)
    if code:
        raise click.exceptions.Exit(code)


def _as_it_was(settings: Settings, shared: Shared, session: str) -> tuple[Settings, OfflineLoopConfig]:
    """The settings and the budget that a session had; where the data lie and where a model is asked may differ now."""
    import dataclasses

    from midas_engine.cli.verbs.replay import kept_session

    _, given = kept_session(settings, session)
    own = given.restored(settings)
    model = dataclasses.replace(own.model, base_url=settings.model.base_url)
    return dataclasses.replace(own, model=model, data=shared.data or own.data), given.config


async def _until_found(
    shared: Shared, typed: DiscoverOptions, settings: Settings, config: OfflineLoopConfig, api_key: str | None
) -> int:
    """One session, or up to `--sessions` of them: the next one begins where the one before left nothing."""
    from midas_engine.clock import WallClock
    from midas_engine.loops.until_found import UntilFound

    chain, told, code = UntilFound(settings, typed.sessions, WallClock()), [], 0
    while code == 0 and (chosen := chain.next()) is not None:
        if typed.sessions > 1:
            shared.note(f"session {chain.begun} of at most {chain.most}, seed {chosen.seed}")
        ended, document, code = await _session(shared, chosen, typed.goal, config, api_key, typed.regime, typed.resume)
        chain.heard(ended)
        told.append(document)
    if chain.out_of_time and code == 0:
        minutes = settings.model.session_minutes
        shared.note(f"{minutes:g} min are over after {chain.begun} of {chain.most} sessions")
    if shared.as_json:
        shared.show(told[0] if typed.sessions == 1 else {"sessions": told}, str)
    return code


async def _session(
    shared: Shared,
    settings: Settings,
    goal: str,
    config: OfflineLoopConfig,
    api_key: str | None,
    regime: str,
    resume: str = "",
) -> tuple[SessionEnded | None, dict[str, Any], int]:
    from midas_engine.cli.discovery import discovery
    from midas_engine.events import SessionEnded, SessionStarted, to_dict

    narrator = Narrator(quiet=shared.as_json)
    kept: list[dict[str, Any]] = []
    ended: SessionEnded | None = None
    async with discovery(settings, goal, config, api_key=api_key, regime=regime, resume=resume) as session:
        with cancelling(session.cancel) as stopped:
            async for event in session:
                narrator.tell(event)
                if shared.as_json:
                    kept.append(to_dict(event))
                    if isinstance(event, SessionStarted) and event.destination:
                        click.echo(f"asks {event.destination}", err=True)  # where a key goes is always said
                if isinstance(event, SessionEnded):
                    ended = event
    return ended, _outcome(ended, kept, stopped), stopped[0] if stopped else 0


def _outcome(ended: SessionEnded | None, kept: list[dict[str, Any]], stopped: list[int]) -> dict[str, Any]:
    from midas_engine.errors import SessionError

    if ended is None or (ended.result == "error" and not stopped):
        raise SessionError(
            f"the session failed: {ended.reason if ended else 'it did not start'}",
            hint=f"what it learned is in {ended.learning_path}" if ended and ended.learning_path else "",
        )
    return {
        "session": ended.session_id,
        "result": ended.result,
        "accepted": ended.accepted,
        "tried": ended.tried,
        "reason": ended.reason,
        "learning": ended.learning_path,
        "events": kept,
    }
