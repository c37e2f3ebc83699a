"""Cases whose verdict is known, as runs of a real model, and simulated from what was measured of those.

    python -m benchmarks.planted MODEL [SEEDS]

trains each case (benchmarks/planted_cases.py) once a seed, in the workspace (GEMMALOCAL_HOME), and measures it as a
report does, of a report's rows, questions and texts a part, so that it takes minutes; what is there already is not made
again. Then it draws 200 samples of each run's rows, texts and questions with replacement, and 200 more in which base
and tuned model change places at random, row by row, so that there is no difference. It prints which verdict came how
often.
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
from gemmalocal.evaluation import general
from gemmalocal.evaluation.conclude import brief
from gemmalocal.evaluation.measured import Loss, Measured, MeasuredRow
from gemmalocal.evaluation.metrics import Metric, metric
from gemmalocal.files import paths
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Stage
from gemmalocal.pipelines import report
from gemmalocal.pipelines.shared import report_ask
from gemmalocal.recipe.schema import Recipe
from gemmalocal.workspace.reports import Wish

ROWS, ANSWERS, QUESTIONS, TEXTS, SAMPLES = 30, 10, 20, 2, 200  # texts of each register
Item = TypeVar("Item")


def make(case: Case, model: str, seed: int) -> Path:
    """The run of a case, trained."""
    name = f"planted-{case.name}-{seed}"
    run, rows = paths.runs() / name, paths.runs().parent / "planted" / name
    if not history.result(run).is_dir():
        write(case, rows, seed)
        file = rows / "recipe.yaml"
        tree = Recipe.model_validate(recipe(case, model, rows, seed)).model_dump(mode="json", exclude_defaults=True)
        file.write_text(json.dumps(tree), encoding="utf-8")  # JSON is YAML
        words = ["train", str(file), "--name", name]
        print("gemmalocal", *words, file=sys.stderr)
        subprocess.run([sys.executable, "-m", "gemmalocal", *words], stdout=subprocess.DEVNULL, check=True)
    return run


def measured(run: Path) -> tuple[Measured, Metric]:
    """What a report would have measured of a run, in short, and its metric; nothing is asked twice."""
    report_ask.ROWS, report_ask.ANSWERS, general.SOME = ROWS, ANSWERS, TEXTS
    questions = general.questions()
    general.questions = lambda: questions[:: len(questions) // QUESTIONS]
    folder = run / "planted"
    folder.mkdir(exist_ok=True)
    events = report.measurements(run, Wish(), folder, list)
    while True:
        try:
            if isinstance(event := next(events), Stage):
                print(event.name, file=sys.stderr)
        except StopIteration as end:
            asked, (of_base,), _ = end.value
            name = "rouge" if asked.speaker.layout.form == "text" else "auto"
            return of_base, metric(name, [row.reference for row in of_base.rows])


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


def verdicts(drawn_samples: Iterator[Measured], right: Metric) -> Counter[str]:
    """How often each came."""
    return Counter(brief(sample, right)["verdict"] for sample in drawn_samples)


def main(model: str, seeds: int = 1) -> None:
    """Make what is missing, and print the table."""
    print("| case, seed | should be | verdict | of 200 samples | of 200 without a difference |")
    print("| --- | --- | --- | --- | --- |")
    for seed in range(seeds):
        for case in CASES:
            run = make(case, model, seed)
            of_run, right = measured(run)
            resampled, none = (verdicts(draw(of_run), right) for draw in (samples, without_difference))
            counts = [", ".join(f"{word} {count}" for word, count in of.most_common()) for of in (resampled, none)]
            of_all = brief(of_run, right)
            print(of_all["sentence"], file=sys.stderr)
            line = [f"{case.name}, {seed}", case.verdict, of_all["verdict"], *counts]
            print(f"| {' | '.join(line)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:3]))
