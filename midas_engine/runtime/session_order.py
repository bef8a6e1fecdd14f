"""What a discovery session is to be: the fields of the form that asks, and each checked for itself."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from midas_engine.errors import MidasError
from midas_engine.loops.until_found import MOST_SESSIONS
from midas_engine.market.regimes import VOLATILITY_LABELS
from midas_engine.model_options import EFFORTS
from midas_engine.providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from midas_engine.loops import OfflineLoopConfig
    from midas_engine.settings import Settings

# A session in the terminal is short enough to watch; `midas discover` takes the budget it is given.
SESSION_ITERATIONS = 6
SESSION_CANDIDATES = 3
LONGEST = 500
MODES = ("auto", "time", "cross-section")
_MODEL = re.compile(r"[A-Za-z0-9][\w.:/@+-]{0,119}")


@dataclass(frozen=True, slots=True)
class OrderField:
    """One thing that is asked for.

    Attributes:
        name: As in the answers.
        label: For a person.
        value: What stands there at first.
        hint: What it is, and what empty means.
        choices: What it may be; empty: anything that fits.
    """

    name: str
    label: str
    value: str = ""
    hint: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reach:
    """What is known of an order before it is given.

    Attributes:
        errors: What is wrong, by field; an order with any is not taken.
        lines: What could be reached on this data, and what it may cost.
        command: The same on the command line.
        again: The data is still being loaded: ask again in a moment.
    """

    errors: dict[str, str] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    command: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True)
class SessionOrder:
    """A checked order.

    Attributes:
        settings: The engine's, with what the order changes.
        config: How much is searched.
        data: Other data than what is watched; empty for that.
        sessions: Sessions at most, one after another, until one leaves a candidate.
    """

    goal: str
    provider: str
    regime: str
    data: str
    settings: Settings
    config: OfflineLoopConfig
    sessions: int = 1


def form(
    settings: Settings, providers: tuple[str, ...], given: Mapping[str, str] | None = None
) -> tuple[OrderField, ...]:
    """The fields with what stands there at first.

    Args:
        settings: What is not asked for comes from here.
        providers: Who can be asked now.
        given: Values of an earlier session.
    """
    model, evaluation = settings.model, settings.evaluation
    provider = model.provider if model.provider in providers else "local"
    fields = (
        OrderField("goal", "goal", "", "what to look for, in a sentence"),
        OrderField("provider", "provider", provider, "a model needs a key (midas keys)", tuple(providers)),
        OrderField("model", "model", model.model, "its name; empty: the provider's own"),
        OrderField("effort", "effort", "", "or empty: its own", ("", *EFFORTS)),
        OrderField("plans", "plans", str(SESSION_ITERATIONS), "plans at most"),
        OrderField("candidates", "per plan", str(SESSION_CANDIDATES), "expressions a plan, each refined once"),
        OrderField("sessions", "sessions", "1", "at most, until one leaves a candidate"),
        OrderField("usd", "money", f"{model.session_usd:g}", "US dollars at most"),
        OrderField("calls", "calls", str(model.session_calls), "model calls at most"),
        OrderField("minutes", "minutes", f"{model.session_minutes:g}", "wall time of all; 0: no limit"),
        OrderField("data", "data", settings.data, "what is searched; what is watched, or another source"),
        OrderField("regime", "regime", "", "or empty: any", ("", *VOLATILITY_LABELS)),
        OrderField("horizon", "horizon", str(evaluation.target), "bars ahead that the gates are judged on"),
        OrderField("gate", "scored as", evaluation.mode, "how the gates see the symbols", MODES),
    )  # fmt: skip
    earlier = given or {}
    return tuple(dataclasses.replace(f, value=earlier[f.name]) if f.name in earlier else f for f in fields)


class _Answers:
    """Answers as text, and what is wrong with them."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = answers
        self.errors: dict[str, str] = {}

    def text(self, name: str, default: str = "") -> str:
        value = self._answers.get(name, default)
        if not isinstance(value, str) or len(value) > LONGEST:
            self.errors[name] = f"text of at most {LONGEST} characters"
            return default
        return " ".join(value.split())

    def number(self, name: str, default: float, low: float, high: float, *, whole: bool = False) -> float:
        text = self.text(name, f"{default:g}")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high or (whole and value != int(value)):
            kind = "a whole number" if whole else "a number"
            self.errors.setdefault(name, f"{kind} from {low:g} to {high:,g}, not {text[:20] or 'nothing'}")
            return default
        return value

    def choice(self, name: str, choices: tuple[str, ...], default: str = "") -> str:
        text = self.text(name, default)
        if text not in choices:
            told = ", ".join(c for c in choices if c)
            self.errors.setdefault(name, f"one of {told}" + (", or empty" if "" in choices else ""))
            return default
        return text


