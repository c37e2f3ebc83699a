"""What a person thinks of a dataset's rows: some drawn by seed, each rated good or bad, and what these ratings tell.

`ratings.json` in the dataset's folder has the keys of the rows drawn and the ratings in their order. A row that was
edited, or made anew with other words, is another row. A systematic sample (rows in order of score and document, every
so many) gives each row the same chance, so that the share of good ones holds for the whole dataset.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

from gemmalocal.errors import DatasetError
from gemmalocal.files import atomic
from gemmalocal.jobs.plurals import counted, plural
from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE
from gemmalocal.workspace import dataset_rows, datasets
from gemmalocal.workspace.dataset_rows import DatasetRow

FILE = "ratings.json"
SIZE = 20  # rows that are drawn
BEYOND = 5  # rows that the judge rejected, drawn beside them: without these nothing tells whether it is too strict
GOOD, BAD, SKIP = "good", "bad", "skip"
SCORED_BELOW = "was scored below"  # what the reason of a row begins with that a judge rejected
RESAMPLES = 500
Z = 1.96  # of the normal distribution, for 95 %


class Standing(NamedTuple):
    """How many of the dataset's rows were rated, and how many of these good."""

    good: int
    rated: int

    @property
    def interval(self) -> tuple[float, float]:
        """Between which shares the good rows of the whole dataset are, at 95 % (Wilson's score interval)."""
        share, spread = self.good / self.rated, Z * Z / self.rated
        middle = (share + spread / 2) / (1 + spread)
        half = Z / (1 + spread) * sqrt(share * (1 - share) / self.rated + spread / self.rated / 4)
        return max(0.0, middle - half), min(1.0, middle + half)

    @property
    def sentence(self) -> str:
        """Such as "18 of 20 rated good by you"."""
        return f"{self.good} of {self.rated} rated good by you"


class Proposal(NamedTuple):
    """The threshold that separates good rows from bad ones best, and where it lies in nine of ten resamples."""

    threshold: int
    lowest: int
    highest: int
    good: tuple[int, int]  # that reach it, and all
    bad: tuple[int, int]

    @property
    def sentence(self) -> str:
        """What is proposed, and how sure that is."""
        reached = (
            f"{self.good[0]} of {counted(self.good[1], 'good row')} "
            f"{plural(self.good[0], 'reaches', 'reach')} it, {self.bad[0]} of {self.bad[1]} bad ones"
        )
        lies = f"lies from {self.lowest} to {self.highest}" if self.lowest < self.highest else "is the same"
        sure = f"in nine of ten resamples it {lies}"
        few = "; so few ratings tell little" if self.highest - self.lowest > 2 else ""
        return f"A threshold of {self.threshold} separates them best: {reached} ({sure}{few})."


@dataclass
class Review:
    """Rows of a dataset that are rated: those that are still `waiting`, and what was said of the others."""

    folder: Path
    seed: int = 0
    threshold: int | None = None  # that the person chose
    drawn: list[int] = field(default_factory=list)  # keys, in the order in which they are shown
    ratings: dict[int, str] = field(default_factory=dict)  # by key, in the order in which they were given
    kept: dict[int, DatasetRow] = field(default_factory=dict)  # the rows that are there now, by key
    judged_out: dict[int, DatasetRow] = field(default_factory=dict)  # and those that the judge rejected

    @property
    def waiting(self) -> list[DatasetRow]:
        """The rows drawn that nothing was said of."""
        rows = self.kept | self.judged_out
        return [rows[key] for key in self.drawn if key not in self.ratings and key in rows]

    @property
    def place(self) -> tuple[int, int]:
        """The number of the row that comes next, from 1, and that of all that were drawn and are there."""
        there = [key for key in self.drawn if key in self.kept or key in self.judged_out]
        return sum(key in self.ratings for key in there) + 1, len(there)

    @property
    def standing(self) -> Standing:
        """Of the rows that are kept."""
        rated = [self.ratings[key] for key in self.kept if self.ratings.get(key) in (GOOD, BAD)]
        return Standing(rated.count(GOOD), len(rated))

    @property
    def proposal(self) -> Proposal | None:
        """The threshold to take; None where the ratings, or the scores, tell nothing."""
        rows = self.kept | self.judged_out
        scores = {key: row["score"] for key, row in rows.items() if isinstance(row.get("score"), int)}
        rated = [(scores[key], said) for key, said in self.ratings.items() if key in scores]
        return proposal(*([score for score, said in rated if said == each] for each in (GOOD, BAD)))


def opened(folder: Path, seed: int = 0) -> Review:
    """The review of a dataset as it stands, with enough rows drawn; `seed` counts if none were drawn before.

    Raises `DatasetError`.
    """
    content = _content(folder)
    review = Review(folder, content.get("seed", seed), content.get("threshold"), content.get("drawn", []))
    review.ratings = {int(key): said for key, said in content.get("ratings", [])}
    sides = [row for name in (TRAIN_FILE, HELD_OUT_FILE) for row in datasets.read(folder / name)]
    review.kept = {dataset_rows.key(row): row for row in sides}
    rejected = datasets.read(folder / datasets.REJECTED)
    scored = (row for row in rejected if str(row.get("reason", "")).startswith(SCORED_BELOW))
    review.judged_out = {dataset_rows.key(row): row for row in scored}
    there = [key for key in review.drawn if key in review.kept or key in review.judged_out]
    beyond = sum(key in review.judged_out for key in there)  # one that a chosen threshold took out is still drawn
    for rows, missing in ((review.kept, SIZE - len(there)), (review.judged_out, BEYOND - beyond)):
        left = {key: row for key, row in rows.items() if key not in review.drawn}
        review.drawn += _shuffled(_sample(left, missing, review.seed), review.seed)
    return review


