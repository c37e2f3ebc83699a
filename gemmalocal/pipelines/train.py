"""A recipe to a run directory: checkpoints and an adapter."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from gemmalocal.backends import full_model, open_backend
from gemmalocal.backends.process_group import Group, wait
from gemmalocal.backends.protocol import Backend, Trainer
from gemmalocal.data.batches import BatchShape
from gemmalocal.data.judged_rounds import judged_together
from gemmalocal.data.taught_store import TaughtStore
from gemmalocal.data.token_store import lengths
from gemmalocal.engine import checkpoints, loop, span
from gemmalocal.engine.checkpoints import TrainState
from gemmalocal.engine.pause import PauseControl
from gemmalocal.engine.schedule import learning_rate
from gemmalocal.engine.span import Counted, Span
from gemmalocal.errors import GemmalocalError, OutOfMemory, RecipeError, TrainingDiverged
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Event, Finished, Notice, Report, Stage, Step
from gemmalocal.jobs.plurals import counted, plural
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared import distributed, start_from, teaching, trial_rows
from gemmalocal.pipelines.shared.background import Stopped
from gemmalocal.pipelines.shared.budget import Budget, budget, load_of
from gemmalocal.pipelines.shared.guides import guides
from gemmalocal.pipelines.shared.loading import Prepared, prepare
from gemmalocal.pipelines.shared.samples import Samples
from gemmalocal.pipelines.shared.search_bench import Bench
from gemmalocal.pipelines.shared.searching import search_first
from gemmalocal.pipelines.shared.trial_rows import EXAMPLES
from gemmalocal.planning import macos, model_sizes, throughput
from gemmalocal.recipe import rates, search
from gemmalocal.recipe.schedule_remarks import schedule_remarks
from gemmalocal.recipe.schema import Recipe, TrainSpec
from gemmalocal.workspace import reports, trackings


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """Train, or go on from the newest checkpoint in `directory`; on rank 0 of a group, or as one that follows it."""
    try:
        yield from _run(spec, directory, commands)
    except Stopped:
        yield Finished("stopped", "before training; what the teacher has read so far is kept")


def _run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    recipe = Recipe.model_validate(spec)
    past = history.read(directory)
    before = past.plan
    goes_on = before.get("engine") if recipe.backend == "auto" else None  # the optimizer's state is an engine's own
    backend = open_backend(goes_on or recipe.backend)
    group = backend.group()
    if group.rank:
        recipe = distributed.recipe_of_leader(group, directory)
    prepared = Prepared()
    yield from prepare(recipe, prepared, directory / EXAMPLES)
    rows = yield from trial_rows.weighed(recipe, prepared, directory)
    if group.rank == 0:
        wait(group)  # the others are in `led`
        yield from map(Notice, trackings.start_beside(directory, recipe.track))
    weights = model_sizes.weights_of(prepared.folder)
    as_written, recipe = recipe, rates.resolved(recipe, weights, before.get("learning_rate"))
    work = _planned(prepared, recipe.train, directory / "checkpoints")
    store = yield from teaching.taught(recipe, prepared, work, directory, group, commands)
    timed = span.box(recipe.train, recipe.samples, group)  # from now on
    yield Stage("loading the weights")
    together = judged_together(prepared.train, backend.shapes())
    sized = search.widest(as_written, weights)
    own_budget = budget(sized, prepared.folder, load_of(prepared.train, sized), backend, before, together)
    decided = distributed.agreed_budget(group, own_budget).of(recipe)
    yield Report({"plan": decided.plan | {"learning_rate": recipe.train.learning_rate}})
    new_rate = "" if "learning_rate" in before else rates.sentence(as_written, weights)
    yield from map(Notice, _told(new_rate, decided, backend, group, prepared.folder))
    opened = partial(_opened, backend, prepared.folder, group, decided.shapes)
    wished = distributed.StopWish(list if group.rank else commands)
    bench = Bench(
        as_written, replace(work, spec=decided.recipe.train), opened(decided.recipe), opened,
        distributed.brake(wished, group), directory, timed, weights, prepared, rows,
    )  # fmt: skip
    if past.saved and not checkpoints.existing(work.folder):
        yield Notice("none of the run's checkpoints is left: training begins again")
    yield from map(Notice, _remarks(prepared, work))
    if (chosen := (yield from _begun(bench, decided, store, commands))) is None:
        return
    standing = loop.resume(bench.work, bench.trainer)
    yield from _changed_length(bench.work, standing, past.steps[-1] if past.steps else None)
    length = _span(bench, standing)
    with macos.awake():
        if group.rank:
            yield from loop.train(bench.work, bench.trainer, standing, bench.pause, lambda step: iter(()), length)
        else:
            yield from _lead(decided.of(chosen), prepared, bench, standing, length, wished)


def _opened(backend: Backend, folder: Path, group: Group, shapes: BatchShape, recipe: Recipe) -> Trainer:
    trainer = backend.trainer(folder, recipe, group)
    trainer.shapes = shapes
    return trainer


def _begun(
    bench: Bench, decided: Budget, store: TaughtStore | None, commands: Commands
) -> Generator[Event, None, Recipe | None]:
    """What is done before the first step: the adapter to start from, what guides it, the search.

    The recipe to train by; None where it was stopped before.
    """
    recipe, resumed, prepared = decided.recipe, bool(checkpoints.existing(bench.work.folder)), bench.prepared
    if recipe.start_from is not None and not resumed:
        yield Notice(start_from.load_adapter(bench.trainer, recipe, prepared.folder))
    bench.guide_of = yield from guides(recipe, prepared, bench.work, store, bench.trainer, bench.directory, commands)
    bench.work = replace(bench.work, guide=bench.guide_of(recipe, bench.work))
    if not recipe.search.on or resumed:
        return recipe
    record, decision = yield from search_first(bench)
    if decision.outcome:
        tried = f"{counted(len(record.results), 'trial')} of the search done"
        yield Finished(decision.outcome, f"{tried}{decision.reason and f'; {decision.reason}'}")
        return None
    chosen = yield from bench.settle(record)
    yield Report({"plan": decided.plan | {"learning_rate": chosen.train.learning_rate}})
    return chosen


def _span(bench: Bench, standing: TrainState) -> Span:
    """How long the run is, of which an attempt before may have spent some."""
    if bench.box is None:
        return Counted(bench.work.spec, bench.work.steps or 0)
    if standing.time:
        bench.box.go_on(standing.time)
    bench.box.train_by(bench.work.spec)
    return bench.box


def _lead(
    decided: Budget,
    prepared: Prepared,
    bench: Bench,
    standing: TrainState,
    length: Span,
    wished: Callable[[], bool],
) -> Iterator[Event]:
    """Train, answer the prompts on the way, and deliver the result; once a stop is wished, no prompt is answered."""
    recipe, directory, work, trainer = decided.recipe, bench.directory, bench.work, bench.trainer

    samples = Samples(trainer, prepared, recipe.samples, length, wished)
    if standing.step == 0:
        yield Stage("answering the prompts before training")
        yield from samples.answers(0, "before")
        yield from samples.calls("before training")
    yield Stage("training")
    ending = yield from _delivered(
        steps_within(decided, work, trainer, standing, bench.pause, samples.during, length),
        work.folder,
        lambda checkpoint: deliver(recipe, checkpoint, prepared.folder, directory),
    )
    asks = bool(recipe.samples.prompts) or (prepared.layout.tools and bool(recipe.samples.calls))
    if ending.outcome in ("done", "early") and asks:
        chosen, _ = checkpoints.chosen(work.folder)
        yield Stage("answering the prompts after training")
        trainer.restore(chosen)
        yield from samples.answers(int(chosen.name), "after")
        yield from samples.calls("after training")
    if ending.outcome in ("done", "early") and recipe.train.report:
        yield _begin_report(directory)
    yield ending


def _begin_report(run: Path) -> Notice:
    """Let a process of its own report on the run: it loads the weights while this one lets go of them."""
    try:
        reports.start(run)
    except GemmalocalError as error:
        return Notice(f"no report is made: {error.message}")
    return Notice(f"a report on the run is being made; it will be in {reports.FOLDER}/")


def steps_within(
    decided: Budget,
    work: loop.TrainingRun,
    trainer: Trainer,
    standing: TrainState,
    brake: PauseControl,
    sample: Callable[[int], Iterator[Event]],
    length: Span | None = None,
) -> Iterator[Event]:
    """The loop; where memory runs out and `micro_batch` is auto, again from the last checkpoint, with halved ones.

    Raises `OutOfMemory` the second time, and says what would be smaller.
    """
    longest = int(lengths(work.train).max())
    remedy = f"Set data.max_length to {max(8, min(decided.longest_row, longest // 2))} (now up to {longest})"
    try:
        try:
            yield from loop.train(work, trainer, standing, brake, sample, length)
            return
        except OutOfMemory as error:
            rows = work.spec.micro_batch
            if rows != "auto" or trainer.group.size > 1:  # a group cannot go back for one of its ranks
                remedy += f", or train.micro_batch to {1 if rows == 'auto' else max(1, rows // 2)}"
                raise
            decided = decided.halved()
            yield Notice(f"{error.message} Once more, with at most {decided.shapes.limit} tokens at once")
        trainer.release()
        trainer.shapes = decided.shapes
        yield Report({"plan": decided.plan})
        yield from map(Notice, checkpoints.settle(work.folder)[1])
        yield from loop.train(work, trainer, loop.resume(work, trainer), brake, sample, length)
    except OutOfMemory as error:
        error.hint = f"{remedy}. {error.hint}"
        raise


def deliver(recipe: Recipe, checkpoint: Path, base: Path, directory: Path) -> Path:
    """Put a checkpoint's adapter, or its whole model, where a run's result is looked for."""
    if recipe.method == "full":
        full_model.deliver(checkpoint, base, directory / "model")
        return directory / "model"
    checkpoints.deliver(checkpoint, directory / "adapter")
    return directory / "adapter"


def _changed_length(work: loop.TrainingRun, standing: TrainState, last: Step | None) -> Iterator[Notice]:
    """What it means that a run goes on to another number of steps than it was planned for; `last` is its last step.

    Raises `RecipeError` if it has trained more than that.
    """
    if work.steps is None:
        yield from _changed_time(work.spec, standing)
        return
    if standing.step > work.steps:
        raise RecipeError(
            f"The run has trained {counted(standing.step, 'step')}, and {work.steps} in all were asked for.",
            "Give it more.",
        )
    if last is None or not standing.step or (last.steps == work.steps and not standing.time):
        return
    planned = (
        f"{standing.time['box'] / 60:g} {plural(standing.time['box'] / 60, 'minute')}" if standing.time else last.steps
    )
    sentence = f"it goes on to {counted(work.steps, 'step')} in all, planned were {planned}"
    if work.spec.schedule == "constant":
        yield Notice(f"{sentence}; the learning rate stays what it was")
        return
    rate = learning_rate(work.spec, standing.step + 1, work.steps) * standing.factor
    yield Notice(
        f"{sentence}; the learning rate was {last.learning_rate:.3g}, and now follows a {work.spec.schedule} of "
        f"{counted(work.steps, 'step')}, from {rate:.3g} down: not the same as if that had been planned "
        "from the beginning"
    )


def _changed_time(train: TrainSpec, standing: TrainState) -> Iterator[Notice]:
    """What it means that a run goes on for another time than it was planned for."""
    box, spent = standing.time.get("box"), standing.time.get("spent", 0.0)
    if not standing.step or box == 60 * (train.minutes or 0):
        return
    planned = f"{box / 60:g}" if box else "none"
    yield Notice(
        f"it goes on to {train.minutes:g} {plural(train.minutes or 0, 'minute')} in all, of which "
        f"{throughput.duration(spent)} are spent; planned were {planned}"
    )


def _planned(prepared: Prepared, train: TrainSpec, folder: Path) -> loop.TrainingRun:
    """The run over the rows that were prepared; of those held out, as many as are to be measured.

    A run with a search is measured by what was set aside: no report may have chosen its checkpoint.
    """
    if prepared.searches and prepared.tune is None:
        raise RecipeError(
            "There are too few rows to set some aside for a search.", "Add rows, or set search.trials to 0."
        )
    held_out = prepared.measured.spaced(train.evaluation_rows)
    return loop.TrainingRun(prepared.train, held_out, train, train.steps_over(prepared.train.groups), folder)


def _remarks(prepared: Prepared, run: loop.TrainingRun) -> Iterator[str]:
    """What to know of the rows that are measured, and of the run's length."""
    rows, all_rows = len(run.held_out), len(prepared.measured)
    if prepared.tune is not None:
        yield f"{counted(prepared.tune.groups, 'row')} set aside to choose by: the run is measured with these"
    if not rows:
        yield "no rows are held out: nothing will tell whether the model learns or memorizes"
    elif rows < all_rows:
        yield f"{rows:,} of {counted(all_rows, 'held-out row')} {plural(rows, 'is', 'are')} looked at (evaluation_rows)"
    yield from schedule_remarks(run.spec, prepared.train.groups, prepared.held_out.groups)