def order_of(
    answers: Mapping[str, Any], settings: Settings, providers: tuple[str, ...], *, day_left: Callable[[], float]
) -> tuple[SessionOrder | None, dict[str, str]]:
    """The order that the answers give, or None and what is wrong with them, by field.

    Args:
        answers: Text by field; what is left out stands as in `form`.
        settings: What is not asked for.
        providers: Who can be asked now.
        day_left: US dollars that are left of the day's budget.
    """
    a, was = _Answers(answers), settings.model
    for name in answers:
        if name not in {f.name for f in form(settings, providers)}:
            a.errors[str(name)[:40]] = "there is no such field"
    goal = a.text("goal")
    if not goal:
        a.errors.setdefault("goal", 'say what to look for, such as "funding carry on majors"')
    provider = a.text("provider", "local")
    if provider not in providers:
        needs = PROVIDERS[provider].key_name if provider in PROVIDERS else ""
        a.errors["provider"] = f"{provider}: no {needs} is there" if needs else f"one of {', '.join(providers)}"
    asks = provider in PROVIDERS and bool(PROVIDERS[provider].client)
    model, effort = _model(a, asks, provider)
    usd = a.number("usd", was.session_usd, 0, 100_000)
    calls = a.number("calls", was.session_calls, 0, 100_000, whole=True)
    if asks:
        _money(a, usd, calls, day_left())
    minutes = a.number("minutes", was.session_minutes, 0, 100_000)
    horizon = int(a.number("horizon", settings.evaluation.target, 1, 10_000, whole=True))
    regime = a.choice("regime", ("", *VOLATILITY_LABELS))
    mode = a.choice("gate", MODES, settings.evaluation.mode)
    plans = int(a.number("plans", SESSION_ITERATIONS, 1, 10_000, whole=True))
    candidates = int(a.number("candidates", SESSION_CANDIDATES, 1, 100, whole=True))
    sessions = int(a.number("sessions", 1, 1, MOST_SESSIONS, whole=True))
    data = a.text("data", settings.data)
    if a.errors:
        return None, a.errors
    options = {**was.options, f"{model or '*'}.effort": effort} if effort else was.options
    own = dataclasses.replace(
        settings,
        model=dataclasses.replace(
            was, provider=provider, model=model, session_usd=usd, session_calls=int(calls), session_minutes=minutes,
            options=options,
        ),
        evaluation=dataclasses.replace(settings.evaluation, target=horizon, mode=mode),
        data=data or settings.data,
    )  # fmt: skip
    if asks and (wrong := _unreachable(own)):
        return None, wrong
    other, config = "" if data in ("", settings.data) else data, _config(own, provider, plans, candidates)
    return SessionOrder(goal, provider, regime, other, own, config, sessions), {}


def _model(a: _Answers, asks: bool, provider: str) -> tuple[str, str]:
    model, effort = a.text("model"), a.choice("effort", ("", *EFFORTS))
    if not asks:  # a name left over from another provider is no error: nobody is asked
        return "", ""
    if model and not _MODEL.fullmatch(model):
        a.errors["model"] = "a model's name has letters, figures and . : / @ _ + -"
    return model, effort


