"""How much a calibration replays, and the jobs that makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.errors import SettingsError

if TYPE_CHECKING:
    from midas_engine.loops import OfflineLoopConfig
    from midas_engine.settings import Settings

ICS = (0.02, 0.03, 0.05)
KINDS = ("sign-flipped", "block-shuffled")


@dataclass(frozen=True, slots=True)
class CalibrationPlan:
    """The budget of a calibration. The default takes about two minutes on two cores on the bundled sample.

    Attributes:
        noise_sessions: Whole sessions on targets that nothing can foresee.
        planted_sessions: Whole sessions on such targets with one real signal planted.
        planted_features: Features planted at each IC, judged by the gates and then watched by the detectors.
        iterations: Plans of a session.
        candidates: Expressions a plan.
        screened: Raw expressions that a session screens first, at most; what settings say where it is less. A real
            session screens more, which its family's test does not depend on (`midas_engine.search.measure`).
        goal: What the proposer is told to look for.
        seed: The same seed, data, settings and plan give the same report.
        workers: Worker processes.
    """

    noise_sessions: int = 60
    planted_sessions: int = 24
    planted_features: int = 24
    iterations: int = 5
    candidates: int = 3
    screened: int = 240
    goal: str = "anything that predicts the next bar"
    seed: int = 7
    workers: int = 2

    def __post_init__(self) -> None:
        for name, low, high in (
            ("noise_sessions", 1, 100_000),
            ("planted_sessions", 0, 100_000),
            ("planted_features", 0, 100_000),
            ("iterations", 1, 1000),
            ("candidates", 1, 100),
            ("screened", 0, 10_000_000),
            ("workers", 1, 256),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise SettingsError(f"{name} = {value!r}", hint=f"a whole number from {low} to {high}")
        if not self.goal.strip():
            raise SettingsError("the goal of the replayed sessions is empty")

    def budget(self, settings: Settings) -> OfflineLoopConfig:
        """What each replayed session may search; it screens where a session by this provider does."""
        from midas_engine.loops import OfflineLoopConfig
        from midas_engine.proposer.factory import screened_by

        return OfflineLoopConfig(
            max_iterations=self.iterations,
            candidates_per_iter=self.candidates,
            screened=min(self.screened, screened_by(settings)),
        )

    def jobs(self) -> list[Job]:
        """Every job, the kinds mixed so that the time that is left can be told from the time that is gone."""
        noise = [Job("session", KINDS[k % len(KINDS)], 0.0, k) for k in range(self.noise_sessions)]
        planted = [Job("session", KINDS[0], ICS[k % len(ICS)], k) for k in range(self.planted_sessions)]
        gates = [Job("feature", KINDS[0], ic, k) for k in range(self.planted_features) for ic in ICS]
        groups = [g for g in (noise, planted, gates) if g]
        # Largest remainder: each kind is spread evenly over the whole run.
        order = sorted(((i + 0.5) / len(g), n, i) for n, g in enumerate(groups) for i in range(len(g)))
        return [groups[n][i] for _, n, i in order]


@dataclass(frozen=True, slots=True)
class Job:
    """One unit of work.

    Attributes:
        task: "session" (proposer and gates) or "feature" (gates and detectors on one planted feature).
        kind: How the target was made unforeseeable.
        ic: Planted rank IC; 0 plants nothing.
        number: Which of its kind; seeds its random numbers.
    """

    task: str
    kind: str
    ic: float
    number: int
