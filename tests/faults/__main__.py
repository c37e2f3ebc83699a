"""`python -m tests.faults`: put so many faults in the way of every kind of job, and print what came of them."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.cases import Bench, Outcome


def main() -> int:
    """Run the cases; 0 if all came out as they should."""
    words = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    words.add_argument("--count", type=int, default=1000, help="how many faults")
    words.add_argument("--seed", type=int, default=0, help="decides which")
    words.add_argument("--first", type=int, default=0, help="the number of the first, to run one again")
    words.add_argument("--part", help="only jobs whose name begins so")
    words.add_argument("--keep", type=Path, help="a new folder in which what went wrong is kept")
    words.add_argument("--json", action="store_true", help="one JSON object for each that went wrong, no table")
    given = words.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        start, outcomes = time.monotonic(), list[Outcome]()
        bench = Bench(folder.absolute())
        for number in range(given.first, given.first + given.count):
            outcomes.append(bench.run(number, given.seed, given.part))
            told(outcomes[-1], given.json)
        if not given.json:
            print("\n".join(table(outcomes)))
            print(f"{len(outcomes)} faults, seed {given.seed}, {time.monotonic() - start:.0f} s")
    return 1 if any(outcome.wrong for outcome in outcomes) else 0


def told(outcome: Outcome, as_json: bool) -> None:
    """Say at once what went wrong."""
    if outcome.wrong and as_json:
        print(json.dumps(vars(outcome)), flush=True)
    elif outcome.wrong:
        print(
            f"{outcome.number} {outcome.part}, {outcome.said}: {'; '.join(outcome.wrong)}", file=sys.stderr, flush=True
        )


def table(outcomes: list[Outcome]) -> list[str]:
    """Parts against faults: how many were as expected, of how many."""
    faults = sorted({outcome.fault for outcome in outcomes})
    lines = [["part", *faults, "injected", "as expected"]]
    for part in [*sorted({outcome.part for outcome in outcomes}), "all"]:
        chosen = [outcome for outcome in outcomes if part in ("all", outcome.part)]
        by_fault = ([outcome for outcome in chosen if outcome.fault == fault] for fault in faults)
        cells = [f"{_right(some)} of {len(some)}" if some else "" for some in by_fault]
        lines.append([part, *cells, str(len(chosen)), str(_right(chosen))])
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    return [f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |" for line in lines]


def _right(outcomes: list[Outcome]) -> int:
    return sum(not outcome.wrong for outcome in outcomes)


if __name__ == "__main__":
    sys.exit(main())
