"""What a run's teacher said of the held-out rows, beside what the models of a report say of the same tokens.

The teacher is not asked: it has read the rows that a run looks at on its way, and what it said of them is kept.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gemmalocal.backends.scoring import log_softmax, parts, predicted
from gemmalocal.data.examples import Example
from gemmalocal.data.shown import between, shown
from gemmalocal.data.taught_store import TaughtStore, described, row_key
from gemmalocal.engine.objectives.distill import Taught, distill
from gemmalocal.jobs.events import Event, Notice, Stage
from gemmalocal.jobs.plurals import counted
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared.report_ask import Asked
from gemmalocal.pipelines.shared.report_measure import Kept, Model, TimedProgress, check_stop, key_of
from gemmalocal.pipelines.shared.teaching import linked
from gemmalocal.recipe.teacher import SELF

FIGURES = ("agreement", "kl", "loss")  # of a model beside a teacher: likeliest kept ids, KL(teacher || it), nats
TOGETHER = 8  # rows that a model reads at once


class Read(NamedTuple):
    """A held-out row that the teacher has read, and what it said of its tokens to be predicted, (n,)."""

    example: Example
    tokens: NDArray[np.void]


def figures(
    asked: Asked, folder: Path, names: Mapping[int, str], kept: Kept, commands: Commands
) -> Generator[Event, None, dict[str, Any] | None]:
    """The teacher's own figures, and beside it those of each model, whose `names` are by their places.

    None without a teacher, or where its words are gone.
    """
    if asked.recipe.teacher.model is None:
        return None
    store = linked(folder)
    read = [] if store is None else list(_read(asked, store))
    if store is None or not read:
        yield Notice("what the teacher said of the held-out rows is not kept: the report has nothing of it")
        return None
    yield Stage("holding the models against the teacher")
    progress = TimedProgress("rows held against the teacher", len(read) * len(asked.models), 0)
    temperature, models = asked.recipe.teacher.temperature, []
    for place, model in enumerate(asked.models):
        sums = dict.fromkeys(FIGURES, 0.0)
        for start in range(0, len(read), TOGETHER):
            for entry in _beside(model, read[start : start + TOGETHER], store, temperature, kept):
                sums = {name: sums[name] + entry[name] for name in FIGURES}
            yield progress.more(len(read[start : start + TOGETHER]))
            check_stop(commands)
        tokens = sum(len(row.tokens) for row in read)
        models.append({"name": names[place], **{name: value / tokens for name, value in sums.items()}})
    own = {"name": described(store.folder).get("teacher", ""), **_own(read, temperature), "models": models}
    return {"sentence": _sentence(own), **own}


def _sentence(figures: Mapping[str, Any]) -> str:
    """Of the run, and of whom it is held against."""
    other, tuned = figures["models"][:2]
    return (
        f"Of {counted(figures['tokens'], 'token')} {tuned['agreement']:.0%} have the teacher's likeliest word first "
        f"({other['name']} {other['agreement']:.0%}); KL from the teacher is {tuned['kl']:.3f} nats a token "
        f"({other['name']} {other['kl']:.3f})."
    )


def _read(asked: Asked, store: TaughtStore) -> Iterator[Read]:
    """The held-out rows that are known there."""
    itself, tokenizer = asked.recipe.teacher.model == SELF, asked.tokenizer
    after = between(asked.speaker.layout, tokenizer) if itself else []
    for row in asked.rows:
        key = row_key(shown(row.example, after, tokenizer) if itself else row.example)
        if key in store:
            yield Read(row.example, store[key])


def _own(read: Sequence[Read], temperature: float) -> dict[str, Any]:
    """How right the teacher is itself; its loss is at least this where a row's word is not among those kept."""
    tokens = np.concatenate([row.tokens for row in read])
    targets = predicted([row.example for row in read]).targets
    hits = tokens["ids"] == targets[:, None]
    known = hits.any(1)
    at_most = np.where(known, (tokens["logp"].astype(np.float64) * hits).sum(1), tokens["rest"].astype(np.float64))
    return {
        "rows": len(read),
        "tokens": len(tokens),
        "right": float(hits[:, 0].mean()),
        "kept": float(known.mean()),
        "loss_at_least": float(-at_most.mean()) if temperature == 1 else None,
    }


def _beside(
    model: Model, read: Sequence[Read], store: TaughtStore, temperature: float, kept: Kept
) -> Iterator[dict[str, float]]:
    """`FIGURES` of each row, summed over its tokens."""
    keys = [key_of([model], "teacher", store.folder.name, row.example.ids, row.example.weights) for row in read]
    missing = [place for place, key in enumerate(keys) if not kept.has(key)]
    if missing:
        sums = _summed(model, [read[place] for place in missing], temperature).tolist()
        entries = [dict(zip(FIGURES, of, strict=True)) for of in sums]
        kept.add([{"key": keys[place], **entry} for place, entry in zip(missing, entries, strict=True)])
    yield from (kept[key] for key in keys)


def _summed(model: Model, read: Sequence[Read], temperature: float) -> NDArray[np.float64]:
    """The same of rows that the model reads now, (rows, figures)."""
    examples, said = [row.example for row in read], np.concatenate([row.tokens for row in read])
    tokens, start, sums = predicted(examples), 0, np.zeros((len(read), len(FIGURES)))
    for part, logits in zip(parts(tokens), model.speaker.generator.logits(examples, model.speaker.number), strict=True):
        of_part = said[start : start + len(part.rows)]
        start += len(part.rows)
        tempered = log_softmax(logits / np.float32(temperature))
        student = np.take_along_axis(tempered, of_part["ids"].astype(np.int64), axis=1).astype(np.float64)
        rest = of_part["rest"].astype(np.float64) if student.shape[1] < logits.shape[1] else None
        losses = -log_softmax(logits)[np.arange(len(logits)), part.targets]
        taught = Taught(of_part["logp"].astype(np.float64), rest)
        given = distill(student, np.zeros(len(student)), taught, 0, 0)
        np.add.at(sums, part.rows, np.stack([student.argmax(1) == 0, given.divergences, losses], axis=1))
    return sums
