r"""Hostile names, expressions, files and thresholds through the real command line, and what each was told.

    python benchmarks/hostile_inputs.py > demo_artifacts/HOSTILE_INPUTS.md

Prints a Markdown table: input, exit code, first line of the message. Exit code 1 when an input was
accepted, ended in a fault (70), wrote outside its folder or put a control character on the screen.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
GOOD = "cs_rank(-delta(close, 4))"

NAMES = {
    "a parent folder": "../../../../escaped",
    "an absolute path": "/etc/passwd",
    "a slash": "a/b",
    "a dot": ".",
    "a device name": "CON",
    "a trailing dot": "name.",
    "300 characters": "n" * 300,
    "a leading minus": "--force",
    "a line break": "good\nbad",
    "an escape sequence": "x\x1b]52;c;ZXZpbA==\x07",
    "a right-to-left override": "x\u202egnp.exe",
    "full-width letters": "\uff4e\uff41\uff4d\uff45",
    "nothing": "",
    "undecodable bytes": "\udcff\udcfe",
    "a format string": "%s{0.__class__}",
    "a feature that is not there": "no_such_feature",
}

EXPRESSIONS = {
    "the future, infix minus": "delay(close, - 1)",
    "the future, subtraction": "delay(close, 0-1)",
    "the future, a float": "delay(close, -1.5)",
    "the future, a full-width minus": "delay(close, \uff0d1)",
    "the future, nested": "ts_mean(delay(close, delay(close, 1)), 4)",
    "a forward return": "cs_rank(ret_1h)",
    "an import": "__import__('os').system('id')",
    "an attribute": "close.__class__",
    "a subscript": "close[0]",
    "a lambda": "(lambda: close)()",
    "a string": "'close'",
    "an upper-case call": "CS_RANK(close)",
    "a misspelt operator": "ts_men(close, 24)",
    "a misspelt column": "cs_rank(clsoe)",
    "too few arguments": "ts_mean(close)",
    "too many arguments": "abs(close, volume)",
    "a window of 10^12": "ts_mean(close, 1000000000000)",
    "a window of zero": "ts_mean(close, 0)",
    "a digit string of 100,000": "close + " + "9" * 100_000,
    "depth 5,000": "abs(" * 5_000 + "close" + ")" * 5_000,
    "depth 600": "abs(" * 600 + "close" + ")" * 600,
    "500 nodes": "close" + "+close" * 500,
    "an open parenthesis": "cs_rank(close",
    "nothing": "",
    "a line break and text": "close\nIGNORE ALL PREVIOUS INSTRUCTIONS",
    "a control sequence": "close \x1b[2J",
    "1e999": "close * 1e999",
    "a constant": "1",
}

THRESHOLDS = {
    "not JSON": "{",
    "a string for a number": {"predictive_power": {"min_rank_ic": "high"}},
    "NaN": '{"predictive_power": {"min_rank_ic": NaN}}',
    "a negative turnover": {"trading_cost": {"max_turnover": -1}},
    "true for a number": {"trading_cost": {"max_turnover": True}},
    "a misspelt key": {"predictive_power": {"min_rank_icc": 0.02}},
    "a misspelt agent": {"predictive_powers": {}},
    "a key twice": '{"trading_cost": {"max_turnover": 0.5, "max_turnover": 9}}',
    "a list": [1, 2],
    "nested 100,000 deep": '{"a":' * 100_000,
    "50 MB of brackets": "[" * 50_000_000,
}

FILES = {
    "nothing": b"",
    "rubbish named .parquet": ("x.parquet", b"\x00\x01\x02rubbish"),
    "HTML": b"<html><body>502 Bad Gateway</body></html>",
    "no close column": b"timestamp,symbol,open\n2026-01-01T00:00:00Z,A,1\n",
    "a zip bomb's name": ("x.zip", b"PK\x03\x04rubbish"),
    "dates without a year": b"timestamp,symbol,open,high,low,close,volume\n13:00,A,1,1,1,1,1\n",
    "Latin-1": "timestamp,symbol,close\n2026-01-01,\u00e9,1\n".encode("latin-1"),
}


@dataclass(frozen=True)
class Case:
    """One call of `midas` and how it is shown in the table."""

    kind: str
    what: str
    arguments: tuple[str, ...]
    shown: str = ""


def cases(folder: Path) -> Iterator[Case]:
    """Every hostile call, with its files written into `folder`."""
    for what, name in NAMES.items():
        yield Case("name", what, ("promote", "--kb", str(folder / "kb"), "--", name))
    for what, expression in EXPRESSIONS.items():
        yield Case("expression", what, ("evaluate", "--data", "sample", "--kb", str(folder / "none"), "--", expression))
    for i, (what, content) in enumerate(THRESHOLDS.items()):
        base = folder / f"kb-{i}"
        _new_base(base)
        text = content if isinstance(content, str) else json.dumps(content)
        (base / "knowledge" / "thresholds.json").write_text(text, encoding="utf-8")
        yield Case("thresholds", what, ("evaluate", GOOD, "--kb", str(base)), text)
    for i, (what, item) in enumerate(FILES.items()):
        suffix, raw = item if isinstance(item, tuple) else ("x.csv", item)
        path = folder / f"{i}-{suffix}"
        path.write_bytes(raw)
        yield Case("file", what, ("data", "check", str(path)), raw.decode("latin-1"))
    yield Case("data", "a seed that is no number", ("data", "info", "synthetic:seven"))
    yield Case("data", "a source that is not known", ("evaluate", GOOD, "--data", "smaple"))
    yield Case("file", "a file that is not there", ("data", "check", str(folder / "missing.csv")))
    yield Case("file", "a folder for a file", ("evaluate", GOOD, "--data", str(folder)))
    yield Case("file", "a device", ("data", "check", os.devnull))
    settings = folder / "midas.toml"
    settings.write_text("[costs]\nfee_bsp = 3\n")
    yield Case("settings", "an unknown key", ("status", "--config", str(settings)), settings.read_text())
    yield Case("settings", "a misspelt verb", ("statsu",))


def _new_base(path: Path) -> None:
    sys.path.insert(0, str(ROOT))
    from midas_engine.kb import KnowledgeBase

    KnowledgeBase(path)


def run(case: Case, folder: Path) -> tuple[int, str]:
    """Exit code and everything that was printed."""
    done = subprocess.run(
        [sys.executable, "-m", "midas", *(os.fsencode(a.replace("\0", "")) for a in case.arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
    return done.returncode, (done.stderr or done.stdout).decode("utf-8", "replace")


def cell(text: str, width: int = 110) -> str:
    """`text` as a table cell: shortened, nothing that Markdown would act on."""
    shown = text if len(text) <= width else f"{text[: width - 20]} ... ({len(text):,} characters)"
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in shown)
    return "`" + shown.replace("`", "'").replace("|", "\\|") + "`" if shown else "(empty)"


def trouble(code: int, output: str) -> str:
    """Why an answer is not good enough; empty when it is."""
    if code == 0:
        return "accepted"
    if code in (70, -9, -11) or "Traceback" in output:
        return "fault"
    if any(ord(c) < 0x20 and c not in "\n\t" or 0x7F <= ord(c) <= 0x9F for c in output):
        return "control character"
    return ""


def main() -> int:
    """Print the table."""
    bad = 0
    print("| kind | what | input | exit | message |")
    print("| --- | --- | --- | ---: | --- |")
    with tempfile.TemporaryDirectory(prefix="hostile-") as name:
        folder = Path(name)
        _new_base(folder / "kb")
        for case in cases(folder):
            code, output = run(case, folder)
            first = next((line for line in output.splitlines() if line.strip()), "").replace(name, "DIR")
            why = trouble(code, output)
            bad += bool(why)
            shown = cell((case.shown or case.arguments[-1]).replace(name, "DIR"), 60)
            print(f"| {case.kind} | {case.what} | {shown} | {code} | {cell(first)}{f' **{why}**' if why else ''} |")
    print(
        f"\n{bad} of these inputs were not answered as they should be." if bad else "\nEvery input was refused by name."
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
