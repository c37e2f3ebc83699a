"""The training loop, once, for every backend."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gemmalocal.backends.protocol import Trainer
from gemmalocal.data.batches import MicroBatch, batch, plan, rounds
from gemmalocal.data.examples import Example
from gemmalocal.data.store import lengths
from gemmalocal.engine import checkpoints
from gemmalocal.engine.checkpoints import Standing
from gemmalocal.engine.schedule import learning_rate
from gemmalocal.events import Evaluated, Event, Finished, Saved, Step
from gemmalocal.recipe import TrainSpec

EVALUATION_ROWS = 16  # rows planned together when the held-out loss is computed


@dataclass(frozen=True)
class Work:
    """What a run trains on, how, and where its checkpoints go; `steps` are optimizer steps."""

    train: Sequence[Example]
    held_out: Sequence[Example]
    spec: TrainSpec
    steps: int
    folder: Path


def resume(work: Work, trainer: Trainer) -> Standing:
    """Restore the newest checkpoint, if there is one."""
    found = checkpoints.existing(work.folder)
    if not found:
        return Standing()
    trainer.restore(found[-1])
    return checkpoints.standing(found[-1])


def train(
    work: Work,
    trainer: Trainer,
    standing: Standing,
    stop: Callable[[], bool],
    sample: Callable[[int], Iterator[Event]],
) -> Iterator[Event]:
    """Train to the end, to a stop, or to an early stop; the last event is `Finished`."""
    spec = work.spec
    if standing.step == 0:
        yield from _evaluated(work, trainer, standing)
    outcome = "done"
    while standing.step < work.steps:
        standing.step += 1
        yield _step(work, trainer, standing.step)
        last, stopping = standing.step == work.steps, stop()
        improved = False
        if standing.step % spec.evaluate_every == 0 or last:
            for event in _evaluated(work, trainer, standing):
                improved = _judge(standing, event)
                yield event
            yield from sample(standing.step)
        early = spec.early_stop is not None and standing.unimproved >= spec.early_stop
        if last or stopping or early or improved or standing.step % spec.save_every == 0:
            path = checkpoints.publish(work.folder, trainer, standing, spec.keep)
            yield Saved(standing.step, str(path), standing.best_step == standing.step)
        if not last and (stopping or early):
            outcome = "stopped" if stopping else "early"
            break
    yield Finished(outcome, f"{standing.step} of {work.steps} steps")


def _step(work: Work, trainer: Trainer, step: int) -> Step:
    start, spec = time.perf_counter(), work.spec
    examples = batch(work.train, spec.rows_per_step, spec.seed, step - 1)
    for parts in rounds(plan(examples, trainer.shapes, spec.rows_at_once), trainer.shapes.lanes):
        trainer.accumulate(parts)
    rate = learning_rate(spec, step, work.steps)
    update = trainer.apply(rate)
    seconds = time.perf_counter() - start
    return Step(
        step, work.steps, update.loss, update.tokens, rate, update.grad_norm, round(seconds, 4), trainer.peak_memory()
    )


def _evaluated(work: Work, trainer: Trainer, standing: Standing) -> Iterator[Evaluated]:
    total, tokens = 0.0, 0
    for parts in _held_out(work, trainer):
        loss, count = trainer.evaluate(parts)
        total, tokens = total + loss, tokens + count
    if tokens:
        yield Evaluated(standing.step, total / tokens, tokens)


def _held_out(work: Work, trainer: Trainer) -> Iterator[Sequence[MicroBatch]]:
    ordered = lengths(work.held_out).argsort(kind="stable")
    for start in range(0, len(ordered), EVALUATION_ROWS):
        rows = [work.held_out[place] for place in ordered[start : start + EVALUATION_ROWS]]
        parts = plan(rows, trainer.shapes, work.spec.rows_at_once)
        yield from rounds(parts, trainer.shapes.lanes)


def _judge(standing: Standing, evaluation: Evaluated) -> bool:
    if standing.best_loss is None or evaluation.loss < standing.best_loss:
        standing.best_loss, standing.best_step, standing.unimproved = evaluation.loss, evaluation.step, 0
        return True
    standing.unimproved += 1
    return False