def rate(folder: Path, row: DatasetRow, said: str, seed: int = 0) -> Review:
    """Keep what was said of a row (`GOOD`, `BAD`, `SKIP`); raises `JobBusy` while the dataset is being made."""
    with datasets.changing(folder):
        review = opened(folder, seed)
        review.ratings.pop(dataset_rows.key(row), None)
        review.ratings[dataset_rows.key(row)] = said
        _write(review)
        return review


def undo(folder: Path) -> Review:
    """Take back what was said last; nothing happens if nothing was."""
    with datasets.changing(folder):
        review = opened(folder)
        if review.ratings:
            review.ratings.popitem()
            _write(review)
        return review


def choose(folder: Path, threshold: int) -> tuple[int, int]:
    """Apply a threshold to the rows that a judge scored, also when the dataset is made again.

    Returns how many rows were taken back, and how many went. Raises as `rate`.
    """
    with datasets.changing(folder):
        review = opened(folder)
        review.threshold = threshold
        _write(review)
        return datasets.rescore(folder, threshold, SCORED_BELOW)


def chosen(folder: Path) -> int | None:
    """The threshold that a person chose for a dataset."""
    number = _content(folder).get("threshold")
    return number if isinstance(number, int) else None


def sentence(folder: Path) -> str:
    """Such as "18 of 20 rated good by you", of the rows that are there now; "" if none was rated."""
    if not (folder / FILE).is_file():
        return ""
    standing = opened(folder).standing
    return standing.sentence if standing.rated else ""


def proposal(good: Sequence[int], bad: Sequence[int]) -> Proposal | None:
    """The threshold that separates scores of good rows from those of bad ones best; None if none separates them.

    Best is where the share of good rows that reach it is most beyond that of bad ones (Youden's J).
    """
    if not good or not bad:
        return None
    threshold, gain = _best(good, bad)
    if gain <= 0:
        return None
    chance = random.Random(0)
    resampled = sorted(
        _best(chance.choices(good, k=len(good)), chance.choices(bad, k=len(bad)))[0] for _ in range(RESAMPLES)
    )
    ends = resampled[RESAMPLES // 20], resampled[-RESAMPLES // 20 - 1]
    reached = [(sum(score >= threshold for score in scores), len(scores)) for scores in (good, bad)]
    return Proposal(threshold, *ends, reached[0], reached[1])


def _best(good: Sequence[int], bad: Sequence[int]) -> tuple[int, float]:
    """The lowest threshold of the best, and by how much good rows reach it more often than bad ones."""
    gains = {
        threshold: sum(score >= threshold for score in good) / len(good)
        - sum(score >= threshold for score in bad) / len(bad)
        for threshold in range(1, 11)
    }
    threshold = max(gains, key=lambda each: (gains[each], -each))
    return threshold, gains[threshold]


def _sample(rows: dict[int, DatasetRow], size: int, seed: int) -> list[int]:
    """Keys of so many rows, or of all: every so many, of rows in the order of score and document."""
    if size <= 0:
        return []

    def order(key: int) -> tuple[int, str, str]:
        row = rows[key]
        return row.get("score") or 0, _lot(seed, row.get("source", "")), _lot(seed, key)

    ordered = sorted(rows, key=order)
    if len(ordered) <= size:
        return ordered
    start = random.Random(seed).random()
    return [ordered[int((start + number) * len(ordered) / size)] for number in range(size)]


def _shuffled(keys: Iterable[int], seed: int) -> list[int]:
    """In an order that tells nothing of the scores."""
    return sorted(keys, key=lambda key: _lot(seed + 1, key))


def _lot(seed: int, what: object) -> str:
    return hashlib.sha256(f"{seed}\x00{what}".encode("utf-8", "replace")).hexdigest()


def _write(review: Review) -> None:
    content = {
        "seed": review.seed,
        "threshold": review.threshold,
        "drawn": review.drawn,
        "ratings": [[key, said] for key, said in review.ratings.items()],
    }
    atomic.write_text(review.folder / FILE, json.dumps(content) + "\n")


def _content(folder: Path) -> dict[str, Any]:
    """What the file holds; raises `DatasetError` if it holds something else."""
    file = folder / FILE
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_bytes())
        ratings = [(int(key), str(said)) for key, said in content["ratings"]]
        drawn = [int(key) for key in content["drawn"]]
        threshold = content["threshold"] if content["threshold"] is None else int(content["threshold"])
        return {"seed": int(content["seed"]), "threshold": threshold, "drawn": drawn, "ratings": ratings}
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        hint = "Repair or delete it. Without it, your ratings are lost."
        raise DatasetError(f"{file} is damaged: it does not say how rows were rated.", hint) from error
