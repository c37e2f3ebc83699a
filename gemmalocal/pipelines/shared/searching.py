"""The search before a run: short runs over one copy of the weights, by halves, until one setting is left."""

from __future__ import annotations

import gc
import json
import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

from gemmalocal.backends.protocol import Trainer
from gemmalocal.data.examples import Example
from gemmalocal.data.token_store import Examples
from gemmalocal.engine import divergence, halving, loop, shares
from gemmalocal.engine.checkpoints import TrainState
from gemmalocal.engine.pause import PauseControl, PauseDecision
from gemmalocal.engine.span import Counted, Timed
from gemmalocal.errors import OutOfMemory
from gemmalocal.files import atomic
from gemmalocal.jobs.events import Event, Notice, Report, Stage, Step, Trial, Tried
from gemmalocal.jobs.plurals import counted
from gemmalocal.pipelines.shared import search_record, start_from
from gemmalocal.pipelines.shared.search_record import Result, SearchRecord
from gemmalocal.recipe import rates, recipe_file, search, search_spec
from gemmalocal.recipe.schema import Recipe

SHORTEST = 4  # steps of a trial, below which nothing is tried in a box of time
PROBE_SHARE = 0.03  # of the box
PROBE = 6  # steps that tell the pace; the first also compiles
OVER = 0.25  # of the box: how much more than its share a search may take on a machine that has become slower
FOLDER = "search"  # in a run's folder: fresh adapters to begin each trial with


@dataclass
class Bench:
    """What trials are made with: `open_trainer` gives a fresh adapter by a recipe over weights that it loads."""

    recipe: Recipe  # as it is written
    work: loop.TrainingRun  # over rows that are set aside in the place of held-out ones
    trainer: Trainer
    open_trainer: Callable[[Recipe], Trainer]
    pause: PauseControl
    directory: Path
    box: Timed | None
    weights: float | None
    base: Path  # the folder of the model
    opened: tuple[tuple[str, str], ...] = ()  # what the trainer at hand has other than the recipe

    def fresh(self, values: search.Values) -> Iterator[Stage]:
        """Begin with an untrained adapter for a trial: the weights stay, unless it lies at other places of them."""
        wanted = trainer_settings(values)
        folder = self.directory / FOLDER / f"fresh-{hash_of(wanted)}"
        if wanted != self.opened:
            recipe = self.recipe_of(values)
            if not self.trainer.renew(recipe):
                yield Stage("loading the weights")
                del self.trainer
                gc.collect()
                self.trainer = self.open_trainer(recipe)
            if recipe.start_from is not None:
                start_from.load_adapter(self.trainer, recipe, self.base)
            self.opened = wanted
        if folder.is_dir():
            self.trainer.restore(folder)
        else:
            with atomic.new_folder(folder) as aside:
                self.trainer.save(aside)

    def recipe_of(self, values: search.Values) -> Recipe:
        """The recipe with a trial's values, its rate a number."""
        recipe = rates.resolved(search.applied(self.recipe, values), self.weights)
        train = recipe.train.model_copy(update={"checkpointing": self.work.spec.checkpointing})  # as was decided
        return recipe.model_copy(update={"train": train})

    def settle(self, record: SearchRecord) -> Generator[Event, None, Recipe]:
        """Begin anew by what was chosen, which is what the run is from now on; gives its recipe."""
        values = {} if record.winner is None else record.trials[record.winner]
        yield from self.fresh(values)
        atomic.remove(self.directory / FOLDER)
        put(search.applied(self.recipe, values), self.directory)
        recipe = self.recipe_of(values)
        self.work = replace(self.work, spec=recipe.train)
        return recipe

    def measure(self) -> tuple[float, list[float], list[int]]:
        """Of the rows that are set aside: the mean loss; the loss and the supervised tokens of each, if known."""
        if self.work.guide is not None:
            return loop.measured(self.work, self.trainer)[0], [], []
        rows = self.work.held_out
        nats = -shares.log_probabilities(rows, self.work.spec.rows_at_once, self.trainer)
        tokens = [shares.predicted(example) for example in rows]
        return float(nats.sum()) / sum(tokens), [round(float(value), 4) for value in nats], tokens


def trainer_settings(values: search.Values) -> tuple[tuple[str, str], ...]:
    """What of a trial's values a trainer of its own is needed for."""
    return tuple((key, json.dumps(value)) for key, value in values.items() if key in search_spec.TRAINER_KEYS)


def hash_of(wanted: tuple[tuple[str, str], ...]) -> int:
    """A number for a trainer's settings, the same in each process; 0 for the recipe's own."""
    return crc32(json.dumps(wanted).encode()) if wanted else 0


def search_first(bench: Bench) -> Generator[Event, None, tuple[SearchRecord, PauseDecision]]:
    """Try what the recipe says, from where an attempt before has come to; gives what came of it.

    The decision is whether it was stopped.
    """
    record = search_record.read(bench.directory)
    if bench.box:
        bench.box.go_on({"spent": record.spent})
    if not (record.rungs or record.cut):
        yield from _planned(bench, record)
    for number, rung in enumerate(record.rungs):
        contestants = record.contestants(number)
        ordered = sorted(contestants, key=lambda trial: trainer_settings(record.trials[trial]))  # few loads
        for trial in [trial for trial in ordered if trial not in record.losses(number)]:
            record.cut = bool(record.losses(0)) and _late(bench)
            if record.cut:
                break
            decision = yield from _tried(bench, record, number, trial, rung.steps)
            if decision.outcome:
                return record, decision
    record.save(bench.directory)
    if record.cut and record.results:
        yield Notice("the search ends before its plan: this machine has become slower, and the time is for the run")
    if not record.results:
        return record, PauseDecision("")
    yield Report({"search": {"sentence": record.sentence(), "table": list(record.rows())}})
    yield Notice(record.sentence())
    return record, PauseDecision("")