def _money(a: _Answers, usd: float, calls: float, left: float) -> None:
    if usd <= 0:
        a.errors.setdefault("usd", "a model is asked: give it some money, or choose local")
    elif usd > left:
        a.errors.setdefault("usd", f"${left:.2f} is left of the day's budget (model.day_usd)")
    if calls < 1:
        a.errors.setdefault("calls", "a model is asked: allow at least one call")


def _unreachable(settings: Settings) -> dict[str, str]:
    """Why the provider cannot be asked as the order says; empty when it can."""
    from midas_engine.llm.endpoint import find_endpoint

    try:
        find_endpoint(settings.model)
    except MidasError as error:
        return {"provider": f"{error.message}" + (f" ({error.hint})" if error.hint else "")}
    return {}


def _config(settings: Settings, provider: str, plans: int, candidates: int) -> OfflineLoopConfig:
    from midas_engine.loops import OfflineLoopConfig
    from midas_engine.proposer.factory import screened_by

    return OfflineLoopConfig(
        max_iterations=plans,
        candidates_per_iter=candidates,
        model=settings.model.model,
        max_tokens=settings.model.max_tokens,
        screened=screened_by(settings, provider),
    )


def cost_words(order: SessionOrder, day_left: float) -> str:
    """What it may cost, and whether the price is known."""
    known = PROVIDERS.get(order.provider)
    if known is None or not known.client:
        return "asks no model: it costs nothing"
    from midas_engine.llm.budget import listed_price
    from midas_engine.model_options import price_of

    model = order.settings.model
    each = f" a session, {order.sessions} sessions" if order.sessions > 1 else ""
    words = f"asks {order.provider}, at most ${model.session_usd:g} and {model.session_calls} calls{each}"
    words += f"; ${day_left:.2f} is left of the day"
    if model.model and price_of(model.prices, model.model) is None and listed_price(model.model) is None:
        words += f"; the price of {model.model} is not known: it is charged as the dearest"
    return words


def command_of(order: SessionOrder, base: Settings) -> str:
    """The command that does the same; what it has no option for is given as settings of the environment."""
    import shlex

    settings, config = order.settings, order.config
    parts = ["midas", "discover", order.goal, "--provider", order.provider]
    if settings.model.model:
        parts += ["--model", settings.model.model]
    parts += ["--iterations", str(config.max_iterations), "--candidates", str(config.candidates_per_iter)]
    parts += ["--sessions", str(order.sessions)] if order.sessions > 1 else []
    if settings.model.session_minutes:
        parts += ["--minutes", f"{settings.model.session_minutes:g}"]
    parts += ["--regime", order.regime] if order.regime else []
    parts += ["--data", settings.data]
    changed = {
        "MIDAS_MODEL__SESSION_USD": (settings.model.session_usd, base.model.session_usd),
        "MIDAS_MODEL__SESSION_CALLS": (settings.model.session_calls, base.model.session_calls),
        "MIDAS_EVALUATION__TARGET": (settings.evaluation.target, base.evaluation.target),
        "MIDAS_EVALUATION__MODE": (settings.evaluation.mode, base.evaluation.mode),
    }
    before = [f"{name}={value}" for name, (value, was) in changed.items() if value != was]
    return " ".join([*before, shlex.join(parts)])


def answers_of(inputs: Any) -> dict[str, str]:
    """The answers that order a session as an earlier one was, from what that one was given (`SessionInputs`)."""
    model, evaluation = inputs.settings.get("model", {}), inputs.settings.get("evaluation", {})
    found = {
        "goal": inputs.goal, "regime": inputs.regime, "data": inputs.settings.get("data", ""),
        "provider": inputs.researcher.get("provider", "") or model.get("provider", "local"),
        "model": inputs.config.model, "plans": str(inputs.config.max_iterations),
        "candidates": str(inputs.config.candidates_per_iter),
    }  # fmt: skip
    for name, section, key in (
        ("usd", model, "session_usd"), ("calls", model, "session_calls"), ("minutes", model, "session_minutes"),
        ("horizon", evaluation, "target"), ("gate", evaluation, "mode"),
    ):  # fmt: skip
        if key in section:
            value = section[key]
            found[name] = value if isinstance(value, str) else f"{value:g}"
    return found
