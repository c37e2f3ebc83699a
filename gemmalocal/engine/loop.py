"""The training loop, once, for every backend, and for each rank of a group."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gemmalocal.backends.protocol import InferenceModel, Trainer
from gemmalocal.data.batches import batch, batch_indices
from gemmalocal.data.examples import Example
from gemmalocal.engine import checkpoints, divergence
from gemmalocal.engine.checkpoints import TrainState
from gemmalocal.engine.guide import Figures, Guide
from gemmalocal.engine.pause import PauseControl
from gemmalocal.engine.shares import ROWS, shared, untrained
from gemmalocal.engine.span import Counted, Span
from gemmalocal.errors import TrainingDiverged
from gemmalocal.jobs.events import Evaluated, Event, Finished, Notice, Saved, Skipped, Step
from gemmalocal.recipe.schema import TrainSpec

WORSE = (
    "on the held-out rows no checkpoint is better than the untrained model: lower train.learning_rate, or look at the "
    "rows"
)


@dataclass(frozen=True)
class TrainingRun:
    """What a run trains on, how, and where its checkpoints go; `steps` are optimizer steps.

    They are None where a time is given, not a count.
    `guide` is how it learns from judgements of the examples, or from a teacher; None: it imitates them.
    """

    train: Sequence[Example]
    held_out: Sequence[Example]
    spec: TrainSpec
    steps: int | None
    folder: Path
    guide: Guide | None = None


def resume(run: TrainingRun, trainer: Trainer) -> TrainState:
    """Restore the newest checkpoint, if there is one."""
    if not checkpoints.existing(run.folder):
        return TrainState()
    return checkpoints.restore(run.folder, trainer)


def train(
    run: TrainingRun,
    trainer: Trainer,
    state: TrainState,
    pause: PauseControl,
    sample: Callable[[int], Iterator[Event]],
    span: Span | None = None,
) -> Iterator[Event]:
    """Train to the end, to a stop, to an early stop or until the machine is strained; the last event is `Finished`.

    `span` is how long that is, where it is no count of steps. Raises `TrainingDiverged`; the checkpoints are whole
    then.
    """
    span = span or Counted(run.spec, run.steps or 0)
    spec, is_last, outcome, reason = run.spec, span.is_over(state), "", ""
    if state.step and not is_last and _is_stalled(spec, state):
        outcome = "early"  # it was killed just before it said so
    if state.step == 0:
        yield from _begin(run, trainer, state, span)
    while not (is_last or outcome):
        yield from _next(run, trainer, state)
        event, problem = step(run, trainer, state, span)
        yield event
        state.bad = state.bad + 1 if problem else 0
        if state.bad == divergence.PATIENCE:
            state.time = span.record()
            state, rollback = divergence.roll_back(run.folder, trainer, state, problem)
            yield rollback
            continue
        is_last = span.is_last(state.step)
        if not is_last:
            with span.pause():
                outcome, reason = yield from pause(trainer.release)
        if is_last or (state.step % spec.evaluate_every == 0 and outcome != "strained"):
            yield from _evaluate(run, trainer, state, span)
            yield from sample(state.step)
            is_last = is_last or span.is_last(state.step, measured=True)  # which may have taken long
        if not (is_last or outcome) and _is_stalled(spec, state):
            outcome = "early"
        improved = state.best_step == state.step
        ended = is_last or outcome == "early"
        state.planned = ended or improved or (state.step % spec.save_every == 0 and not state.bad)
        if (outcome or state.planned) and trainer.group.rank == 0:
            state.time = span.record(ended=is_last)
            with span.spend("save"):
                path = checkpoints.publish(run.folder, trainer, state, spec.keep)
            yield Saved(state.step, str(path), improved)
    if state.unimproved and not state.best_step:
        yield Notice(WORSE)
    yield Finished(outcome or "done", f"{span.sentence(state.step)}{reason and f'; {reason}'}")


def _next(run: TrainingRun, trainer: Trainer, state: TrainState) -> Iterator[Event]:
    """Count on to the next step, and have what that needs."""
    state.step += 1
    if run.guide is not None:
        yield from run.guide.before(state.step, trainer)


def _is_stalled(spec: TrainSpec, state: TrainState) -> bool:
    """Whether nothing was better for so long that training stops early."""
    return spec.early_stop is not None and state.unimproved >= spec.early_stop


def _begin(run: TrainingRun, trainer: Trainer, state: TrainState, span: Span) -> Iterator[Event]:
    """Look at the untrained model, and keep its adapter: there is always a checkpoint to go back to."""
    with span.spend("evaluation"):
        state.start, tokens, figures, _ = measured(run, trainer)
    if not math.isfinite(state.start):
        raise TrainingDiverged(
            f"The model's loss is {state.start} before any training.",
            "Its weights are damaged, or overflow in their dtype: set dtype to float32, or get the model again.",
        )
    if run.held_out:
        state.best_loss = state.start
        yield Evaluated(0, state.start, tokens, figures)
    if trainer.group.rank == 0 and not checkpoints.existing(run.folder):
        state.time = span.record()
        with span.spend("save"):
            checkpoints.publish(run.folder, trainer, state, run.spec.keep)


def step(run: TrainingRun, trainer: Trainer, state: TrainState, span: Span) -> tuple[Step | Skipped, str]:
    """One optimizer step, and what is wrong with it."""
    start, number = time.perf_counter(), state.step
    rate = span.learning_rate(number) * state.factor
    with span.spend("step"):
        count, figures = _accumulate(run, trainer, number)
        update = trainer.apply(rate, count)
    reason = divergence.trouble(update, state.start)
    if not update.finite:
        return Skipped(number, reason), reason
    seconds = round(time.perf_counter() - start, 4)
    memory, steps = trainer.memory(), span.steps(number)
    step_event = Step(number, steps, update.loss, update.tokens, rate, update.grad_norm, seconds, *memory)
    return replace(step_event, preference=figures, left=span.left()), reason


def _accumulate(run: TrainingRun, trainer: Trainer, step: int) -> tuple[float | None, Figures | None]:
    """Take in the batch of a step; what its sums are divided by (see `Trainer.apply`), and what was judged."""
    spec, guide = run.spec, run.guide
    if guide is None:
        examples = batch(run.train, spec.rows_per_step, spec.seed, step - 1, spec.rows_over(len(run.train)))
        for micro_batches in shared(examples, spec.rows_at_once, trainer):
            trainer.accumulate(micro_batches)
        return None, None
    group, rows = guide.group, len(run.train)
    end = spec.rows_over(rows // group)
    told = guide.accumulate(batch_indices(rows, spec.rows_per_step, spec.seed, step - 1, end, group), trainer)
    return told.judged, told.figures


def _evaluate(run: TrainingRun, trainer: Trainer, state: TrainState, span: Span) -> Iterator[Event]:
    """The held-out loss, and whether it is the best so far; one that is not finite is none."""
    if not run.held_out:
        return
    with span.spend("evaluation"):
        loss, tokens, figures, warnings = measured(run, trainer)
    if not math.isfinite(loss):
        yield Notice(f"the held-out loss at step {state.step} is {loss}")
    else:
        yield Evaluated(state.step, loss, tokens, figures)
        yield from map(Notice, warnings)
    if math.isfinite(loss) and (state.best_loss is None or loss < state.best_loss):
        state.best_loss, state.best_step, state.unimproved = loss, state.step, 0
    else:
        state.unimproved += 1


def measured(run: TrainingRun, trainer: Trainer) -> tuple[float, int, Figures | None, list[str]]:
    """Of the held-out rows (if there are none, of the first ones to train on): mean loss, tokens, what was judged.

    And what looks wrong in that.
    """
    if run.guide is None:
        total, weight = summed_loss(run.held_out or run.train[:ROWS], run.spec, trainer)
        return total / weight, round(weight), None, []
    told = run.guide.measure(trainer)
    return told.loss / told.judged, run.guide.tokens, told.figures, list(run.guide.warnings(told))


def summed_loss(examples: Sequence[Example], spec: TrainSpec, trainer: InferenceModel) -> tuple[float, float]:
    """Summed loss of examples, and of their supervised tokens the summed weights, without a gradient."""
    total, weight = 0.0, 0.0
    for _, micro_batches in untrained(examples, spec.rows_at_once, trainer):
        loss, of_parts = trainer.evaluate(micro_batches)
        total, weight = total + loss, weight + of_parts
    total, weight = trainer.group.sum([total, weight])
    return total, weight
