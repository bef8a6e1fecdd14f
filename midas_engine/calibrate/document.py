"""A calibration as a document: the sentence, the promises and whether they held, then figures in groups with units."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from midas_engine.calibrate.graduation import DAYS
from midas_engine.calibrate.plots import PLOTS, TITLES
from midas_engine.calibrate.stream import MISSES
from midas_engine.stats.online_fdr import LIFETIME_ALPHA
from midas_engine.text import markdown_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.calibrate.figures import Calibration, Figure

ALARMS_A_YEAR = 1.0
"""False alarms a feature-year that the monitor's gauge promises."""


def markdown(found: Calibration, notes: Sequence[str]) -> str:
    """The document; `notes` say how it was measured."""
    parts = [
        "# How often Midas is fooled on this data",
        f"**{found.headline}**",
        *_promises(found),
        *_noise(found),
        *_found(found),
        *_deaths(found),
        "## Pictures",
        *(f"![{TITLES[name]}]({name}.png)\n\n*{caption}*" for name, caption in PLOTS.items()),
        "## How it was measured",
        *notes,
        _METHOD,
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts if part) + "\n"


def _promises(found: Calibration) -> list[str]:
    """What Midas promises, what was measured, and whether the interval lets the promise stand."""
    rows = [
        (words, f"at most {asked:g}{unit}", f"{f.value * scale:.3g}{unit}", _span(f, scale), _held(f, asked / scale))
        for words, f, asked, unit, scale in (
            ("noise among what was promoted", found.noise_share, 100.0 * LIFETIME_ALPHA, " %", 100.0),
            ("false alarms of a healthy feature in a year", found.alarms_per_year, ALARMS_A_YEAR, "", 1.0),
        )
        if f.tries
    ]
    table = markdown_table(("what is promised", "promised", "measured", "90 % interval", "so"), rows)
    return ["## Do the promises hold", table] if rows else []


def _held(f: Figure, asked: float) -> str:
    """A promise is broken where the interval lies above it; few tries cannot show more than that it is not."""
    if f.high <= asked:
        return "held"
    return "broken" if f.low > asked else f"held as far as {f.tries:,.4g} can tell"


def _noise(found: Calibration) -> list[str]:
    per_1000 = [
        ("promoted", found.noise_per_1000),
        ("passed the research gates alone", found.noise_research_per_1000),
        *((f"promoted, {kind} targets", f) for kind, f in found.by_kind.items()),
    ]
    shares = [
        ("sessions on noise that promoted anything", found.noise_per_session),
        (f"noise that came to a sealed look and was promoted or graduated in {DAYS[-1]} days", found.noise_graduated),
    ]
    rows = [
        (f"{name}, of 1,000 candidates", f"{f.value:.3g}", _span(f), _counted(f)) for name, f in per_1000 if f.tries
    ]
    rows += [(f"{name}, %", f"{100 * f.value:.3g}", _span(f, 100.0), _counted(f)) for name, f in shares if f.tries]
    head = ("noise", "measured", "90 % interval", "counted")
    return ["## What gets through that is noise", markdown_table(head, rows)]


def _found(found: Calibration) -> list[str]:
    parts = ["## What is found that is true"]
    if found.found.tries:
        of = _counted(found.found)
        parts.append(f"{_share(found.found)} % of the sessions with one planted signal found it ({of}).")
    if not found.recall:
        return parts if len(parts) > 1 else []
    after = any(r.after_misses.tries for r in found.recall)
    head = ["planted rank IC", "features", "independent symbols", "t", "statistical gates, %", "all research gates, %",
            "promoted, %", *([f"promoted after {MISSES} lost looks, %"] if after else [])]  # fmt: skip
    rows = [
        [f"{r.ic:.2f}", str(r.features), f"{r.breadth:.1f}", f"{r.score_t:.1f}", _share(r.statistical),
         _share(r.research), _share(r.stream), *([_share(r.after_misses)] if after else [])]
        for r in found.recall
    ]  # fmt: skip
    parts += ["Share of the planted features that passed, with 90 % intervals:", markdown_table(head, rows)]
    later = ["planted rank IC", "at the first look, %", *(f"within {d} days, %" for d in DAYS)]
    rows = [[f"{r.ic:.2f}", _share(r.promoted), *map(_share, r.graduated)] for r in found.recall]
    return [*parts, "Promoted at the first sealed look, or graduated from shadow later:", markdown_table(later, rows)]


def _deaths(found: Calibration) -> list[str]:
    alarms = found.alarms_per_year
    told = ""
    if alarms.tries:
        told = (
            "Days from the death of a feature to the alarm. A healthy one is alarmed about "
            f"{alarms.value:.2f} [{alarms.low:.2f}, {alarms.high:.2f}] times a year "
            f"({alarms.hits} in {alarms.tries:.1f} feature-years)."
        )
    rows = [
        (
            f"{r.ic:.2f}",
            _days(r.drop_days),
            _gauge(r.expected_drop_days),
            _days(r.flip_days),
            _gauge(r.expected_flip_days),
        )
        for r in found.recall
    ]
    head = ("rank IC while alive", "skill gone, days", "said before, days", "sign turned, days", "said before, days")
    return ["## How soon a death is noticed", told, markdown_table(head, rows)] if rows else []


def _gauge(expected: float) -> str:
    return f"{expected:.1f}" if math.isfinite(expected) else "unknown"


def _days(f: Figure) -> str:
    return f"{f.value:.1f} [{f.low:.1f}, {f.high:.1f}]" if f.hits else "none was called"


def _share(f: Figure) -> str:
    return f"{100 * f.value:.0f} [{100 * f.low:.0f}, {100 * f.high:.0f}]" if f.tries else "unknown"


def _span(f: Figure, scale: float = 1.0) -> str:
    return f"{f.low * scale:.3g} to {f.high * scale:.3g}"


def _counted(f: Figure) -> str:
    return f"{f.hits} of {f.tries:,.4g}"


_METHOD = """\
* Features are computed on the real data. What they should foresee is exchanged: sign-flipped multiplies every bar's
  returns, all symbols together, by a fair coin; block-shuffled puts weeks in another order and deals the symbols'
  returns of each week to other symbols, after taking out each symbol's mean. Volatility, its clusters and what symbols
  share stay as they are.
* Sessions are whole ones: the screened family and its test (of fewer raw expressions than a real session screens, on
  which the test's level does not depend), proposer, refinement, six agents at the session line, one look at the sealed
  part charged to a fresh ledger. Recall of planted features is counted along a stream of looks, not at a fresh ledger's
  first one alone: features are drawn in lifetimes of 20 sessions, with the lost looks that noise was seen to take.
* A planted feature adds strength x volatility x its normal score to a sign-flipped target, so that its rank IC is what
  the table says. Features with less memory than the half-life gate asks are planted only where there are no others: the
  gate is there to refuse them.
* Shadow: what falls short at its look and is sound goes on over later bars, by the monitor's score and its e-process.
  They are weeks of the research part drawn with replacement, with fresh coins and the same effect; the sealed bars
  lend them nothing. Noise is looked at whatever research said, at the first level of a lifetime.
* The detectors are the monitor's own. Their reference is measured on the first third of the stream; over the rest each
  feature lives (false alarms) and dies at six moments in two ways (days)."""
