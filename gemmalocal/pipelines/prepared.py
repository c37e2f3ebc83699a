"""What training and checking share: a recipe's model folder, tokenizer and rows, told as events."""

from __future__ import annotations

import json
import shutil
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gemmalocal import atomic, hashes
from gemmalocal.data import store
from gemmalocal.data.dataset import Records
from gemmalocal.data.examples import Example, Made, to_examples
from gemmalocal.data.findings import Findings
from gemmalocal.data.store import Examples
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.errors import DatasetError
from gemmalocal.events import Event, Notice, Progress, Stage
from gemmalocal.pipelines.beside import beside
from gemmalocal.recipe import DataSpec, Recipe
from gemmalocal.records import Record
from gemmalocal.weights.locate import locate


@dataclass
class Prepared:
    """Filled by `prepare`, one field after the other."""

    folder: Path = Path()
    tokenizer: Tokenizer | None = None
    findings: Findings = field(default_factory=Findings)
    records: Records | None = None  # None where the store was there already
    split: int = 0  # rows that became several examples
    train: Examples = field(init=False)
    held_out: Examples = field(init=False)
    plain: bool = False  # whether the rows are plain text
    between: str = ""  # see `Record.between`


Look = Callable[[Record, Made], None]


def prepare(
    recipe: Recipe, into: Prepared, place: Path, weights: bool = True, look: Look | None = None
) -> Iterator[Event]:
    """Find the model, read the rows, store examples in the folder `place`; raises the errors of each.

    A store that is there is used as it is: a run goes on with the rows it began with. `look` sees each record. A
    tokenizer that is there is used too.
    """
    if into.tokenizer is None:
        yield Stage("finding the model")
        into.folder = yield from beside(lambda tell: locate(recipe.model, tell, weights))
        into.tokenizer = Tokenizer(into.folder, recipe.data.thinking)
    vocabulary = _vocabulary(into.folder)
    if not store.exists(place):
        yield Stage("reading the rows")
        into.records = Records(recipe.data, into.findings)
        yield from _stored(recipe.data, into, into.records, into.tokenizer, place, look, vocabulary)
    else:
        if wrong := store.damage(place):
            yield from _made_again(recipe.data, into.tokenizer, place, wrong)
        store.check_ids(place, vocabulary)
    into.train, into.held_out, about = store.load(place)
    into.plain, into.between = about["plain"], about["between"]
    cut = into.train.cut + into.held_out.cut
    if cut:
        yield Notice(f"{cut} rows cut at {recipe.data.max_length} tokens")


def _vocabulary(folder: Path) -> int | None:
    """How many ids a model knows; None where its configuration does not say."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        size = (config.get("text_config") or config).get("vocab_size", config.get("vocab_size"))
    except (OSError, ValueError, AttributeError):
        return None
    return size if isinstance(size, int) else None


def _made_again(data: DataSpec, tokenizer: Tokenizer, place: Path, wrong: dict[str, str]) -> Iterator[Event]:
    """Make what is `wrong` with a store again, if its rows still give what it held; raises `DatasetError`."""
    yield Notice(f"the run's examples are damaged: {hashes.said(wrong)}")
    if set(wrong) == {store.SOURCES}:  # nothing that is trained
        return
    again = place.with_name(f"{place.name}-again")
    shutil.rmtree(again, ignore_errors=True)
    yield Stage("reading the rows again")
    afresh = Prepared(tokenizer=tokenizer)
    try:
        records = Records(data, afresh.findings)
        for event in _stored(data, afresh, records, tokenizer, again, None, None):
            if not isinstance(event, Notice):
                yield event
    except DatasetError as error:
        raise store.lost(wrong, f" They cannot be made again: {error.message}") from error
    if not store.same(again, place, wrong):
        atomic.remove(again)
        raise store.lost(wrong, f" They cannot be made again: the rows of {data.name} have changed since.")
    store.mend(place, again, wrong)
    yield Notice("they were made again from the rows, which have not changed")


def _stored(
    data: DataSpec,
    into: Prepared,
    records: Records,
    tokenizer: Tokenizer,
    place: Path,
    look: Look | None,
    vocabulary: int | None,
) -> Iterator[Event]:
    """Rows to examples on disk, one at a time."""
    examples = array("i")  # of each record
    plain, between, told = False, "", 0
    with store.writing(place) as writer:
        for record, made in to_examples(records, tokenizer, data.max_length, data.long_rows):
            if look is not None:
                look(record, made)
            plain, between = (plain, between) if examples else (bool(record.text), record.between)
            usable = [one for one in made if isinstance(one, Example)]
            for one in made:
                if isinstance(one, Example):
                    writer.add(one)
                else:
                    into.findings.reject(one)
            examples.append(len(usable))
            into.split += len(made) > 1
            if (percent := 100 * records.done // max(1, records.total)) > told:
                told = percent
                yield Progress("reading the rows", records.done, records.total)
        counts = np.array(examples)
        held_out = np.repeat(records.held_out(counts > 0), counts)
        yield from map(Notice, _notices(records, into, data))
        times = np.repeat(records.times(), counts)
        if (held_out | (times == 0)).all():
            raise DatasetError("No row is left to train on.", "Raise data.max_length, or mend the rows.")
        writer.close(held_out, {"plain": plain, "between": between}, vocabulary, times if (times != 1).any() else None)


def _notices(records: Records, into: Prepared, data: DataSpec) -> Iterator[str]:
    yield from records.notes()
    if into.split:
        yield f"{into.split} rows of more than {data.max_length} tokens split"
    yield from into.findings.notices()