def _late(bench: Bench) -> bool:
    return bench.box is not None and bench.box.share > bench.recipe.search.share + OVER


def _planned(bench: Bench, record: SearchRecord) -> Iterator[Event]:
    """Decide what is tried, and for how long: in a box of time by the pace of some steps, which count for nothing."""
    yield Stage("planning the search")
    record.trials = search.candidates(bench.recipe, bench.weights)
    yield from bench.fresh({})
    begun = time.monotonic()
    record.start, _, record.tokens = bench.measure()
    measuring, share, count = time.monotonic() - begun, bench.recipe.search.share, len(record.trials)
    minutes = bench.recipe.train.minutes
    if minutes is None:
        steps = int(share * (bench.work.steps or 0))
    else:
        steps = int((60 * minutes * share - 2 * count * measuring) / _pace(bench, 60 * minutes))
    if minutes is not None and steps < count * SHORTEST:
        record.trials, record.cut = [], True
        yield Notice(f"{minutes:g} min are too short to try anything: the recipe is trained as it is")
    else:
        record.rungs = halving.rungs(count, max(count, steps))
        yield from _announced(bench, record, steps)
    record.save(bench.directory)


def _announced(bench: Bench, record: SearchRecord, steps: int) -> Iterator[Notice]:
    """Say what is planned; shares of the rows all train alike."""
    count = len(record.trials)
    if record.is_curve:
        record.rungs = [halving.Rung(count, max(1, steps // count))]
        seen = record.rungs[0].steps * bench.recipe.train.rows_per_step
        if seen < (rows := _groups(bench.work.train)):
            yield Notice(f"a trial sees {seen} of {counted(rows, 'row')}: with more time it would tell more")
    lengths = ", then ".join(f"{rung.trials} for {counted(rung.steps, 'step')}" for rung in record.rungs)
    yield Notice(f"{counted(count, 'trial')} first: {lengths}")


def _groups(examples: Sequence[Example]) -> int:
    return examples.groups if isinstance(examples, Examples) else len(examples)


def _pace(bench: Bench, box: float) -> float:
    """Seconds of a step, by a few; by fewer where they take long in a box of so many seconds."""
    seconds = list[float]()
    span, state = Counted(bench.work.spec, PROBE), TrainState()
    for state.step in range(1, PROBE + 1):
        begun = time.monotonic()
        loop.step(bench.work, bench.trainer, state, span)
        seconds.append(time.monotonic() - begun)
        if len(seconds) > 1 and sum(seconds) > PROBE_SHARE * box:
            break
    return sum(seconds[1:]) / len(seconds[1:])


def _tried(
    bench: Bench, record: SearchRecord, rung: int, trial: int, steps: int
) -> Generator[Event, None, PauseDecision]:
    """One trial to its end, which is written; a stop leaves it as if it had not begun."""
    values = record.trials[trial]
    words, begun = search.words(values), time.monotonic()
    yield from bench.fresh(values)
    yield Stage(f"searching: {words}")
    rows = bench.work.train
    if isinstance(rows, Examples) and search.ROWS in values:
        rows = rows.spaced(max(1, round(values[search.ROWS] * rows.groups)))
    work = replace(bench.work, train=rows, spec=bench.recipe_of(values).train, steps=steps)
    loss, nats = math.inf, list[float]()
    decision, diverged = yield from _steps(bench, work, record.start, Trial(rung, trial, words, 0, steps, 0.0))
    if decision.outcome:
        return decision
    if not diverged:
        loss, nats, _ = bench.measure()
        loss = loss if loss <= divergence.ceiling(record.start) else math.inf
    record.results.append(Result(rung, trial, loss, nats, round(time.monotonic() - begun, 2)))
    record.spent = bench.box.record()["spent"] if bench.box else 0.0
    record.save(bench.directory)
    yield Tried(rung, trial, words, steps, loss if math.isfinite(loss) else None)
    return decision


def _steps(
    bench: Bench, work: loop.TrainingRun, start: float, told: Trial
) -> Generator[Event, None, tuple[PauseDecision, bool]]:
    """The steps of a trial: whether it was stopped, and whether it diverged, by the rules of `divergence`."""
    span, state = Counted(work.spec, told.steps), TrainState(start=start)
    for state.step in range(1, told.steps + 1):
        try:
            event, problem = loop.step(work, bench.trainer, state, span)
        except OutOfMemory as error:
            error.hint = f"While {told.words} was tried. {error.hint}"
            raise
        if isinstance(event, Step):
            yield replace(told, step=state.step, loss=event.loss)
        state.bad = state.bad + 1 if problem else 0
        if state.bad == divergence.PATIENCE:
            return PauseDecision(""), True
        with bench.box.pause() if bench.box else span.pause():
            decision = yield from bench.pause(bench.trainer.release)
        if decision.outcome:
            return decision, False
    return PauseDecision(""), bool(state.bad)


def put(recipe: Recipe, directory: Path) -> None:
    """Make a recipe that of the run in `directory`, from now on."""
    spec = recipe.model_dump(mode="json")
    atomic.write_text(directory / "job.json", json.dumps({"kind": "train", "spec": spec}, indent=2))
    if (directory / "recipe.yaml").exists():
        atomic.write_text(directory / "recipe.yaml", recipe_file.dump(recipe))
