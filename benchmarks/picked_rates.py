"""What a search picks in two fifths of a grid's cost: `tune` over the rates of a grid that is there, set by set.

    python -m benchmarks.picked_rates GRID PICKED [--steps 40] [--seeds 2] NAME=ROWS[::KEY=VALUE]...

`GRID` is what `benchmarks.rates` wrote of the same sets, steps and seeds; `PICKED` gets one JSON object a search, and
one that is in it is not made again. Printed: the rate that was picked, and its held-out loss in the grid beside the
best one. The search decides by rows of its own, which the grid's held-out rows are not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import psutil

from benchmarks.rates import RATES, known, named_rows, recipe

SHARE = 0.4  # of the steps of the grid
OF_STEPS = 0.8  # search.share, which is below 1


def picked(tree: dict[str, Any], steps: int, seed: int) -> dict[str, Any]:
    """The rate that `tune` chooses, and what its trials took; the run that would follow is not trained."""
    wanted = round(SHARE * len(RATES) * steps / OF_STEPS)
    settings = (f"train.steps={wanted}", f"search.share={OF_STEPS}", f"train.seed={seed}", "samples.prompts=[]")
    over = f"train.learning_rate={','.join(f'{rate:g}' for rate in RATES)}"
    trials, pid = [], 0
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "grid.yaml"
        file.write_text(json.dumps(tree))  # which is YAML too
        words = ["tune", str(file), "--over", over, "--json", *chain(*(("--set", setting) for setting in settings))]
        command = [sys.executable, "-m", "gemmalocal", *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                event = json.loads(line)
                pid = event.get("pid", pid)
                if event["event"] == "tried":
                    trials.append(event)
                if event["event"] == "report" and "search" in event["data"]:
                    break
            with suppress(psutil.Error):
                psutil.Process(pid).kill()
    last = max(trial["rung"] for trial in trials)
    best = min((trial for trial in trials if trial["rung"] == last and trial["loss"]), key=lambda trial: trial["loss"])
    rate = float(best["words"].rpartition(" ")[2])
    return {"picked": rate, "steps": sum(trial["steps"] for trial in trials)}


def told(searches: list[dict[str, Any]], grid: list[dict[str, Any]]) -> list[str]:
    """A line a search: what it picked, against the best of the grid with the same seed."""
    lines = ["set, seed | picked in steps | held-out loss | best of the grid in steps | held-out loss | above it"]
    for search in searches:
        same = [run for run in grid if (run["set"], run["seed"]) == (search["set"], search["seed"])]
        losses = {run["rate"]: run["after"] for run in same}
        best = min(losses, key=losses.__getitem__)
        loss, least = losses[search["picked"]], losses[best]
        whole = sum(run["steps"] for run in same)
        cells = (f"{search['set']}, {search['seed']}", f"{search['picked']:g} in {search['steps']}", f"{loss:.4f}")
        lines.append(" | ".join([*cells, f"{best:g} in {whole}", f"{least:.4f}", f"{loss / least - 1:.1%}"]))
    return lines


def main() -> None:
    """Make the searches that are not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", type=Path)
    parser.add_argument("searches", type=Path)
    parser.add_argument("sets", nargs="+", metavar="NAME=ROWS[::KEY=VALUE]...")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=2)
    asked = parser.parse_args()
    searches = known(asked.searches)
    for seed in range(asked.seeds):
        for given in asked.sets:
            name, rows, settings = named_rows(given)
            key = {"set": name, "seed": seed}
            if not any(search.items() >= key.items() for search in searches):
                searches.append(key | picked(recipe(rows, settings), asked.steps, seed))
                with asked.searches.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(searches[-1]) + "\n")
    print("\n".join(told(searches, known(asked.grid))))


if __name__ == "__main__":
    main()
