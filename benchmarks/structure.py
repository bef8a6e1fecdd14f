"""How the source is cut: lines a file, import circles, and whether the layer contracts hold.

    make structure
    python benchmarks/structure.py --json

Circles are groups of modules that import each other in a ring (strongly connected components of the import graph).
They are counted twice: over what runs (imports inside functions too), and over what the type checker reads
as well (imports under `TYPE_CHECKING`). The exit code is 1 when a contract is broken.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import grimp

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("midas", "midas_engine", "midas_tui")


def file_lines(folder: Path) -> dict[str, int]:
    """Lines of every Python file under a folder."""
    return {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in sorted(folder.rglob("*.py"))
    }


def sizes(lines: dict[str, int]) -> dict[str, Any]:
    """Count, median, 90th percentile and the longest file."""
    longest = max(lines, key=lambda name: lines[name])
    return {
        "files": len(lines),
        "lines": sum(lines.values()),
        "median": statistics.median(lines.values()),
        "p90": statistics.quantiles(lines.values(), n=10)[-1],
        "longest": lines[longest],
        "longest_file": longest,
    }


def circles(*, typing_only: bool) -> list[list[str]]:
    """Groups of modules that import each other in a ring; with `typing_only` under TYPE_CHECKING too."""
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=not typing_only, cache_dir=None)
    return rings({module: graph.find_modules_directly_imported_by(module) for module in graph.modules})


def rings(imports: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected components of more than one node (Tarjan 1972), each sorted, the largest first."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []
    for start in sorted(imports):
        if start in number:
            continue
        walk = [(start, iter(sorted(imports[start])))]
        number[start] = low[start] = len(number)
        stack.append(start)
        while walk:
            node, rest = walk[-1]
            for follower in rest:
                if follower not in number:
                    number[follower] = low[follower] = len(number)
                    stack.append(follower)
                    walk.append((follower, iter(sorted(imports.get(follower, ())))))
                    break
                if follower in stack:
                    low[node] = min(low[node], number[follower])
            else:
                walk.pop()
                if walk:
                    low[walk[-1][0]] = min(low[walk[-1][0]], low[node])
                if low[node] == number[node]:
                    at = stack.index(node)
                    group, stack = stack[at:], stack[:at]
                    if len(group) > 1:
                        found.append(sorted(group))
    return sorted(found, key=lambda group: (-len(group), group))


def contracts() -> dict[str, str]:
    """State of every import contract of pyproject.toml, as import-linter tells it."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    states = {}
    for line in done.stdout.splitlines():
        name, _, state = line.rstrip().rpartition(" ")
        if state in ("KEPT", "BROKEN"):
            states[name.strip()] = state
    return states


def measure() -> dict[str, Any]:
    """Everything this page says, as one document."""
    source = {name: count for package in PACKAGES for name, count in file_lines(ROOT / package).items()}
    return {
        "source": sizes(source),
        "tests": sizes(file_lines(ROOT / "tests")),
        "benchmarks": sizes(file_lines(ROOT / "benchmarks")),
        "circles_at_run_time": circles(typing_only=False),
        "circles_with_typing": circles(typing_only=True),
        "contracts": contracts(),
    }


def show(found: dict[str, Any]) -> str:
    """The document for a person."""
    rows = [f"{'':<12}{'files':>7}{'lines':>9}{'median':>8}{'p90':>6}{'longest':>9}"]
    for name in ("source", "tests", "benchmarks"):
        size = found[name]
        rows.append(
            f"{name:<12}{size['files']:>7}{size['lines']:>9}{size['median']:>8.0f}{size['p90']:>6.0f}"
            f"{size['longest']:>9}  {size['longest_file']}"
        )
    for key, words in (("circles_at_run_time", "what runs"), ("circles_with_typing", "types included")):
        groups = found[key]
        rows += ["", f"import circles, {words}: {len(groups)}", *("  " + ", ".join(group) for group in groups)]
    rows += ["", "import contracts", *(f"  {state:<7}{name}" for name, state in found["contracts"].items())]
    return "\n".join(rows)


def main() -> int:
    """Print it; 1 when a contract is broken, or none was found."""
    parser = argparse.ArgumentParser(description="How the source is cut.")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    found = measure()
    print(json.dumps(found, indent=2) if parser.parse_args().json else show(found))
    states = found["contracts"].values()
    return int(not states or "BROKEN" in states)


if __name__ == "__main__":
    sys.exit(main())
