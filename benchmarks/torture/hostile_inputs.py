r"""Hostile inputs through the real command line, and what each was told.

    python benchmarks/torture/hostile_inputs.py > demo_artifacts/HOSTILE_INPUTS.md

Every call runs in a process of its own, forked from one that has imported everything. Prints Markdown tables: input,
exit code, first line of the message. Exit code 1 when an input was accepted, ended in a fault (70) or a traceback, took
more than 20 seconds or 2 GB, changed a file outside its folder, or put a control character on the screen.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from hostile_cases import Case, cases  # noqa: E402

SECONDS, KILOBYTES = 20.0, 2_000_000
HEADING = """# Hostile inputs, and the message each got

Names, expressions, figures, documents, stores, thresholds, settings and files that somebody could hand to `midas` by
mistake or on purpose. Each row is one call of the command line. Exit codes: 1 a failed check, 2 wrong usage or
settings, 3 data, 4 expressions, 6 the knowledge base, 7 the pipeline, 74 the file system. Each message also has a
hint, left out here.
Expressions of the kind *figures* are legal; they must end in a verdict against them (exit 0), not in a crash.

`python benchmarks/torture/hostile_inputs.py` made this page."""


def run(case: Case, folder: Path) -> tuple[int, str, float, int]:
    """Exit code, output, seconds and peak kilobytes of one call in a forked process."""
    out = folder / "output.txt"
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        _call(case, folder, out)
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() - start > 3 * SECONDS:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)
    text = out.read_bytes().decode("utf-8", "replace")
    return os.waitstatus_to_exitcode(status), text, time.monotonic() - start, usage.ru_maxrss


def _call(case: Case, folder: Path, out: Path) -> None:
    """In the child: one call of the real entry, its output in a file."""
    code = 99
    try:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  the child never returns
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        os.chdir(folder)
        os.environ.update(case.environment)
        from midas_engine.cli.entry import run as midas

        code = midas(list(case.arguments))
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException as error:
        os.write(2, f"Traceback {type(error).__name__}: {error}".encode())
    finally:
        os._exit(code & 0xFF)


def message(case: Case, output: str) -> str:
    """The line that says why."""
    if case.answered:
        try:
            document = json.loads(output)
        except ValueError:
            return output.splitlines()[0] if output else ""
        failed = [v["agent"] for v in document["verdicts"] if not v["passed"]]
        verdict = "no agent passed it" if len(failed) == len(document["verdicts"]) else f"failed {', '.join(failed)}"
        return f"{verdict}: {document['suggestions'][0]}" if document["suggestions"] else verdict
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    told = [re.sub(r"\s{2,}", "  ", line) for line in lines if line.startswith(("error", "note: "))]
    # The page is the same whenever it is made.
    return re.sub(
        r"now \([^)]*\)|\d{8}T\d{6}", lambda m: "now" if m[0].startswith("now") else "TIME", (told or lines or [""])[0]
    )


def trouble(case: Case, code: int, output: str, seconds: float, kilobytes: int) -> str:
    """Why an answer is not good enough; empty when it is."""
    if "Traceback" in output or code < 0 or code in (70, 99):
        return "fault"
    if case.answered:
        if code != 0 or json.loads(output)["overall_pass"]:
            return "no verdict against it"
    elif case.told:
        return "" if code == 0 and case.told in output else "not told"
    elif code == 0:
        return "accepted"
    if not case.answered and "hint:" not in output and "error" not in output:
        return "no reason"
    if any(ord(c) < 0x20 and c not in "\n\t" or 0x7F <= ord(c) <= 0x9F for c in output):
        return "control character"
    if seconds > SECONDS:
        return f"took {seconds:.0f} s"
    return f"took {kilobytes / 1e6:.1f} GB" if kilobytes > KILOBYTES else ""


def cell(text: str, width: int) -> str:
    """`text` as a table cell: shortened, nothing that Markdown or a terminal would act on."""
    shown = text if len(text) <= width else f"{text[: width - 20]} ... ({len(text):,} characters)"
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in shown)
    return "`" + shown.replace("`", "'").replace("|", "\\|") + "`" if shown.strip() else "(empty)"


def main() -> int:
    """Print the tables; a summary of time and memory goes to standard error."""
    bad, count, slowest, largest, kind = 0, 0, 0.0, 0, ""
    outside = {p: p.stat().st_mtime_ns for p in (Path("/etc/passwd"),)}
    print(HEADING)
    with tempfile.TemporaryDirectory(prefix="hostile-") as name:
        folder = Path(name) / "inside"
        folder.mkdir()
        for case in cases(folder):
            if case.kind != kind:
                kind = case.kind
                print(f"\n## {kind.capitalize()}\n\n| what | input | exit | message |\n| --- | --- | ---: | --- |")
            code, output, seconds, kilobytes = run(case, folder)
            told = message(case, output).replace(str(folder), "DIR").removeprefix("error: ")
            why = trouble(case, code, output, seconds, kilobytes)
            if [p.name for p in Path(name).iterdir()] != ["inside"]:
                why = "wrote outside its folder"
            bad, count = bad + bool(why), count + 1
            slowest, largest = max(slowest, seconds), max(largest, kilobytes)
            shown = cell((case.shown or case.arguments[-1]).replace(str(folder), "DIR"), 60)
            print(f"| {case.what} | {shown} | {code} | {cell(told, 150)}{f' **{why}**' if why else ''} |", flush=True)
    if any(p.stat().st_mtime_ns != at for p, at in outside.items()):
        bad += 1
    print(f"\n{count} inputs. " + (f"**{bad} were not answered as they should be.**" if bad else "Each was answered."))
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"slowest {slowest:.1f} s, largest {largest / 1e6:.2f} GB ({own / 1e6:.2f} at rest)", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
