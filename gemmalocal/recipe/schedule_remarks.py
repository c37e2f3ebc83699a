"""What of a schedule will act otherwise than it reads: said by `check`, by the recipe's form and by the run."""

from __future__ import annotations

from gemmalocal.jobs.plurals import counted, plural
from gemmalocal.recipe.schema import TrainSpec


def schedule_remarks(train: TrainSpec, rows: int | None = None, held_out: int | None = None) -> list[str]:
    """Sentences about a recipe's steps; `rows` are the training rows, `held_out` the others, None if not yet known."""
    remarks = []
    steps = train.steps if rows is None else train.steps_over(rows)
    if steps is not None and train.warmup_over(steps) > steps:
        remarks.append(
            f"the warm-up takes {counted(train.warmup_over(steps), 'step')}, and the run has {steps}: it "
            "never reaches its rate"
        )
    if rows and train.epochs is None and train.rows_per_step > rows:
        times = train.rows_per_step / rows
        remarks.append(
            f"a step takes {counted(train.rows_per_step, 'row')}, and there {plural(rows, 'is', 'are')} "
            f"{rows}: it sees each {times:.1f} times"
        )
    if train.early_stop is not None and held_out == 0:
        remarks.append("early_stop has no effect: no rows are held out")
    return remarks