def _told(rate: str, decided: Budget, backend: Backend, group: Group, folder: Path) -> Iterator[str]:
    """What to know before the weights of the model in `folder` are loaded; `rate` is what auto means."""
    if rate:
        yield rate
    yield decided.sentence()
    if remark := backend.device_remark():
        yield remark
    if group.size > 1:
        yield f"{group.size} processes share each step"
    towers = model_sizes.towers_left_out(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    if towers:
        yield f"only the text model is loaded and trained: {' and '.join(towers)} stay as they are"


def _delivered(
    events: Iterator[Event], folder: Path, put_result: Callable[[Path], Path]
) -> Generator[Event, None, Finished]:
    """Pass on what training says, and return its last event; the chosen checkpoint is delivered, also at a fall."""
    ending = Finished("done")
    try:
        for event in events:
            if isinstance(event, Finished):
                ending = event
            else:
                yield event
    except TrainingDiverged as error:
        if checkpoints.existing(folder) and (trained := int((best := checkpoints.chosen(folder)[0]).name)):
            result = put_result(best)
            error.hint += f" What it had learned before, at step {trained}, is in {result.name}/."
        raise
    chosen, warning = checkpoints.chosen(folder)
    if warning:
        yield Notice(warning)
    result = put_result(chosen)
    location = f"the {result.name} of step {int(chosen.name)} is in {result.name}/"
    return Finished(ending.outcome, f"{ending.message}; {location}")
