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


def resume(work: TrainingRun, trainer: Trainer) -> TrainState:
    """Restore the newest checkpoint, if there is one."""
    if not checkpoints.existing(work.folder):
        return TrainState()
    return checkpoints.restore(work.folder, trainer)


def train(
    work: TrainingRun,
    trainer: Trainer,
    standing: TrainState,
    brake: PauseControl,
    sample: Callable[[int], Iterator[Event]],
) -> Iterator[Event]:
    """Train to the end, to a stop, to an early stop or until the machine is strained; the last event is `Finished`.

    Raises `TrainingDiverged`; the checkpoints are whole then.
    """
    spec, outcome, why = work.spec, "", ""
    if 0 < standing.step < work.steps and _enough(spec, standing):
        outcome = "early"  # it was killed just before it said so
    if standing.step == 0:
        yield from _begin(work, trainer, standing)
    while standing.step < work.steps and not outcome:
        standing.step += 1
        event, problem = _step(work, trainer, standing)
        yield event
        standing.bad = standing.bad + 1 if problem else 0
        if standing.bad == divergence.PATIENCE:
            standing, back = divergence.roll_back(work.folder, trainer, standing, problem)
            yield back
            continue
        last = standing.step == work.steps
        if not last:
            outcome, why = yield from brake(trainer.release)
        if last or (standing.step % spec.evaluate_every == 0 and outcome != "strained"):
            yield from _evaluate(work, trainer, standing)
            yield from sample(standing.step)
        if not (last or outcome) and _enough(spec, standing):
            outcome = "early"
        improved = standing.best_step == standing.step
        ended = last or outcome == "early"
        standing.planned = ended or improved or (standing.step % spec.save_every == 0 and not standing.bad)
        if (outcome or standing.planned) and trainer.group.rank == 0:
            path = checkpoints.publish(work.folder, trainer, standing, spec.keep)
            yield Saved(standing.step, str(path), improved)
    if standing.unimproved and not standing.best_step:
        yield Notice(
            "on the held-out rows no checkpoint is better than the untrained model: lower train.learning_rate, or look "
            "at the rows"
        )
    yield Finished(outcome or "done", f"{standing.step} of {work.steps} steps{why and f'; {why}'}")


def _enough(spec: TrainSpec, standing: TrainState) -> bool:
    """Whether nothing was better for so long that training stops early."""
    return spec.early_stop is not None and standing.unimproved >= spec.early_stop


def _begin(work: TrainingRun, trainer: Trainer, standing: TrainState) -> Iterator[Event]:
    """Look at the untrained model, and keep its adapter: there is always a checkpoint to go back to."""
    total, tokens = summed_loss(work.held_out or work.train[:EVALUATION_ROWS], work.spec, trainer)
    standing.start = total / tokens
    if not math.isfinite(standing.start):
        raise TrainingDiverged(
            f"The model's loss is {standing.start} before any training.",
            "Its weights are damaged, or overflow in their dtype: set dtype to float32, or get the model again.",
        )
    if work.held_out:
        standing.best_loss = standing.start
        yield Evaluated(0, standing.start, tokens)
    if trainer.group.rank == 0 and not checkpoints.existing(work.folder):
        checkpoints.publish(work.folder, trainer, standing, work.spec.keep)


def _share(examples: Sequence[Example], spec: TrainSpec, trainer: InferenceModel) -> Iterator[Sequence[MicroBatch]]:
    """This rank's micro-batches of some examples, by those that run at once; the plan is the same on all ranks."""
    group, shapes = trainer.group, trainer.shapes
    together = replace(shapes, streams=shapes.streams * group.size)
    parts = plan(examples, together, spec.rows_at_once)
    return rounds(share(parts, group.rank, group.size), shapes.streams)


def _step(work: TrainingRun, trainer: Trainer, standing: TrainState) -> tuple[Step | Skipped, str]:
    """One optimizer step, and what is wrong with it."""
    start, spec, step = time.perf_counter(), work.spec, standing.step
    examples = batch(work.train, spec.rows_per_step, spec.seed, step - 1)
    for parts in _share(examples, spec, trainer):
        trainer.accumulate(parts)
    rate = learning_rate(spec, step, work.steps) * standing.factor
    update = trainer.apply(rate)
    problem = divergence.trouble(update, standing.start)
    if not update.finite:
        return Skipped(step, problem), problem
    seconds = round(time.perf_counter() - start, 4)
    made = Step(step, work.steps, update.loss, update.tokens, rate, update.grad_norm, seconds, *trainer.memory())
    return made, problem


def _evaluate(work: TrainingRun, trainer: Trainer, standing: TrainState) -> Iterator[Event]:
    """The held-out loss, and whether it is the best so far; one that is not finite is none."""
    if not work.held_out:
        return
    total, tokens = summed_loss(work.held_out, work.spec, trainer)
    loss = total / tokens
    if not math.isfinite(loss):
        yield Notice(f"the held-out loss at step {standing.step} is {loss}")
    else:
        yield Evaluated(standing.step, loss, tokens)
    if math.isfinite(loss) and (standing.best_loss is None or loss < standing.best_loss):
        standing.best_loss, standing.best_step, standing.unimproved = loss, standing.step, 0
    else:
        standing.unimproved += 1


def summed_loss(examples: Sequence[Example], spec: TrainSpec, trainer: InferenceModel) -> tuple[float, int]:
    """Summed loss and supervised tokens of examples, without a gradient."""
    total, tokens = 0.0, 0
    ordered = lengths(examples).argsort(kind="stable")
    for start in range(0, len(ordered), EVALUATION_ROWS):
        rows = [examples[place] for place in ordered[start : start + EVALUATION_ROWS]]
        for parts in _share(rows, spec, trainer):
            loss, count = trainer.evaluate(parts)
            total, tokens = total + loss, tokens + count
    summed = trainer.group.sum([total, tokens])
    return summed[0], int(summed[1])
