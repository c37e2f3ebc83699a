"""The training loop, once, for every backend, and for each rank of a group."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gemmalocal.backends.protocol import InferenceModel, Trainer
from gemmalocal.data.batches import MicroBatch, batch, plan, rounds, share
from gemmalocal.data.examples import Example
from gemmalocal.data.token_store import lengths
from gemmalocal.engine import checkpoints, divergence
from gemmalocal.engine.checkpoints import TrainState
from gemmalocal.engine.pause import PauseControl
from gemmalocal.engine.schedule import learning_rate
from gemmalocal.errors import TrainingDiverged
from gemmalocal.jobs.events import Evaluated, Event, Finished, Notice, Saved, Skipped, Step
from gemmalocal.recipe.schema import TrainSpec

EVALUATION_ROWS = 16  # rows planned together when a loss is computed without a gradient


@dataclass(frozen=True)
class TrainingRun:
    """What a run trains on, how, and where its checkpoints go; `steps` are optimizer steps."""

    train: Sequence[Example]
    held_out: Sequence[Example]
    spec: TrainSpec
    steps: int
    folder: Path


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
) -> Iterator[Event]:
    """Train to the end, to a stop, to an early stop or until the machine is strained; the last event is `Finished`.

    Raises `TrainingDiverged`; the checkpoints are whole then.
    """
    spec, outcome, reason = run.spec, "", ""
    if 0 < state.step < run.steps and _is_stalled(spec, state):
        outcome = "early"  # it was killed just before it said so
    if state.step == 0:
        yield from _begin(run, trainer, state)
    while state.step < run.steps and not outcome:
        state.step += 1
        event, problem = _step(run, trainer, state)
        yield event
        state.bad = state.bad + 1 if problem else 0
        if state.bad == divergence.PATIENCE:
            state, rollback = divergence.roll_back(run.folder, trainer, state, problem)
            yield rollback
            continue
        is_last = state.step == run.steps
        if not is_last:
            outcome, reason = yield from pause(trainer.release)
        if is_last or (state.step % spec.evaluate_every == 0 and outcome != "strained"):
            yield from _evaluate(run, trainer, state)
            yield from sample(state.step)
        if not (is_last or outcome) and _is_stalled(spec, state):
            outcome = "early"
        improved = state.best_step == state.step
        ended = is_last or outcome == "early"
        state.planned = ended or improved or (state.step % spec.save_every == 0 and not state.bad)
        if (outcome or state.planned) and trainer.group.rank == 0:
            path = checkpoints.publish(run.folder, trainer, state, spec.keep)
            yield Saved(state.step, str(path), improved)
    if state.unimproved and not state.best_step:
        yield Notice(
            "on the held-out rows no checkpoint is better than the untrained model: lower train.learning_rate, or look "
            "at the rows"
        )
    yield Finished(outcome or "done", f"{state.step} of {run.steps} steps{reason and f'; {reason}'}")


def _is_stalled(spec: TrainSpec, state: TrainState) -> bool:
    """Whether nothing was better for so long that training stops early."""
    return spec.early_stop is not None and state.unimproved >= spec.early_stop


def _begin(run: TrainingRun, trainer: Trainer, state: TrainState) -> Iterator[Event]:
    """Look at the untrained model, and keep its adapter: there is always a checkpoint to go back to."""
    total, tokens = summed_loss(run.held_out or run.train[:EVALUATION_ROWS], run.spec, trainer)
    state.start = total / tokens
    if not math.isfinite(state.start):
        raise TrainingDiverged(
            f"The model's loss is {state.start} before any training.",
            "Its weights are damaged, or overflow in their dtype: set dtype to float32, or get the model again.",
        )
    if run.held_out:
        state.best_loss = state.start
        yield Evaluated(0, state.start, tokens)
    if trainer.group.rank == 0 and not checkpoints.existing(run.folder):
        checkpoints.publish(run.folder, trainer, state, run.spec.keep)


def _share(examples: Sequence[Example], spec: TrainSpec, trainer: InferenceModel) -> Iterator[Sequence[MicroBatch]]:
    """This rank's micro-batches of some examples, by those that run at once; the plan is the same on all ranks."""
    group, shapes = trainer.group, trainer.shapes
    group_shapes = replace(shapes, streams=shapes.streams * group.size)
    micro_batches = plan(examples, group_shapes, spec.rows_at_once)
    return rounds(share(micro_batches, group.rank, group.size), shapes.streams)


def _step(run: TrainingRun, trainer: Trainer, state: TrainState) -> tuple[Step | Skipped, str]:
    """One optimizer step, and what is wrong with it."""
    start, spec, step = time.perf_counter(), run.spec, state.step
    examples = batch(run.train, spec.rows_per_step, spec.seed, step - 1, spec.rows_over(len(run.train)))
    for micro_batches in _share(examples, spec, trainer):
        trainer.accumulate(micro_batches)
    rate = learning_rate(spec, step, run.steps) * state.factor
    update = trainer.apply(rate)
    reason = divergence.trouble(update, state.start)
    if not update.finite:
        return Skipped(step, reason), reason
    seconds = round(time.perf_counter() - start, 4)
    event = Step(step, run.steps, update.loss, update.tokens, rate, update.grad_norm, seconds, *trainer.memory())
    return event, reason


def _evaluate(run: TrainingRun, trainer: Trainer, state: TrainState) -> Iterator[Event]:
    """The held-out loss, and whether it is the best so far; one that is not finite is none."""
    if not run.held_out:
        return
    total, tokens = summed_loss(run.held_out, run.spec, trainer)
    loss = total / tokens
    if not math.isfinite(loss):
        yield Notice(f"the held-out loss at step {state.step} is {loss}")
    else:
        yield Evaluated(state.step, loss, tokens)
    if math.isfinite(loss) and (state.best_loss is None or loss < state.best_loss):
        state.best_loss, state.best_step, state.unimproved = loss, state.step, 0
    else:
        state.unimproved += 1


def summed_loss(examples: Sequence[Example], spec: TrainSpec, trainer: InferenceModel) -> tuple[float, int]:
    """Summed loss and supervised tokens of examples, without a gradient."""
    total, tokens = 0.0, 0
    ordered = lengths(examples).argsort(kind="stable")
    for start in range(0, len(ordered), EVALUATION_ROWS):
        rows = [examples[index] for index in ordered[start : start + EVALUATION_ROWS]]
        for micro_batches in _share(rows, spec, trainer):
            loss, count = trainer.evaluate(micro_batches)
            total, tokens = total + loss, tokens + count
    summed = trainer.group.sum([total, tokens])
    return summed[0], int(summed[1])
