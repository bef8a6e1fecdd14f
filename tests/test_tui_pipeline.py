"""Moving features from the terminal: the keys a user presses, a real runtime, what is on disk afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from helpers_tui import (
    SteppedClock,
    press,
    readable,
    running,
    screen_text,
    settle,
    toasts,
    type_text,
    until,
)
from midas_engine.errors import MidasError
from midas_engine.kb import KnowledgeBase
from midas_engine.promoter.rules import ACTIONS as TABLE
from midas_tui.keys import footer_hints
from midas_tui.modals.ask import AskModal
from midas_tui.screens.pipeline import TAKES, PipelineScreen

if TYPE_CHECKING:
    from pathlib import Path

    from midas_tui.app import MidasApp


def states(kb: Path) -> dict[str, str]:
    from midas_engine.models import FeatureState

    base = KnowledgeBase(kb)
    return {r.name: r.state.value for state in FeatureState for r in base.features(state)}


def choose(app: MidasApp, name: str) -> PipelineScreen:
    screen = app.screen
    assert isinstance(screen, PipelineScreen)
    screen.show_feature(name)
    return screen


def button(app: MidasApp, name: str) -> Any:
    return app.screen.query_one(f"#{name}")


async def asked(pilot: Any) -> None:
    await readable(pilot, AskModal)


async def heard(pilot: Any) -> None:
    """The dialog listens."""
    await asked(pilot)
    await until(pilot, lambda: not pilot.app.screen.deaf, "the dialog listens")


async def agree(pilot: Any, reason: str = "known to hold") -> None:
    """What five days of bars say is against every promotion: it takes a reason."""
    await heard(pilot)
    assert button(pilot.app, "confirm").disabled
    await press(pilot, "y")
    assert isinstance(pilot.app.screen, AskModal), "y alone is refused"
    await press(pilot, "tab")
    await type_text(pilot, reason)
    await press(pilot, "enter")


def test_the_keys_know_the_same_transitions_as_the_engine() -> None:
    for action, states_ in TAKES.items():
        allowed = {s.value for s in TABLE[action].after}
        if action == "rollback":
            allowed = {"deployed"}
        assert set(states_) == allowed, action


async def test_promote_asks_with_cancel_focused_and_moves_the_feature(kb: Path, market: Path) -> None:
    async with running(kb, market, mode="pipeline") as (app, pilot):
        choose(app, "volume_shock")
        await press(pilot, "p")
        await heard(pilot)
        assert app.focused is button(app, "cancel")
        text = screen_text(app)
        assert "write" in text
        assert "same as: midas promote volume_shock" in text
        assert "no figures on today's data" in text
        await agree(pilot)
        await until(pilot, lambda: states(kb)["volume_shock"] == "deployed")
        await until(pilot, lambda: any("volume_shock promoted" in t for t in toasts(app)))


async def test_enter_on_a_fresh_dialog_cancels(kb: Path, market: Path) -> None:
    async with running(kb, market, mode="pipeline") as (app, pilot):
        choose(app, "volume_shock")
        await press(pilot, "p")
        await heard(pilot)
        await press(pilot, "enter")
        assert not isinstance(app.screen, AskModal)
        assert states(kb)["volume_shock"] == "candidate"


async def test_gates_not_met_stand_in_the_dialog(kb: Path, market: Path) -> None:
    async with running(kb, market, mode="pipeline") as (app, pilot):
        choose(app, "carry_slow")
        await press(pilot, "p")
        await asked(pilot)
        assert "not met: trading_cost" in screen_text(app)


@pytest.mark.parametrize(("name", "key", "after"), [("reversal_1h", "d", "archived"), ("carry_slow", "x", "archived")])
async def test_demote_and_reject_want_a_reason(kb: Path, market: Path, name: str, key: str, after: str) -> None:
    async with running(kb, market, mode="pipeline") as (app, pilot):
        choose(app, name)
        before = states(kb)[name]
        await press(pilot, key)
        await asked(pilot)
        assert app.focused is button(app, "cancel")
        assert button(app, "confirm").disabled
        await press(pilot, "tab", "enter")
        assert isinstance(app.screen, AskModal)
        assert states(kb)[name] == before
        await type_text(pilot, "dead")
        await press(pilot, "enter")
        await until(pilot, lambda: states(kb)[name] == after)
        assert KnowledgeBase(kb).feature(name).reason == "dead"


async def test_two_quick_presses_open_one_dialog(kb: Path, market: Path) -> None:
    async with running(kb, market, mode="pipeline") as (app, pilot):
        choose(app, "volume_shock")
        await pilot.press("p", "p")
        await asked(pilot)
        await settle(pilot)
        assert sum(isinstance(s, AskModal) for s in app.screen_stack) == 1


async def test_undo_and_redo_walk_the_pipeline_back_and_forth(kb: Path, market: Path) -> None:
    async with running(kb, market, mode="pipeline") as (app, pilot):
        choose(app, "volume_shock")
        await press(pilot, "b")
        await asked(pilot)
        await press(pilot, "y")
        await until(pilot, lambda: states(kb)["volume_shock"] == "shadow")
        await press(pilot, "u")
        await until(pilot, lambda: states(kb)["volume_shock"] == "candidate")
        await press(pilot, "U")
        await until(pilot, lambda: states(kb)["volume_shock"] == "shadow")


@pytest.mark.parametrize("size", [(80, 24), (120, 32), (160, 45)], ids=lambda s: f"{s[0]}x{s[1]}")
async def test_the_focus_follows_what_is_killed_demoted_and_undone(
    kb: Path, market: Path, size: tuple[int, int]
) -> None:
    async with running(kb, market, mode="pipeline", size=size) as (app, pilot):

        def at(column: str, name: str) -> bool:
            focused: Any = app.focused
            return focused is not None and focused.id == column and focused.cursor_key == name

        choose(app, "reversal_1h")
        await press(pilot, "d")
        await asked(pilot)
        await press(pilot, "tab")
        await type_text(pilot, "dead")
        await press(pilot, "enter")
        await until(pilot, lambda: at("archived", "reversal_1h"), "it went to the archive")
        await press(pilot, "u")
        await until(pilot, lambda: at("deployed", "reversal_1h"), "it came back")
        assert ("d", "demote") in footer_hints(app.screen)


async def test_undo_reaches_back_over_a_restart(kb: Path, market: Path) -> None:
    # The last action in this base was made by another process: weak was rejected.
    async with running(kb, market, mode="pipeline") as (_, pilot):
        await press(pilot, "u")
        await until(pilot, lambda: states(kb)["weak"] == "candidate")


async def test_pause_and_resume_show_beside_the_feature(kb: Path, market: Path) -> None:
    async with running(kb, market, mode="pipeline") as (app, pilot):
        choose(app, "reversal_1h")
        await press(pilot, "z")
        await asked(pilot)
        await press(pilot, "y")
        await until(pilot, lambda: KnowledgeBase(kb).feature("reversal_1h").paused)
        await until(pilot, lambda: app.runtime.queries.metrics()["reversal_1h"].status == "paused")  # type: ignore[union-attr]
        await until(pilot, lambda: "‖" in screen_text(app))
        await press(pilot, "Z")
        await asked(pilot)
        await press(pilot, "y")
        await until(pilot, lambda: not KnowledgeBase(kb).feature("reversal_1h").paused)
        await press(pilot, "u")
        await until(pilot, lambda: any("reversal_1h is paused again" in text for text in toasts(app)))


async def test_a_version_is_redeployed_in_a_swap_and_rolled_back_with_one_key(kb: Path, market: Path) -> None:
    from midas_engine.promoter import FeaturePromoter

    promoter = FeaturePromoter(KnowledgeBase(kb))
    promoter.propose_version("reversal_1h", "-cs_zscore(returns(close, 2))", "slower")
    promoter.close()
    async with running(kb, market, mode="pipeline") as (app, pilot):
        choose(app, "reversal_1h@2")
        await until(pilot, lambda: "from reversal_1h" in screen_text(app))
        await press(pilot, "R")
        await asked(pilot)
        await agree(pilot)
        await until(pilot, lambda: states(kb)["reversal_1h@2"] == "deployed")
        assert states(kb)["reversal_1h"] == "archived"
        await until(pilot, lambda: app.store.record("reversal_1h@2").state == "deployed")  # type: ignore[union-attr]
        choose(app, "reversal_1h@2")
        await press(pilot, "B")
        await asked(pilot)
        await press(pilot, "y")
        await until(pilot, lambda: states(kb)["reversal_1h"] == "deployed")


async def test_marked_features_are_asked_about_together(kb: Path, market: Path) -> None:
    async with running(kb, market, mode="pipeline") as (app, pilot):
        choose(app, "carry_slow")
        await press(pilot, "m")
        choose(app, "volume_shock")
        await press(pilot, "m")
        choose(app, "carry_slow")
        assert "2 marked" in screen_text(app)
        await press(pilot, "x")
        await asked(pilot)
        assert "reject 2 features" in screen_text(app)
        await press(pilot, "tab")
        await type_text(pilot, "noise")
        await press(pilot, "enter")
        await until(pilot, lambda: states(kb)["volume_shock"] == states(kb)["carry_slow"] == "archived")


class TestKill:
    async def test_it_wants_the_name_typed_and_is_deaf_at_first(self, kb: Path, market: Path) -> None:
        async with running(kb, market, mode="pipeline") as (app, pilot):
            choose(app, "reversal_1h")
            await press(pilot, "K")
            await until(pilot, lambda: isinstance(app.screen, AskModal))
            await pilot.press("tab", "tab", "y", "enter")
            assert isinstance(app.screen, AskModal)
            assert button(app, "typed").value == ""  # the first 300 ms are not for the dialog
            await asked(pilot)
            assert "final: cannot be undone" in screen_text(app)
            assert app.focused is button(app, "cancel")
            await press(pilot, "tab", "tab")
            await type_text(pilot, "reversal_1")
            await press(pilot, "enter")
            assert isinstance(app.screen, AskModal)
            await type_text(pilot, "h")
            await press(pilot, "enter")
            assert isinstance(app.screen, AskModal)  # the reason is missing
            await press(pilot, "shift+tab")
            await type_text(pilot, "flip")
            await press(pilot, "enter")
            await until(pilot, lambda: KnowledgeBase(kb).feature("reversal_1h").killed)
            await until(pilot, lambda: any("reversal_1h killed" in t for t in toasts(app)))

    async def test_escape_leaves_everything_as_it_was(self, kb: Path, market: Path) -> None:
        async with running(kb, market, mode="pipeline") as (app, pilot):
            choose(app, "reversal_1h")
            await press(pilot, "K")
            await asked(pilot)
            await press(pilot, "escape")
            assert not isinstance(app.screen, AskModal)
            assert states(kb)["reversal_1h"] == "deployed"

    async def test_it_cannot_be_undone(self, kb: Path, market: Path) -> None:
        async with running(kb, market, mode="pipeline") as (app, pilot):
            await app.shell.link.attempt(lambda r: r.pipeline.act("kill", "reversal_1h", "dead"))
            await press(pilot, "u")
            await until(pilot, lambda: len(toasts(app)) >= 2)
            assert KnowledgeBase(kb).feature("reversal_1h").killed


class TestRefusals:
    @pytest.mark.parametrize(
        ("flags", "why"), [({"replay": True}, "this is a replay"), ({"read_only": True}, "read-only")]
    )
    async def test_nothing_moves_and_the_reason_is_said(
        self, kb: Path, market: Path, flags: dict[str, Any], why: str
    ) -> None:
        async with running(kb, market, mode="pipeline", **flags) as (app, pilot):
            before = states(kb)
            choose(app, "volume_shock")
            for key in ("p", "x", "b", "R", "u"):
                await press(pilot, key)
                assert not isinstance(app.screen, AskModal), key
            choose(app, "reversal_1h")
            for key in ("d", "K", "z"):
                await press(pilot, key)
                assert not isinstance(app.screen, AskModal), key
            assert any(why in text for text in toasts(app))
            assert states(kb) == before

    async def test_a_failure_of_the_engine_is_said_and_the_terminal_goes_on(
        self, kb: Path, market: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with running(kb, market, mode="pipeline") as (app, pilot):
            runtime: Any = app.runtime

            async def full(*_: object) -> str:
                raise OSError(28, "No space left on device")

            monkeypatch.setattr(runtime.pipeline, "act", full)
            choose(app, "volume_shock")
            await press(pilot, "p")
            await agree(pilot)
            await until(pilot, lambda: any("No space left" in t for t in toasts(app)))
            assert app.store.faults[-1].where == "terminal"
            await press(pilot, "1")
            assert app.screen.mode_name == "live"  # type: ignore[attr-defined]

    async def test_a_file_that_changed_under_the_feet_is_not_overwritten(self, kb: Path, market: Path) -> None:
        async with running(kb, market, mode="pipeline") as (app, pilot):
            await app.shell.link.attempt(lambda r: r.pipeline.act("shadow", "volume_shock"))
            file = kb / "knowledge/features/candidates/volume_shock.md"
            file.write_text(file.read_text() + "\nmy note\n")
            await press(pilot, "u")
            await until(pilot, lambda: any("changed" in t for t in toasts(app)), "undo is refused")
            assert "my note" in file.read_text()


async def test_a_damaged_file_is_shown_and_only_that_one(kb: Path, market: Path) -> None:
    (kb / "knowledge/features/candidates/carry_slow.md").write_bytes(b"\xff\xfe\x00 not yaml: [")
    async with running(kb, market, mode="pipeline") as (app, pilot):
        choose(app, "carry_slow")
        await until(pilot, lambda: "damaged" in screen_text(app))
        await press(pilot, "p")
        assert not isinstance(app.screen, AskModal)
        choose(app, "volume_shock")
        await press(pilot, "p")
        await asked(pilot)


async def test_columns_one_at_a_time_when_narrow(kb: Path, market: Path) -> None:
    async with running(kb, market, mode="pipeline", size=(80, 24)) as (app, pilot):
        assert "candidates 3 │ deployed 2 │ archived 2" in screen_text(app)
        await press(pilot, "l")
        assert "reversal_1h" in screen_text(app)
        await press(pilot, "l")
        assert "old_carry" in screen_text(app)
        await press(pilot, "h", "h")
        await press(pilot, "enter")
        assert "cs_zscore(ts_mean(close, 72))" in screen_text(app)


@pytest.mark.parametrize("answer", ["y", "escape"])
async def test_a_base_that_cannot_be_opened_says_so_and_leaves(answer: str) -> None:
    from midas_engine.settings import load_settings
    from midas_tui.app import MidasApp

    def broken() -> Any:
        raise MidasError("there is no data at nowhere", hint="give a path")

    app = MidasApp(broken, load_settings(file=None, environ={}), clock=SteppedClock())
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen, AskModal))
        await asked(pilot)
        assert "there is no data at nowhere" in screen_text(app)
        await press(pilot, answer)
    assert app.return_value == 1
