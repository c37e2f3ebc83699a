"""A teacher's reading: planned, done once for each row, kept by content; and what a run learns from it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gemmalocal.backends import open_backend
from gemmalocal.backends.process_group import ALONE, Group, wait
from gemmalocal.backends.protocol import Generator as Model
from gemmalocal.data.examples import Example
from gemmalocal.data.shown import between, shown
from gemmalocal.data.taught_store import Shard, TaughtStore, described, row_key, shards
from gemmalocal.data.token_store import Examples
from gemmalocal.engine.distillation import Distillation, Lessons, Settings
from gemmalocal.engine.loop import TrainingRun
from gemmalocal.engine.shares import ROWS, predicted
from gemmalocal.errors import GemmalocalError, RecipeError
from gemmalocal.files import atomic, paths
from gemmalocal.files.sizes import size
from gemmalocal.jobs.events import Event, Notice, Report, Stage
from gemmalocal.jobs.plurals import counted
from gemmalocal.pipelines import Commands, stop_asked
from gemmalocal.pipelines.shared.background import Stopped, in_background
from gemmalocal.pipelines.shared.judging import used
from gemmalocal.pipelines.shared.loading import Prepared, vocabulary_size
from gemmalocal.pipelines.shared.report_measure import TimedProgress
from gemmalocal.pipelines.shared.teachers import Teacher, find
from gemmalocal.planning import model_sizes, scoring_plan
from gemmalocal.planning.scoring_plan import BATCH, ScoringPlan
from gemmalocal.recipe.schema import Recipe
from gemmalocal.recipe.teacher import SELF

LINK = "teacher.json"  # in a run: where what its teacher said lies
READING = "rows read by the teacher"


def taught(
    recipe: Recipe, prepared: Prepared, work: TrainingRun, directory: Path, group: Group, commands: Commands
) -> Generator[Event, None, TaughtStore | None]:
    """What the teacher says of all rows that a run trains on and measures; asked where it is not known.

    None without a teacher. A run that goes on takes what it began with. Raises `Stopped`.
    """
    if recipe.teacher.model is None:
        return None
    if recipe.teacher.rounds and group.size > 1:
        raise RecipeError("Rounds of own answers are of one process.", "Start it alone, or set teacher.rounds to 0.")
    rows = list(map(reads_of(recipe, prepared), _rows(work, recipe)))
    known = linked(directory)
    if known is not None and all(row_key(row) in known for row in rows):
        return known
    teacher = yield from teacher_of(recipe, prepared)
    store = yield from read(teacher, recipe, rows, group, commands if group.size == 1 else list)
    if group.rank == 0:
        atomic.write_text(directory / LINK, json.dumps({"folder": store.folder.name, "keep": teacher.keep}))
    return store


def guide(recipe: Recipe, work: TrainingRun, store: TaughtStore, prepared: Prepared) -> Distillation:
    """The objective of a run over what its teacher said."""
    assert isinstance(work.train, Examples)
    train = Lessons.of(work.train, store, reads_of(recipe, prepared))
    held_out, measured = measured_by(recipe, work, store, prepared)
    return Distillation(settings_of(recipe, store, prepared), train, measured, held_out, recipe.train.rows_at_once)


def measured_by(recipe: Recipe, work: TrainingRun, store: TaughtStore, prepared: Prepared) -> tuple[Examples, Lessons]:
    """What a run measures, and what its teacher said of it."""
    assert isinstance(work.train, Examples)
    assert isinstance(work.held_out, Examples)
    held_out = work.held_out or work.train[:ROWS]
    return held_out, Lessons.of(held_out, store, reads_of(recipe, prepared))


def settings_of(recipe: Recipe, store: TaughtStore, prepared: Prepared) -> Settings:
    """What decides the objective."""
    objective, vocabulary = recipe.objective, vocabulary_size(prepared.folder)
    whole = vocabulary is not None and store.keep >= vocabulary
    return Settings(objective.beta or 0.0, objective.mix or 0.0, whole, recipe.teacher.temperature != 1)


def reads_of(recipe: Recipe, prepared: Prepared) -> Callable[[Example], Example]:
    """How a recipe's teacher reads a row: as it is, or shown it before."""
    if recipe.teacher.model != SELF:
        return lambda row: row
    tokenizer = prepared.tokenizer
    assert tokenizer is not None
    after = between(prepared.layout, tokenizer)
    return lambda row: shown(row, after, tokenizer)


