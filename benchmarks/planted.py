"""Cases whose verdict is known, as runs of a real model, and simulated from what was measured of those.

    python -m benchmarks.planted MODEL [SEEDS]

trains and reports on each case (benchmarks/planted_cases.py) once a seed, in the workspace (GEMMALOCAL_HOME); what is
there already is not made again. Then it draws 200 samples of each run's rows, texts and questions with replacement, and
for those that should find nothing 200 with base and tuned model changed at random, and prints which verdict came how
often. An hour or so for a seed on two cores.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.planted_cases import CASES, Case, recipe, write
from gemmalocal.files import paths
from gemmalocal.jobs import history
from gemmalocal.recipe.schema import Recipe

ROWS = 80


def make(case: Case, model: str, seed: int) -> Path:
    """The run of a case, trained and reported on."""
    name = f"planted-{case.name}-{seed}"
    run, rows = paths.runs() / name, paths.runs().parent / "planted" / name
    if not history.result(run).is_dir():
        write(case, rows, seed)
        file = rows / "recipe.yaml"
        tree = Recipe.model_validate(recipe(case, model, rows, seed)).model_dump(mode="json", exclude_defaults=True)
        file.write_text(json.dumps(tree), encoding="utf-8")  # JSON is YAML
        _gemmalocal("train", str(file), "--name", name)
    _gemmalocal("report", name, "--rows", str(ROWS))
    return run


def _gemmalocal(*words: str) -> None:
    print("gemmalocal", *words, file=sys.stderr)
    done = subprocess.run([sys.executable, "-m", "gemmalocal", *words], stdout=subprocess.PIPE, check=False, text=True)
    if done.returncode not in (0, 3):
        sys.exit(done.returncode)
    print(done.stdout, file=sys.stderr)


def main(model: str, seeds: int = 1) -> None:
    """Make what is missing, and print the table."""
    for seed in range(seeds):
        for case in CASES:
            make(case, model, seed)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:3]))
