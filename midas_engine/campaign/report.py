"""The report of a campaign: what was searched, what it cost, what was found. Rewritten after every session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from midas_engine.campaign.state import CampaignState, LegDone
    from midas_engine.kb import KnowledgeBase

FOLDER = "reports/campaigns"
RESULT_WORDS = {
    "success": "found",
    "failed": "nothing found",
    "error": "broke off",
}


def write_report(kb: KnowledgeBase, state: CampaignState) -> str:
    """Write it into the base; returns its path there."""
    path = f"{FOLDER}/{state.plan.id}.md"
    kb.save_text(path, text(state, _next_level(kb)) + "\n")
    return path


def text(state: CampaignState, next_level: float | None = None) -> str:
    """The report, in Markdown.

    Args:
        state: The campaign.
        next_level: What the next sealed look of the base will be charged; None where it is not known.
    """
    plan, done = state.plan, state.done
    screened, words = sum(d.screened for d in done), "Finished" if state.finished else "Under way"
    lines = [
        f"# Campaign {plan.name}",
        "",
        f"{words}: {len(done)} of {len(plan.legs)} sessions.",
        f"{state.spent:,} of {plan.candidates:,} candidates met a return, {screened:,} of them screened in families.",
        "",
        f"Every line was drawn for the {plan.line_trials:,} trials of the whole campaign, from the first session on.",
    ]
    if next_level is not None:
        lines.append(f"The next look at the sealed part of this base is charged {next_level:.3%}.")
    lines += ["", "## Accepted", ""]
    lines += [f"- {name} (session {d.session})" for d in done for name in d.accepted] or ["Nothing."]
    lines += ["", "## Sessions", "", "| session | goal | proposer | horizon | screened | tried | accepted | result |"]
    lines += ["| --- | --- | --- | --- | --- | --- | --- | --- |", *(_row(d) for d in done)]
    failed = [d for d in done if d.result == "error"]
    if failed:
        lines += ["", "## Failed", "", *(f"- {d.session}: {_cell(d.reason)}" for d in failed)]
    return "\n".join(lines)


def to_dict(state: CampaignState) -> dict[str, Any]:
    """The same, for `--json`."""
    return {
        "campaign": state.plan.id,
        "finished": state.finished,
        "candidates": state.plan.candidates,
        "spent": state.spent,
        "sessions": [
            {
                "session": d.session, "goal": d.goal, "proposer": d.proposer, "horizon": d.horizon,
                "screened": d.screened, "tried": d.tried, "accepted": list(d.accepted), "result": d.result,
            }
            for d in state.done
        ],
        "accepted": list(state.accepted),
        "report": f"{FOLDER}/{state.plan.id}.md",
    }  # fmt: skip


def _row(d: LegDone) -> str:
    accepted = ", ".join(d.accepted) or "-"
    cells = (
        d.session,
        d.goal,
        d.proposer,
        d.horizon,
        f"{d.screened:,}",
        d.tried,
        accepted,
        RESULT_WORDS.get(d.result, d.result),
    )
    return "| " + " | ".join(_cell(str(c)) for c in cells) + " |"


def _cell(words: str) -> str:
    return " ".join(words.replace("|", "/").split())


def _next_level(kb: KnowledgeBase) -> float | None:
    from midas_engine.errors import JournalError
    from midas_engine.evaluator.trials.holdout import SealedHoldout
    from midas_engine.evaluator.trials.ledger import TrialLedger

    try:
        with TrialLedger(kb.journal_path, read_only=True) as ledger:
            return SealedHoldout(ledger).state().level()
    except JournalError:
        return None