def _rows(work: TrainingRun, recipe: Recipe) -> list[Example]:
    """What a run trains on and measures, each stored row once."""
    assert isinstance(work.train, Examples)
    assert isinstance(work.held_out, Examples)
    measured = list(work.held_out or work.train[:ROWS])
    if recipe.teacher.rounds:  # the student's own answers are read when they are there
        return measured
    places = used(recipe, work.train, work.steps)
    _, first = np.unique(work.train.indices[places], return_index=True)
    return [work.train[int(place)] for place in places[first]] + measured


def linked(run: Path) -> TaughtStore | None:
    """What the teacher of a run said, of which rows may be gone; None if that is not known."""
    try:
        link = json.loads((run / LINK).read_text(encoding="utf-8"))
        return TaughtStore(paths.teachers() / str(link["folder"]), int(link["keep"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def expected(recipe: Recipe, prepared: Prepared) -> Generator[Event, None, dict[str, Any]]:
    """What the teacher's reading will take, for `check`: weights are not loaded, nor fetched."""
    teacher = yield from teacher_of(recipe, prepared, weights=False)
    rows = list(map(reads_of(recipe, prepared), [*prepared.train, *prepared.measured]))
    store = TaughtStore(paths.teachers() / teacher.identity, teacher.keep)
    unread = {key: row for row in rows if (key := row_key(row)) not in store}
    return _told(teacher, planned(teacher, recipe, list(unread.values())))


def _told(teacher: Teacher, plan: ScoringPlan) -> dict[str, Any]:
    return {"teacher": teacher.name, **asdict(plan), "sentence": plan.sentence(teacher.name)}


def teacher_of(recipe: Recipe, prepared: Prepared, weights: bool = True) -> Generator[Event, None, Teacher]:
    """The teacher of a recipe, whose rows were prepared; without `weights` they need not be here."""
    yield Stage("finding the teacher")
    tokenizer = prepared.tokenizer
    assert tokenizer is not None
    return (yield from in_background(lambda tell: find(recipe, prepared.folder, tokenizer, tell, weights)))


def read(
    teacher: Teacher, recipe: Recipe, rows: Sequence[Example], group: Group = ALONE, commands: Commands = list
) -> Generator[Event, None, TaughtStore]:
    """Let a teacher read what it has not read yet, a share on each process; planned first. Raises `Stopped`."""
    folder = paths.teachers() / teacher.identity
    folder.mkdir(parents=True, exist_ok=True)
    store = TaughtStore(folder, teacher.keep)
    if store.damage:
        yield Notice(f"damaged of what the teacher said: {counted(len(store.damage), 'part')}, which is read again")
    unread = [left for shard in shards(rows, [row_key(row) for row in rows]) if (left := store.missing(shard)).places]
    wait(group)  # all have seen the same
    if not unread:
        yield Notice(f"what {teacher.name} says of the rows is known already")
        return store
    plan = planned(teacher, recipe, [rows[place] for shard in unread for place in shard.places])
    yield Report({"scoring": _told(teacher, plan)})
    yield Notice(plan.sentence(teacher.name))
    if plan.disk >= plan.free:
        raise GemmalocalError(
            f"What the teacher says takes {size(plan.disk)}, and {size(plan.free)} are free.",
            "Free some of the disk, or set teacher.keep or data.rows lower.",
        )
    yield Stage("the teacher reads the rows")
    if own := unread[group.rank :: group.size]:
        yield from _read(teacher, rows, own, store, commands)
    wait(group)
    store.refresh()
    return store


def summary(teacher: Teacher, store: TaughtStore, rows: Sequence[Example]) -> dict[str, Any]:
    """What is known now, for a person: rows and tokens, bytes, and how sure and how right the teacher is of them."""
    tokens, sure, right = 0, 0.0, 0
    for row in rows:
        said = store[row_key(row)]
        tokens += len(said)
        sure += float(np.exp(said["logp"][:, 0].astype(np.float64)).sum())
        right += int((said["ids"][:, 0] == row.ids[1:][row.weights[1:] > 0]).sum())
    size = sum(file.stat().st_size for file in store.folder.iterdir())
    return {
        "teacher": teacher.name,
        "rows": len(rows),
        "tokens": tokens,
        "bytes": size,
        "sure": sure / tokens,
        "right": right / tokens,
        "folder": str(store.folder),
    }


def planned(teacher: Teacher, recipe: Recipe, rows: Sequence[Example]) -> ScoringPlan:
    """What reading these rows takes."""
    backend = open_backend(teacher.weights.engine)
    config = json.loads((teacher.weights.folder / "config.json").read_text(encoding="utf-8"))
    sizes = model_sizes.from_config(config)
    dtype, bits = teacher.weights.dtype, teacher.weights.bits or (config.get("quantization") or {}).get("bits")
    width, stream = backend.weight_bytes(dtype), backend.activation_bytes(dtype)
    tokens, supervised = sum(len(row.ids) for row in rows), sum(predicted(row) for row in rows)
    place = next(place for place in (paths.teachers(), *paths.teachers().parents) if place.exists())
    return ScoringPlan(
        rows=len(rows),
        tokens=tokens,
        supervised=supervised,
        disk=supervised * recipe.teacher.token_bytes,
        free=shutil.disk_usage(place).free,
        memory=scoring_plan.peak(sizes, recipe, width, stream, bits, backend.memory_profile()),
        usable=backend.device_memory().usable,
        seconds=scoring_plan.seconds(backend.name, scoring_plan.operations(sizes, tokens, supervised)),
    )


def _read(
    teacher: Teacher, rows: Sequence[Example], unread: Sequence[Shard], store: TaughtStore, commands: Commands
) -> Iterator[Event]:
    """Load a teacher, let it read shard by shard, and give its memory back."""
    weights = teacher.weights
    adapters = [teacher.adapter] if teacher.adapter else []
    model = open_backend(weights.engine).generator(weights.folder, adapters, weights.dtype, weights.bits)
    start = time.monotonic()
    try:
        progress = TimedProgress(READING, sum(len(shard.places) for shard in unread), 0)
        for shard in unread:
            _read_shard(model, teacher, [rows[place] for place in shard.places], shard, store)
            yield progress.more(len(shard.places))
            if stop_asked(commands):
                raise Stopped
    finally:
        model.close()
        _describe(teacher, [rows[place] for shard in unread for place in shard.places], store, time.monotonic() - start)


def _read_shard(model: Model, teacher: Teacher, rows: Sequence[Example], shard: Shard, store: TaughtStore) -> None:
    said = [
        model.likeliest(batch, 1 if teacher.adapter else 0, teacher.keep, teacher.temperature, teacher.vocabulary)
        for batch in _batches(rows)
    ]
    ids, logp, rest = (np.concatenate(parts) for parts in zip(*said, strict=True))
    store.add(shard, [predicted(row) for row in rows], ids, logp, rest.astype(np.float64))


def _batches(rows: Sequence[Example]) -> Iterator[Sequence[Example]]:
    """Rows in ascending length, as many at once as `BATCH` allows once all are as long as the last."""
    start = 0
    for end in range(1, len(rows) + 1):
        if end == len(rows) or (end + 1 - start) * len(rows[end].ids) > BATCH:
            yield rows[start:end]
            start = end


def _describe(teacher: Teacher, rows: Sequence[Example], store: TaughtStore, seconds: float) -> None:
    """Keep whose words these are, and the pace, where all was read."""
    if any(row_key(row) not in store for row in rows):
        return
    config = json.loads((teacher.weights.folder / "config.json").read_text(encoding="utf-8"))
    tokens, supervised = sum(len(row.ids) for row in rows), sum(predicted(row) for row in rows)
    about: dict[str, Any] = {
        **described(store.folder),
        "teacher": teacher.name,
        "model": Path(teacher.base).name,
        "keep": teacher.keep,
        "temperature": teacher.temperature,
        "engine": teacher.weights.engine,
        "operations": scoring_plan.operations(model_sizes.from_config(config), tokens, supervised),
        "seconds": round(seconds, 3),
        "at": round(time.time(), 3),
    }
    store.describe(about)
