"""Rows that a person rates: drawn evenly, kept at once, gone on with, and a threshold that they propose."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gemmalocal.errors import DatasetError, JobBusy
from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE
from gemmalocal.workspace import datasets, ratings
from gemmalocal.workspace.ratings import BAD, GOOD, SKIP
from tests.tui.recorded import hold, prepared


def row(number: int, score: int | None = None, document: str = "") -> dict[str, Any]:
    turns = [{"role": "user", "content": f"Question {number}?"}, {"role": "assistant", "content": f"Answer {number}."}]
    source = document or f"/papers/{number % 5}.md"
    return {"messages": turns, "source": source, "evidence": f"evidence {number}", "by": "model"} | (
        {"score": score} if score else {}
    )


def judged(name: str = "docs") -> Path:
    """A dataset whose judge let rows of 7 and more pass; each reason is as `create.judge` gives it."""
    folder = prepared(name, train=[row(n, 7 + n % 4) for n in range(80)], held_out=[row(n, 9) for n in range(80, 88)])
    low = [{**row(n, 2 + n % 5), "reason": "was scored below 7: 3, vague", "held_out": False} for n in range(100, 120)]
    other = [{**row(130), "reason": "has no evidence", "held_out": True}]
    report = datasets.report(folder)
    files = {name: datasets.read(folder / name) for name in (TRAIN_FILE, HELD_OUT_FILE)}
    datasets.write(folder, {**files, datasets.REJECTED: [*low, *other]}, report)
    return folder


def rate_all(folder: Path, good: int) -> None:
    """Rows of a score of at least `good` are good."""
    while waiting := ratings.opened(folder).waiting:
        ratings.rate(folder, waiting[0], GOOD if waiting[0]["score"] >= good else BAD)


def test_twenty_rows_are_drawn_evenly_over_scores_and_documents() -> None:
    folder = judged()
    review = ratings.opened(folder)
    kept = [review.kept[key] for key in review.drawn if key in review.kept]
    assert (len(kept), len(review.drawn)) == (20, 25)
    scores = Counter(each["score"] for each in kept)
    assert all(scores[score] in range(3, 8) for score in (7, 8, 9, 10))
    assert set(Counter(each["source"] for each in kept).values()) <= set(range(2, 7))
    assert ratings.opened(folder).drawn == review.drawn
    assert ratings.opened(folder, seed=1).drawn != review.drawn
    assert [each["score"] for each in kept] != sorted(each["score"] for each in kept)  # the order tells nothing
    drawn = Counter(key for seed in range(60) for key in ratings.opened(folder, seed).drawn if key in review.kept)
    assert len(drawn) == 88  # each has its chance


def test_ratings_are_kept_undone_and_gone_on_with() -> None:
    folder = judged()
    first, second, third = ratings.opened(folder, seed=3).waiting[:3]
    ratings.rate(folder, first, GOOD, seed=3)
    ratings.rate(folder, second, BAD)
    review = ratings.rate(folder, third, SKIP)
    assert review.place == (4, 25)
    again = ratings.opened(folder)
    assert (again.seed, again.drawn, list(again.ratings.values())) == (3, review.drawn, [GOOD, BAD, SKIP])
    assert ratings.undo(folder).waiting[0] == third
    assert ratings.undo(folder).waiting[:2] == [second, third]
    ratings.rate(folder, second, GOOD)
    assert ratings.sentence(folder) == "2 of 2 rated good by you"
    assert ratings.undo(ratings.undo(folder).folder).standing.rated == 0
    assert ratings.undo(folder).ratings == {}
    assert ratings.sentence(folder) == ""


def test_the_figure_is_of_rows_that_are_there_and_as_they_are() -> None:
    folder = judged()
    rate_all(folder, good=8)
    review = ratings.opened(folder)
    assert review.standing.rated == 20  # those that the judge rejected do not count
    assert ratings.sentence(folder) == f"{review.standing.good} of 20 rated good by you"
    key = next(key for key in review.drawn if key in review.kept and review.ratings[key] == GOOD)
    name = TRAIN_FILE if review.kept[key] in datasets.read(folder / TRAIN_FILE) else HELD_OUT_FILE
    datasets.edit(folder, name, review.kept[key], "Another answer.")
    after = ratings.opened(folder)
    assert after.standing == (review.standing.good - 1, 19)
    assert after.waiting == []
    made_anew = {TRAIN_FILE: [row(n) for n in range(200, 230)], HELD_OUT_FILE: [], datasets.REJECTED: []}
    datasets.write(folder, made_anew, datasets.report(folder))
    assert len(ratings.opened(folder).waiting) == 20
    assert ratings.sentence(folder) == ""


@pytest.mark.parametrize(
    ("good", "rated", "interval"), [(18, 20, (0.699, 0.972)), (20, 20, (0.839, 1.0)), (0, 20, (0.0, 0.161))]
)
def test_the_interval_is_wilsons(good: int, rated: int, interval: tuple[float, float]) -> None:
    assert ratings.Standing(good, rated).interval == pytest.approx(interval, abs=0.001)


def test_a_threshold_is_proposed_with_how_sure_it_is() -> None:
    clear = ratings.proposal([8, 9, 9, 10, 8, 9, 10, 8, 9, 9], [3, 5, 7, 7, 6, 2])
    assert clear is not None
    assert clear[:3] == (8, 7, 8)
    assert "10 of 10 good rows reach it, 0 of 6 bad ones" in clear.sentence
    unsure = ratings.proposal([10, 7, 9, 4], [7, 9, 6])
    assert unsure is not None
    assert unsure.lowest <= unsure.threshold <= unsure.highest
    assert "so few ratings tell little" in unsure.sentence
    assert ratings.proposal([7, 8], [9, 10]) is None  # the judge prefers the bad ones
    assert ratings.proposal([7, 8], []) is None


def test_a_chosen_threshold_moves_rows_and_leaves_what_was_done_by_hand() -> None:
    folder = judged()
    accepted = datasets.read(folder / datasets.REJECTED)[0]
    datasets.accept(folder, [accepted])
    dropped = next(each for each in datasets.read(folder / TRAIN_FILE) if each.get("score") == 10)
    datasets.drop(folder, TRAIN_FILE, dropped)
    back, gone = ratings.choose(folder, 8)
    assert (back, gone) == (0, 20)
    rejected = datasets.read(folder / datasets.REJECTED)
    assert Counter(each["reason"].partition(":")[0] for each in rejected) == {
        "was scored below 7": 19, "was scored below 8": 20, "has no evidence": 1, "was dropped by hand": 1
    }  # fmt: skip
    assert ratings.choose(folder, 6) == (24, 0)
    assert ratings.chosen(folder) == 6
    train = datasets.read(folder / TRAIN_FILE)
    assert len(train) == 80 - 1 + 1 + 4
    assert not any("reason" in each or "held_out" in each for each in train)
    assert datasets.edited(folder) == []


def test_what_cannot_be_read_or_written_says_so() -> None:
    folder = judged()
    row_ = ratings.opened(folder).waiting[0]
    child = hold(folder)
    with pytest.raises(JobBusy):
        ratings.rate(folder, row_, GOOD)
    child.communicate("")
    for content in ("{", "[]", json.dumps({"seed": 0, "threshold": None, "drawn": [], "ratings": [1]})):
        (folder / ratings.FILE).write_text(content)
        with pytest.raises(DatasetError, match="does not say how rows were rated"):
            ratings.opened(folder)
