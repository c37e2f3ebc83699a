"""The search before a run: short runs over one copy of the weights, by halves, until one setting is left."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

from gemmalocal.backends.process_group import wait
from gemmalocal.data.examples import Example
from gemmalocal.data.token_store import Examples
from gemmalocal.engine import divergence, halving, loop
from gemmalocal.engine.checkpoints import TrainState
from gemmalocal.engine.pause import PauseDecision
from gemmalocal.engine.span import Counted
from gemmalocal.errors import OutOfMemory
from gemmalocal.jobs.events import Event, Notice, Report, Stage, Step, Trial, Tried
from gemmalocal.jobs.plurals import counted
from gemmalocal.pipelines.shared import search_record
from gemmalocal.pipelines.shared.search_bench import Bench, trainer_settings
from gemmalocal.pipelines.shared.search_record import Result, SearchRecord
from gemmalocal.recipe import search

SHORTEST = 4  # steps of a trial, below which nothing is tried in a box of time
PROBE_SHARE = 0.03  # of the box
PROBE = 6  # steps that tell the pace; the first also compiles
OVER = 0.25  # of the box: how much more than its share a search may take on a machine that has become slower


def search_first(bench: Bench) -> Generator[Event, None, tuple[SearchRecord, PauseDecision]]:
    """Try what the recipe says, from where an attempt before has come to; gives what came of it.

    The decision is whether it was stopped.
    """
    record = search_record.read(bench.directory)
    record.judges = bench.judges
    wait(bench.trainer.group)  # all have read the same
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
    _save(bench, record)
    if record.cut and record.results:
        yield Notice("the search ends before its plan: this machine has become slower, and the time is for the run")
    if not record.results:
        return record, PauseDecision("")
    yield Report({"search": {"sentence": record.sentence(), "table": list(record.rows())}})
    yield Notice(record.sentence())
    return record, PauseDecision("")


def _save(bench: Bench, record: SearchRecord) -> None:
    if bench.leads:
        record.save(bench.directory)


def _late(bench: Bench) -> bool:
    return bench.box is not None and bench.agreed(bench.box.share) > bench.recipe.search.share + OVER


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
        pace = _pace(bench, 60 * minutes)
        steps = int(bench.agreed((60 * minutes * share - 2 * count * measuring) / pace))
    if minutes is not None and steps < count * SHORTEST:
        record.trials, record.cut = [], True
        yield Notice(f"{minutes:g} min are too short to try anything: the recipe is trained as it is")
    else:
        record.rungs = halving.rungs(count, max(count, steps))
        yield from _announced(bench, record, steps)
    _save(bench, record)


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
        if len(seconds) > 1 and bench.agreed(sum(seconds)) > PROBE_SHARE * box:
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
    work, loss, nats = bench.work_of(values, steps), math.inf, list[float]()
    start = bench.start_of(work, record.start)
    decision, diverged = yield from _steps(bench, work, start, Trial(rung, trial, words, 0, steps, 0.0))
    if decision.outcome:
        return decision
    if not diverged:
        loss, nats, _ = bench.measure()
        loss = loss if loss <= divergence.ceiling(record.start) else math.inf
    record.results.append(Result(rung, trial, loss, nats, round(time.monotonic() - begun, 2)))
    record.spent = bench.agreed(bench.box.record()["spent"]) if bench.box else 0.0
    _save(bench, record)
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
