"""Cases whose verdict is known, as runs of a real model, and simulated from what was measured of those.

    python -m benchmarks.planted MODEL [SEEDS]

trains and reports on each case (benchmarks/planted_cases.py) once a seed, in the workspace (GEMMALOCAL_HOME); what is
there already is not made again. Then it draws 200 samples of each run's rows, texts and questions with replacement, and
200 more in which base and tuned model change places at random, row by row, so that there is no difference. It prints
which verdict came how often. A run and its report take about ten minutes on two quiet cores.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.planted_cases import CASES, Case, recipe, write
from gemmalocal.evaluation.conclude import brief
from gemmalocal.evaluation.measured import Loss, Measured, MeasuredRow
from gemmalocal.evaluation.metrics import metric
from gemmalocal.files import paths
from gemmalocal.jobs import history
from gemmalocal.pipelines import report
from gemmalocal.recipe.schema import Recipe
from gemmalocal.workspace import reports
from gemmalocal.workspace.reports import Wish

ROWS, SAMPLES = 40, 200
Item = TypeVar("Item")


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
    if reports.figures(run) is None:
        _gemmalocal("report", name, "--rows", str(ROWS))
    return run


def _gemmalocal(*words: str) -> None:
    print("gemmalocal", *words, file=sys.stderr)
    done = subprocess.run([sys.executable, "-m", "gemmalocal", *words], stdout=subprocess.PIPE, check=False, text=True)
    if done.returncode not in (0, reports.HURTS):
        sys.exit(done.returncode)
    print(done.stdout, file=sys.stderr)


def measured(run: Path) -> tuple[Measured, str]:
    """What the report on a run has measured, and the name of its metric; nothing is asked twice."""
    events = report.measurements(run, Wish(ROWS), run / reports.FOLDER, list)
    while True:
        try:
            next(events)
        except StopIteration as end:
            of_base: Measured = end.value[1][0]
            return of_base, str((reports.figures(run) or {})["metric"]["name"])


def drawn(items: Sequence[Item], random: np.random.Generator) -> list[Item]:
    """As many, with replacement."""
    return [items[place] for place in random.integers(len(items), size=len(items))]


def samples(of_run: Measured, seed: int = 0) -> Iterator[Measured]:
    """Rows, texts and questions drawn anew; each row drawn is a document of its own."""
    random = np.random.default_rng(seed)
    for _ in range(SAMPLES):
        rows = [replace(row, cluster=str(place)) for place, row in enumerate(drawn(of_run.rows, random))]
        yield replace(of_run, rows=rows, texts=drawn(of_run.texts, random), questions=drawn(of_run.questions, random))


def without_difference(of_run: Measured, seed: int = 0) -> Iterator[Measured]:
    """Base and tuned model change places at random."""
    random = np.random.default_rng(seed)
    for _ in range(SAMPLES):
        yield replace(of_run, rows=[_swapped(row) if random.random() < 0.5 else row for row in of_run.rows])


def _swapped(row: MeasuredRow) -> MeasuredRow:
    answers = (row.answers[1], row.answers[0]) if row.answers else None
    return replace(row, loss=Loss(row.loss.tuned, row.loss.base), answers=answers)


def verdicts(drawn_samples: Iterator[Measured], name: str) -> Counter[str]:
    """How often each came."""
    return Counter(
        brief(sample, metric(name, [row.reference for row in sample.rows]))["verdict"] for sample in drawn_samples
    )


def main(model: str, seeds: int = 1) -> None:
    """Make what is missing, and print the table."""
    print("| case, seed | should be | verdict | of 200 samples | of 200 without a difference |")
    print("| --- | --- | --- | --- | --- |")
    for seed in range(seeds):
        for case in CASES:
            run = make(case, model, seed)
            of_run, name = measured(run)
            resampled, none = (verdicts(draw(of_run), name) for draw in (samples, without_difference))
            counts = [", ".join(f"{word} {count}" for word, count in of.most_common()) for of in (resampled, none)]
            line = [f"{case.name}, {seed}", case.verdict, reports.verdict(run), *counts]
            print(f"| {' | '.join(line)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:3]))
