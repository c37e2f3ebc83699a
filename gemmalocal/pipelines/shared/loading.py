"""What training and checking share: a recipe's model folder, tokenizer and rows, told as events."""

from __future__ import annotations

import json
import shutil
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gemmalocal.data import layout, sources, token_store, token_writer
from gemmalocal.data.dataset import Records
from gemmalocal.data.examples import REPLIES, Example, RecordExamples, Supervision, to_examples
from gemmalocal.data.findings import LEFT_OUT, Findings
from gemmalocal.data.layout import Layout, Mixed, Tally
from gemmalocal.data.token_store import Examples
from gemmalocal.data.tokenizer import Tokenizer, broken
from gemmalocal.errors import DatasetError, GemmalocalError
from gemmalocal.files import atomic, hashes
from gemmalocal.jobs.events import Event, Notice, Progress, Stage
from gemmalocal.jobs.plurals import counted
from gemmalocal.pipelines.shared.background import in_background
from gemmalocal.recipe.data_spec import DataSpec
from gemmalocal.recipe.objective import ObjectiveSpec
from gemmalocal.recipe.schema import Recipe
from gemmalocal.records import Record, RowKind
from gemmalocal.weights.locate import locate


@dataclass
class Prepared:
    """Filled by `prepare`, one field after the other."""

    folder: Path = Path()
    tokenizer: Tokenizer | None = None
    findings: Findings = field(default_factory=Findings)
    use: RowKind = ""  # what the rows are for: to be imitated, compared, or rated
    supervision: Supervision = REPLIES  # what of them is learned
    contrast: bool = False  # whether both good and bad ones must be there to train on
    records: Records | None = None  # None where the store was there already
    split: int = 0  # rows that became several examples
    searches: bool = False  # whether rows are set aside to choose settings by
    train: Examples = field(init=False)
    held_out: Examples = field(init=False)
    tune: Examples | None = None  # those that were set aside
    layout: Layout = field(init=False)
    remark: str = ""  # on rows that are not laid out alike

    @property
    def measured(self) -> Examples:
        """The rows that a run looks at on its way: with a search those that were set aside to choose by."""
        return self.held_out if self.tune is None else self.tune


RecordCheck = Callable[[Record, RecordExamples], None]
TUNE = "tune"  # of what a store knows: the rows that are set aside
FILES = 10_000  # of a folder of rows that are looked at
Looker = Callable[[bool], RecordCheck]  # begins anew; whether single exchanges are put in turns


def prepare(
    recipe: Recipe,
    into: Prepared,
    store: Path,
    weights: bool = True,
    look: Looker | None = None,
    use: RowKind | None = None,
) -> Iterator[Event]:
    """Find the model, read the rows, store examples in the folder `store`; raises the errors of each.

    A store that is there is used as it is: a run goes on with the rows it began with. What `look` gives sees each
    record, and is asked for again where the reading begins again. A tokenizer that is there is used too. `use` is what
    the rows are read for, where it is not the recipe's objective.
    """
    into.use = row_use(recipe.objective) if use is None else use
    into.supervision = Supervision(recipe.data.train_on, recipe.train.prompt_weight)
    into.contrast = recipe.objective.kind == "kto"
    into.searches = recipe.search.on
    if into.tokenizer is None:
        if not token_store.exists(store):  # before a model is fetched in vain
            for source in recipe.data.sources:
                sources.check_there(source.path)
        yield Stage("finding the model")
        into.folder = yield from in_background(lambda tell: locate(recipe.model, tell, weights))
        into.tokenizer = layout.tokenizer(into.folder, recipe.data, store)
    vocabulary = vocabulary_size(into.folder)
    if not token_store.exists(store):
        if (store.parent / "checkpoints").is_dir():
            yield Notice("the run's examples are gone: they are made again from the rows as these are now")
        yield Stage("reading the rows")
        yield from _store_rows(recipe.data, into, into.tokenizer, store, look, vocabulary)
    else:
        if damage := token_store.damage(store):
            yield from _rebuild(recipe.data, into, into.tokenizer, store, damage)
        token_store.check_ids(store, vocabulary)
        yield from _changed_since(recipe.data, store)
    into.train, into.held_out, known = token_store.load(store)
    if tune := known.get(TUNE):
        into.tune = into.train.stored_at(np.array(tune, np.int64))
    into.layout = layout.remembered(store, recipe.data, into.tokenizer)
    max_positions = positions(into.folder) or 2**62
    if beyond := int((into.train.lengths > max_positions).sum() + (into.held_out.lengths > max_positions).sum()):
        subject = counted(beyond, "row is", "rows are")
        yield Notice(f"{subject} longer than the {max_positions} positions that the model was made to read")
    cut = into.train.cut + into.held_out.cut
    if cut:
        yield Notice(f"{counted(cut, 'row')} cut at {recipe.data.max_length} tokens")


def row_use(objective: ObjectiveSpec) -> RowKind:
    """What rows are for by an objective: to be imitated, compared in pairs, or taken with their labels."""
    return "pairs" if objective.paired else "rated" if objective.kind == "kto" else ""


def _changed_since(data: DataSpec, store: Path) -> Iterator[Notice]:
    """Rows that were written to after a store was made of them are not trained on by the run that it belongs to."""
    made_at = (store / token_store.ABOUT).stat().st_mtime
    for source in data.sources:
        path = Path(source.path)
        files = [path] if path.is_file() else sorted(path.glob("*"))[:FILES] if path.is_dir() else []
        if any(file.is_file() and file.stat().st_mtime > made_at for file in files):
            yield Notice(
                f"{path.name} was changed after this run read it: the run keeps the rows that it began with. To train "
                f"on the new ones, begin another run with start_from: {store.parent.name}"
            )


def vocabulary_size(folder: Path) -> int | None:
    """How many ids a model knows; None where its configuration does not say."""
    return _size(folder, "vocab_size")


def positions(folder: Path) -> int | None:
    """How many tokens of a row a model was made to read (its positions); None where its config.json does not say."""
    return _size(folder, "max_position_embeddings")


def _size(folder: Path, name: str) -> int | None:
    """A whole number of a model's configuration."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        size = (config.get("text_config") or config).get(name, config.get(name))
    except (OSError, ValueError, AttributeError):
        return None
    return size if isinstance(size, int) else None


def _rebuild(
    data: DataSpec, prepared: Prepared, tokenizer: Tokenizer, store: Path, damage: dict[str, str]
) -> Iterator[Event]:
    """Make what is damaged of a store again, if its rows still give what it held; raises `DatasetError`."""
    yield Notice(f"the run's examples are damaged: {hashes.describe(damage)}")
    if set(damage) == {token_store.SOURCES}:  # nothing that is trained
        return
    rebuilt = store.with_name(f"{store.name}-again")
    shutil.rmtree(rebuilt, ignore_errors=True)
    yield Stage("reading the rows again")
    afresh = Prepared(
        tokenizer=tokenizer, use=prepared.use, supervision=prepared.supervision, searches=prepared.searches
    )
    try:
        for event in _store_rows(data, afresh, tokenizer, rebuilt, None, None):
            if not isinstance(event, Notice):
                yield event
    except DatasetError as error:
        raise token_store.damaged_store(damage, f" They cannot be made again: {error.message}") from error
    if not token_store.is_same_store(rebuilt, store, damage):
        atomic.remove(rebuilt)
        raise token_store.damaged_store(
            damage, f" They cannot be made again: the rows of {data.name} have changed since."
        )
    token_store.restore(store, rebuilt, damage)
    yield Notice("they were made again from the rows, which have not changed")


def _store_rows(
    data: DataSpec, into: Prepared, tokenizer: Tokenizer, store: Path, look: Looker | None, vocabulary: int | None
) -> Iterator[Event]:
    """Rows to examples on disk; from the first again where single exchanges turn out to be beside conversations."""
    for turns in (False, True):
        into.findings, into.split = Findings(), 0
        into.records = Records(data, into.findings, use=into.use)
        tally = Tally(tokenizer, turns)
        check = look(turns or tokenizer.has_template) if look else None
        try:
            yield from _write_examples(data, into, into.records, tokenizer, store, tally, check, vocabulary)
        except Mixed:
            continue
        return


def _write_examples(
    data: DataSpec,
    into: Prepared,
    records: Records,
    tokenizer: Tokenizer,
    store: Path,
    tally: Tally,
    check: RecordCheck | None,
    vocabulary: int | None,
) -> Iterator[Event]:
    """Rows to examples on disk, one at a time; raises `Mixed`."""
    examples = array("i")  # of each record
    told_percent = 0
    with token_writer.writing(store) as writer:
        laid_out = to_examples(records, tokenizer, data.max_length, data.long_rows, tally.turns, into.supervision)
        for record, from_record in laid_out:
            tally.add(record)
            if check is not None:
                check(record, from_record)
            usable = [example for example in from_record if isinstance(example, Example)]
            for example in from_record:
                if isinstance(example, Example):
                    writer.add(example)
                else:
                    into.findings.reject(example)
            examples.append(len(usable))
            into.split += len(from_record) > 1 and not record.rejected
            if (percent := 100 * records.done // max(1, records.total)) > told_percent:
                told_percent = percent
                yield Progress("reading the rows", records.done, records.total)
        counts = np.array(examples)
        held_out_records = records.held_out(counts > 0)
        held_out, times = np.repeat(held_out_records, counts), np.repeat(records.times(), counts)
        yield from map(Notice, _notices(records, into, data))
        tune = np.repeat(records.set_aside(held_out_records, counts > 0) & into.searches, counts)
        times[tune] = 0
        if (held_out | (times == 0)).all():
            raise _none_left(into.findings, tokenizer)
        if into.contrast:
            _check_labels(writer.labels[~held_out & (times > 0)])
        into.remark = tally.notice or ""
        if into.remark:
            yield Notice(into.remark)
        layout_record = layout.about(tally.layout, tokenizer.template, into.use)
        layout_record |= {TUNE: np.flatnonzero(tune).tolist()} if into.searches else {}
        writer.close(held_out, layout_record, vocabulary, times if (times != 1).any() else None)


def _check_labels(labels: NDArray[np.int8]) -> None:
    """Raise `DatasetError` unless rows to train on, with `labels` (rows,) int8, are good and bad."""
    if len(np.unique(labels)) < 2:
        rated, other = ("good", "bad") if labels.all() else ("bad", "good")
        raise DatasetError(
            f"All {counted(len(labels), 'row')} to train on are rated {rated}: kto learns what makes them differ.",
            f"Add some that are rated {other}, or imitate the good ones: objective.kind=sft.",
        )


def _none_left(findings: Findings, tokenizer: Tokenizer) -> GemmalocalError:
    """Why no row is left, and what would help: the template's fault is none of the rows'."""
    if tokenizer.fault:
        return broken(tokenizer.fault)
    long = any("tokens" in kind.kind + kind.detail for kind in findings.of(LEFT_OUT))
    return DatasetError(
        "No row is left to train on.",
        "Raise data.max_length, or correct the rows."
        if long
        else "Correct the rows, or take another template: data.chat_template.",
    )


def _notices(records: Records, into: Prepared, data: DataSpec) -> Iterator[str]:
    yield from records.notes()
    if into.split:
        yield f"{counted(into.split, 'row')} of more than {data.max_length} tokens split"
    yield from into.findings.notices()
